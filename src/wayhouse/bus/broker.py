"""The Majordomo broker as a machine: MDP 0.1 and 0.2 on one ROUTER, bridged.

Called by `drivers.broker_socket`, which gives it what peers sent (identity first) and sends what it puts out. Rules: no input ends or stalls
it; a request is answered once, by a worker or by a `refusal`; what a lost worker held goes back to the front of its queue, unless it
was marked `once`, was partly answered, or was given to too many; constant time a request.

Bridges: the one REPLY of a worker of 0.1 is FINAL for a client of 0.2; the parts of a worker of 0.2 are put together, frames behind
frames, into the one reply of a client of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wayhouse.bus import credit, mdp
from wayhouse.bus.dispatcher import Dispatcher
from wayhouse.bus.figures import Figures
from wayhouse.bus.mdp import ClientRequest, WorkerMessage
from wayhouse.bus.mmi import Mmi
from wayhouse.bus.model import (
    BAD_MARKS,
    QUEUE_FULL,
    UNKNOWN,
    BrokerEvent,
    BrokerSettings,
    Counters,
    Frames,
    MalformedError,
    ServiceUp,
    WorkerJoined,
    WorkerLeft,
    refusal,
)
from wayhouse.bus.overview import CloneFigures
from wayhouse.bus.requests import Request
from wayhouse.bus.services import Service, Worker

EXPIRY_STEP_S = 1.0
FRAME_COST = 64
"""Bytes that a frame costs beyond what is in it, so that many empty ones are counted too."""


class Broker:
    """`receive`, `tick`, `deadline`, `outbox` and `events` are a machine's verbs; the other names are those of RasPy's broker."""

    INTERNAL_SERVICE_PREFIX = mdp.MMI_PREFIX

    def __init__(
        self,
        settings: BrokerSettings | None = None,
        now: float = 0.0,
        topics: Callable[[bytes], Iterable[bytes]] = lambda _: (),
        clone: Callable[[], CloneFigures | None] = lambda: None,
    ) -> None:
        """`topics` gives the keys of the key/value clone that begin so, for `mmi.helper.topics`; `clone` its figures."""
        self.settings = settings or BrokerSettings()
        self.counters = Counters()
        self._dispatcher = Dispatcher(self.settings, self.counters)
        self.services = self._dispatcher.services
        self.workers = self._dispatcher.workers
        self.heartbeat_at = now + self.settings.heartbeat_s
        self._expire_at = now + EXPIRY_STEP_S
        self._number = 0
        account = self._dispatcher.account
        figures = Figures(self.services, self.workers, self.counters, account, clone, now)
        self._mmi = Mmi(self.services, figures, self.settings, topics)

    # A machine's verbs.

    def receive(self, frames: Frames, now: float) -> None:
        """One message of a peer, `frames[0]` its identity."""
        try:
            message = mdp.parse_at_broker(frames)
        except MalformedError:
            self._malformed(frames, now)
            return
        if isinstance(message, ClientRequest):
            self.process_client(frames[0], message, now)
        else:
            self.process_worker(frames[0], message, now)

    def outbox(self) -> list[Frames]:
        """What is to be sent, in order, each with the identity of its receiver first; taken away from here."""
        dispatcher = self._dispatcher
        out = dispatcher.out
        if out:
            dispatcher.out = []
        return out

    def events(self) -> list[BrokerEvent]:
        """What happened since the last call; only the newest are kept when nobody asks."""
        found = list(self._dispatcher.events)
        self._dispatcher.events.clear()
        return found

    def deadline(self) -> float:
        """When `tick` is due."""
        return (
            min(self.heartbeat_at, self._expire_at) if self._dispatcher.account.queued else self.heartbeat_at
        )

    def tick(self, now: float) -> None:
        if now >= self.heartbeat_at:
            self.purge_workers(now)
            self.send_heartbeats(now)
            self.heartbeat_at = now + self.settings.heartbeat_s
        if now >= self._expire_at:
            self._expire_at = now + EXPIRY_STEP_S
            self._dispatcher.expire_requests(now)

    def undelivered(self, frames: Frames, now: float) -> None:
        """The driver could not send `frames`: the peer is gone, or does not read. A worker is forgotten for it."""
        self.counters.undeliverable += 1
        worker = self.workers.get(frames[0])
        if worker is not None and mdp.is_worker(frames):
            unsent = mdp.client_in(frames, worker.version)
            self.delete_worker(worker, now, "unreachable", disconnect=False, unsent=unsent)

    def peer_gone(self, identity: bytes, now: float) -> None:
        """The connection of a peer has ended. One who comes back has another identity, so what a worker held is not to come any more."""
        worker = self.workers.get(identity)
        if worker is not None:
            self.delete_worker(worker, now, "unreachable", disconnect=False)

    def shutdown(self, now: float) -> None:
        """DISCONNECT to every worker. What they hold or what is queued is not answered: clients ask again."""
        for worker in list(self.workers.values()):
            self._dispatcher.send_to_worker(worker, mdp.build_disconnect(worker.version))
            self._dispatcher.events.append(WorkerLeft(worker.identity, worker.service.name, "shutdown", 0))
        self.workers.clear()
        self.services.clear()

    # Clients.

    def process_client(self, sender: bytes, message: ClientRequest, now: float) -> None:
        self.counters.requests += 1
        if message.service.startswith(mdp.MMI_PREFIX):
            self.service_internal(sender, message, now)
            return
        self._number += 1
        body = message.body
        key = sender + self._number.to_bytes(8, "big")
        request = Request(
            sender,
            key,
            message.version,
            message.label,
            body,
            len(body[0]) if len(body) == 1 else sum(map(len, body)),
            now + self.settings.request_ttl_s,
        )
        if len(message.service) != len(message.label) and not self._take_marks(request, now):
            return
        service = self._dispatcher.require_service(message.service)
        if service is None or not self._dispatcher.account.take(request.size):
            self._dispatcher.refuse(
                request, QUEUE_FULL, "the broker holds as much as it may; try again later"
            )
            if service is not None:
                self._dispatcher.drop_unused(service)
            return
        self._dispatcher.dispatch(service, request, now)

    def service_internal(self, sender: bytes, message: ClientRequest, now: float) -> None:
        self.counters.mmi += 1
        body = self._mmi.answer(message.service, message.body, now)
        self._dispatcher.out.append([sender, *mdp.build_reply(message.version, message.label, body)])

    def _take_marks(self, request: Request, now: float) -> bool:
        try:
            marks = mdp.parse_request_marks(request.label)
        except MalformedError as error:
            self.counters.refused += 1
            self._dispatcher.answer(request, refusal(UNKNOWN, BAD_MARKS, str(error)))
            return False
        request.once = marks.once
        if marks.ttl_s is not None:
            request.ttl_s = min(marks.ttl_s, self.settings.request_ttl_max_s)
            request.expires = now + request.ttl_s
        return True

    # Workers.

    def process_worker(self, sender: bytes, message: WorkerMessage, now: float) -> None:
        worker, command = self.workers.get(sender), message.command
        if worker is None:
            self._stranger(sender, message, now)
            return
        worker.seen_at = now
        if message.version != worker.version or command == mdp.READY:
            self.counters.violations += 1
            self.delete_worker(worker, now, "protocol", disconnect=True)
        elif command == mdp.FINAL:
            self._final(worker, message, now)
        elif command == mdp.PARTIAL:
            self._partial(worker, message, now)
        elif command == mdp.DISCONNECT:
            self.delete_worker(worker, now, "disconnect", disconnect=False)

    def delete_worker(
        self, worker: Worker, now: float, reason: str, *, disconnect: bool, unsent: bytes = b""
    ) -> None:
        """Forget a worker; what it held goes back. `reason` is a word of `WorkerLeft`; `unsent` as in `Dispatcher.forget_worker`."""
        self._dispatcher.forget_worker(worker, now, reason, disconnect=disconnect, unsent=unsent)
        self._dispatcher.hand_on(worker.service, now)
        self._dispatcher.drop_unused(worker.service)

    def purge_workers(self, now: float) -> None:
        """Forget all workers that are silent, or that have not got on with what they hold, for too long."""
        lost: dict[bytes, Service] = {}
        for worker in list(self.workers.values()):
            overdue = bool(worker.held) and now - worker.progress_at > self.settings.busy_timeout_s
            if overdue or self._dispatcher.is_silent(worker, now):
                self._dispatcher.forget_worker(
                    worker, now, "overdue" if overdue else "expired", disconnect=True
                )
                lost[worker.service.name] = worker.service
        for service in lost.values():
            self._dispatcher.hand_on(service, now)
            self._dispatcher.drop_unused(service)

    def send_heartbeats(self, now: float) -> None:
        """To every worker that was not just sent something; a busy one too, since that shows when it is gone."""
        quiet_since = now - self.settings.heartbeat_s
        for worker in self.workers.values():
            if worker.given_at <= quiet_since:
                self._dispatcher.send_to_worker(worker, mdp.build_heartbeat(worker.version))

    def _stranger(self, sender: bytes, message: WorkerMessage, now: float) -> None:
        if message.command == mdp.READY and self._register(sender, message, now):
            return
        if message.command != mdp.DISCONNECT:
            self.counters.strangers += 1
            self._dispatcher.out.append([sender, *mdp.build_disconnect(message.version)])

    def _register(self, sender: bytes, message: WorkerMessage, now: float) -> bool:
        """Whether the worker was taken."""
        settings = self.settings
        if message.service.startswith(mdp.MMI_PREFIX) or len(self.workers) >= settings.max_workers:
            return False
        try:
            marks = mdp.parse_ready_marks(message.body)
        except MalformedError:
            return False
        service = self._dispatcher.require_service(message.service)
        if service is None:
            return False
        window = credit.window(marks.credit, ceiling=settings.credit_max, adaptive=settings.adaptive_credit)
        worker = self.workers[sender] = Worker(sender, message.version, service, window, now)
        worker.once, worker.beats = marks.once, marks.beats
        service.members[sender] = worker
        self._dispatcher.events.append(WorkerJoined(sender, service.name))
        if len(service.members) == 1:
            self._dispatcher.events.append(ServiceUp(service.name))
        self._dispatcher.worker_waiting(worker, now)
        return True

    def _final(self, worker: Worker, message: WorkerMessage, now: float) -> None:
        """The worker gets its next request before the client gets its answer: whoever has one request at a time waits for it."""
        request = worker.held.pop(message.client, None)
        if request is None:
            self.counters.stale += 1
            return
        worker.progress_at = now
        worker.window.answered(now, waiting=bool(worker.service.queue))
        self._dispatcher.account.release(request)
        if not request.answered:
            self.counters.replies += 1
            worker.done += 1
            worker.service.done += 1
        self._dispatcher.worker_waiting(worker, now)
        if not request.answered:
            self._dispatcher.answer(request, request.parts + message.body if request.parts else message.body)

    def _partial(self, worker: Worker, message: WorkerMessage, now: float) -> None:
        request = worker.held.get(message.client)
        if request is None:
            self.counters.stale += 1
            return
        worker.progress_at = now
        self.counters.parts += 1
        if request.version != mdp.V01:
            request.partly = True
            self._dispatcher.out.append(
                [request.client, *mdp.build_reply(request.version, request.label, message.body, final=False)]
            )
        elif not request.answered:
            self._gather(request, message.body)

    def _gather(self, request: Request, body: Frames) -> None:
        """A part for a client of 0.1; when they get too many, it is told so and the rest is dropped."""
        size = sum(map(len, body)) + FRAME_COST * len(body)
        if request.parts_size + size <= self.settings.max_partial_bytes and self._dispatcher.account.take(
            size
        ):
            request.parts_size += size
            request.parts += body
            return
        self._dispatcher.account.drop_parts(request)
        request.answered = True
        self._dispatcher.refuse(
            request, QUEUE_FULL, "the reply in parts is too large for MDP 0.1; ask with MDP 0.2"
        )

    def _malformed(self, frames: Frames, now: float) -> None:
        """Dropped without an answer; a worker that sends such things is not relied upon any more."""
        self.counters.malformed += 1
        worker = self.workers.get(frames[0]) if frames else None
        if worker is not None and mdp.is_worker(frames):
            self.delete_worker(worker, now, "protocol", disconnect=True)
