"""Requests and workers brought together: queues, turns, what a lost worker held, what waited too long.

Called by the broker, which tells it what peers said. Rules: constant time a request; every request is answered once; a service is kept
while it has a worker or a queue; while it has a queue, none of its workers has room.
"""

from __future__ import annotations

from collections import deque

from wayhouse.bus import mdp
from wayhouse.bus.model import (
    ERROR,
    EXPIRED,
    QUEUE_FULL,
    WORKER_LOST,
    BrokerEvent,
    BrokerSettings,
    Counters,
    Frames,
    ServiceDown,
    WorkerLeft,
    refusal,
)
from wayhouse.bus.requests import Account, Expiries, Request
from wayhouse.bus.services import Service, Worker

EMPTY = [b""]


class Dispatcher:
    """`out` is what is to be sent, each message with the identity of its receiver first."""

    def __init__(self, settings: BrokerSettings, counters: Counters) -> None:
        self.services: dict[bytes, Service] = {}
        self.workers: dict[bytes, Worker] = {}
        self.out: list[Frames] = []
        self.events: deque[BrokerEvent] = deque(maxlen=settings.max_events)
        self.account = Account(settings)
        self._expiries = Expiries()
        self._settings = settings
        self._counters = counters

    def dispatch(self, service: Service, request: Request, now: float) -> None:
        """To a worker that has room, or into the queue."""
        worker = self._free_worker(service, now)
        if worker is not None:
            self._give(worker, request, now)
            service.list_worker(worker)
            self.hand_on(service, now)
            return
        if len(service.queue) >= self._settings.max_queued_per_service or not self.account.has_place():
            self.account.release(request)
            service.failed += 1
            self.refuse(request, QUEUE_FULL, "too many requests wait for this service; try again later")
            self.drop_unused(service)
            return
        self._enqueue(service, request)

    def require_service(self, name: bytes) -> Service | None:
        """The service, made when it is new; None when there are as many as may be."""
        service = self.services.get(name)
        if service is None and len(self.services) < self._settings.max_services:
            service = self.services[name] = Service(name)
        return service

    def worker_waiting(self, worker: Worker, now: float) -> None:
        """Give it what is queued, as far as it has room; then it waits for more."""
        service, held = worker.service, worker.held
        while service.queue and len(held) < worker.window.size:
            self._give(worker, self._dequeue(service), now)
        service.list_worker(worker)

    def forget_worker(
        self, worker: Worker, now: float, reason: str, *, disconnect: bool, unsent: bytes = b""
    ) -> None:
        """What it held is queued; the caller sees to it that others get it. `unsent`: the key of a request that could not be sent to
        it, nor any that it was given later."""
        service = worker.service
        del self.workers[worker.identity]
        service.forget_worker(worker)
        if disconnect:
            self.send_to_worker(worker, mdp.build_disconnect(worker.version))
        requeued = self._take_back(worker, now, unsent)
        if reason not in {"disconnect", "protocol"}:
            self._counters.workers_lost += 1
        self.events.append(WorkerLeft(worker.identity, service.name, reason, requeued))
        if not service.members:
            self.events.append(ServiceDown(service.name))

    def hand_on(self, service: Service, now: float) -> None:
        """After requests came back: to those who have room."""
        while service.queue and (worker := self._free_worker(service, now)) is not None:
            self.worker_waiting(worker, now)

    def drop_unused(self, service: Service) -> None:
        if not service.members and not service.queue:
            self.services.pop(service.name, None)

    def expire_requests(self, now: float) -> None:
        for name, request in self._expiries.due(now):
            service = self.services[name]
            del service.queue[request.key]
            self.account.queued -= 1
            self.account.release(request)
            self._counters.expired += 1
            service.failed += 1
            self.answer(request, refusal(ERROR, EXPIRED, "no worker took this request in time"))
            self.drop_unused(service)

    def answer(self, request: Request, body: Frames) -> None:
        self.out.append([request.client, *mdp.build_reply(request.version, request.label, body or EMPTY)])

    def refuse(self, request: Request, reason: bytes, text: str) -> None:
        self._counters.refused += 1
        self.answer(request, refusal(ERROR, reason, text))

    def send_to_worker(self, worker: Worker, frames: Frames) -> None:
        self.out.append([worker.identity, *frames])

    def _give(self, worker: Worker, request: Request, now: float) -> None:
        if not worker.held:
            worker.progress_at = now
            worker.window.begin(now)
        worker.held[request.key] = request
        worker.given_at = now
        body = mdp.build_worker_request(worker.version, request.key, request.body)
        self.out.append([worker.identity, *body])

    def _free_worker(self, service: Service, now: float) -> Worker | None:
        """One with room; those found silent on the way are forgotten."""
        while (worker := service.take_worker()) is not None:
            if not self.is_silent(worker, now):
                return worker
            self.forget_worker(worker, now, "expired", disconnect=True)
        return None

    def is_silent(self, worker: Worker, now: float) -> bool:
        """A worker that is at work may be silent, unless it said that it `beats` then too."""
        return (worker.beats or not worker.held) and now - worker.seen_at > self._settings.expiry_s

    def _dequeue(self, service: Service) -> Request:
        request = service.queue.popitem(last=False)[1]
        self._expiries.remove(request)
        self.account.queued -= 1
        return request

    def _enqueue(self, service: Service, request: Request) -> None:
        service.queue[request.key] = request
        self._expiries.add(service.name, request)
        self.account.queued += 1

    def _take_back(self, worker: Worker, now: float, unsent: bytes) -> int:
        """Requests of a lost worker to the front of the queue, in their order; how many. The oldest is what it was at when
        it was lost, so that one is charged with it: no request can end one worker after another for ever. What it never got
        is none the worse for it."""
        held, keys, worker.held = list(worker.held.values()), list(worker.held), {}
        got = keys.index(unsent) if unsent in keys else len(held)
        if got:
            held[0].deliveries += 1
        again = [request for request in held[:got] if self._may_run_again(worker, request)] + held[got:]
        for request in reversed(again):
            self.account.drop_parts(request)
            if request.ttl_s is None:
                request.expires = now + self._settings.request_ttl_s
            self._enqueue(worker.service, request)
            worker.service.queue.move_to_end(request.key, last=False)
        self._counters.requeued += len(again)
        return len(again)

    def _may_run_again(self, worker: Worker, request: Request) -> bool:
        """Else it is answered here."""
        once = request.once or worker.once
        if not (
            once or request.partly or request.answered or request.deliveries >= self._settings.deliveries
        ):
            return True
        self.account.release(request)
        if not request.answered:
            self._counters.lost += 1
            worker.service.failed += 1
            why = (
                "it was to run once only" if once else "it was given to as many as may be, or partly answered"
            )
            self.answer(request, refusal(ERROR, WORKER_LOST, f"the worker was lost, and {why}"))
        return False
