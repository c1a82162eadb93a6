"""RasPy's `MajorDomoWorker`: serves one service of the Majordomo broker, for programs with threads.

The asyncio one is in `async_worker.py`; both share the machine of `link.py`. Rules: while `recv` waits, its thread does the work on the
socket; while a request is at work, a thread of our own does, so heartbeats go on however long it takes; the lock hands the socket
from one to the other.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.client import Request, body_of
from wayhouse.bus.drivers.dealer import Dealer
from wayhouse.bus.drivers.frames import AnySocket, drain
from wayhouse.bus.drivers.waker import Waker
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.kvmsg import to_bytes
from wayhouse.bus.link import Job, Link
from wayhouse.bus.model import HEARTBEAT_S, LIVENESS, EndpointError, Frames

log = logging.getLogger(__name__)


class MajorDomoWorker:
    """`recv(reply)` in a loop is all that a worker needs. With `credit` above 1 the broker sends so many requests ahead; `take` and
    `answer` let several be at work in threads. Times are in milliseconds. Raises `EndpointError`, `MalformedError`."""

    HEARTBEAT_LIVENESS = LIVENESS
    status = True
    """Whether the worker is well; read by whoever answers `.mmi status`."""

    def __init__(
        self,
        broker: str,
        service: str | bytes,
        *,
        verbose: bool = False,
        credit: int = 1,
        version: int = mdp.V01,
        marks: bool = True,
        keys: Keys = NO_KEYS,
    ) -> None:
        self.broker = broker
        self.service = service
        self.verbose = verbose
        self.timeout = int(HEARTBEAT_S * 1000)
        self.expect_reply = False
        self._job: Job | None = None
        self._link = Link(to_bytes(service), time.monotonic(), version=version, credit=credit, marks=marks)
        self._link.liveness_most = self.HEARTBEAT_LIVENESS
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._answers: deque[Callable[[float], object]] = deque()
        self._waiting: deque[Job] = deque()
        self._closed = False
        self.ctx: zmq.Context[AnySocket] = zmq.Context()
        self._waker, self._beat_waker = Waker(), Waker()
        self._poller = zmq.Poller()
        self._poller.register(self._waker, zmq.POLLIN)
        self._dealer = Dealer(self.ctx, broker, self._swap, keys)
        try:
            self._dealer.perform(self._link.outbox())
        except EndpointError:
            self._release()
            raise
        self._beater = threading.Thread(target=self._beat, name=f"heartbeats of {broker}", daemon=True)
        self._beater.start()

    @property
    def worker(self) -> AnySocket | None:
        """The present socket. It belongs to the worker's threads."""
        return self._dealer.socket

    @property
    def reply_to(self) -> bytes | None:
        """Who waits for the next reply."""
        return None if self._job is None else self._job.client

    @property
    def liveness(self) -> int:
        return self._link.liveness(time.monotonic())

    @property
    def heartbeat_at(self) -> float:
        """When the next heartbeat is due, monotonic seconds."""
        return self._link.heartbeat_at

    @property
    def heartbeat(self) -> int:
        return round(self._link.heartbeat_s * 1000)

    @heartbeat.setter
    def heartbeat(self, interval_ms: float) -> None:
        self._do(lambda now: self._link.beat_every(interval_ms / 1000, now))
        self._beat_waker.wake()  # it waits for the moment that was due until now

    @property
    def reconnect(self) -> int:
        return round(self._link.reconnect_s * 1000)

    @reconnect.setter
    def reconnect(self, pause_ms: float) -> None:
        self._link.reconnect_s = pause_ms / 1000

    def reconnect_to_broker(self) -> None:
        """A new socket, and READY."""
        self._do(self._link.connect)

    def send_to_broker(
        self, command: bytes, option: bytes | None = None, msg: Sequence[bytes] | None = None
    ) -> None:
        """Any message of a worker; `command` is its byte on the wire."""
        head = mdp.build_heartbeat(self._link.version)[:-1]
        frames = [*head, command, *([] if option is None else [option]), *(msg or ())]
        self._do(lambda now: self._link.send(frames, now))

    def recv(self, reply: Request | None = None) -> Frames | None:
        """Send `reply` to the last request, if any, and wait for the next; None when stopped. After the first call a reply is
        due (`AssertionError`)."""
        if reply is None and self.expect_reply:
            raise AssertionError("a worker answers each request: give the reply to recv()")
        if reply is not None and self._job is not None:
            self.answer(self._job, reply)
        self.expect_reply = True
        self._job = self.take()
        if self._job is None:
            self.expect_reply = False
            return None
        return self._job.body

    def take(self, timeout_s: float | None = None) -> Job | None:
        """The next request; None when stopped or after `timeout_s`. By one thread at a time."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        with self._turn:
            while not (self._stopping.is_set() or self._closed):
                if self._waiting:
                    return self._waiting.popleft()
                now = time.monotonic()
                if end is not None and now >= end:
                    return None
                self._pump(self._wait_ms(now, end))
        return None

    def answer(self, job: Job, reply: Request, *, final: bool = True) -> None:
        """From any thread. Parts (`final=False`) need MDP 0.2, else `MalformedError` is raised. A reply that comes too late, since
        the broker was lost meanwhile, is dropped."""
        body = body_of(reply)
        mdp.build_worker_reply(job.client, body, self._link.version, final=final)
        self._do(lambda now: self._link.reply(job, body, now, final=final))

    def shutdown(self) -> None:
        """From any thread: `recv` returns None, and gives no more requests."""
        self._stopping.set()
        self._wake()

    def destroy(self) -> None:
        """DISCONNECT, and everything is closed; replies that were given have half a second to leave."""
        self.shutdown()
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._flush(time.monotonic())
            self._link.end(time.monotonic())
            self._dealer.perform(self._link.outbox())
            self._dealer.close()
        self._beat_waker.wake()
        self._beater.join()
        self._release()

    def _release(self) -> None:
        self._waker.close()
        self._beat_waker.close()
        self.ctx.term()

    def _wake(self) -> None:
        self._waker.wake()
        self._beat_waker.wake()

    def _do(self, work: Callable[[float], object]) -> None:
        """Now, if nobody has the socket; else whoever has it does it at once."""
        self._answers.append(work)
        if self._turn.acquire(blocking=False):
            try:
                if not self._closed:
                    self._flush(time.monotonic())
            finally:
                self._turn.release()
        else:
            self._wake()

    def _flush(self, now: float) -> None:
        while self._answers:
            self._answers.popleft()(now)
        self._dealer.perform(self._link.outbox())

    def _wait_ms(self, now: float, end: float | None) -> int:
        moments = [
            now + self.timeout / 1000,
            *(one for one in (self._link.deadline(), end) if one is not None),
        ]
        return max(0, round((min(moments) - now) * 1000 + 0.5))

    def _pump(self, wait_ms: int) -> None:
        """Wait, take what came, do what is due. The caller has the turn."""
        for one, _ in self._poller.poll(wait_ms):
            if one == self._waker.fileno():
                self._waker.clear()
        now = time.monotonic()
        if self._dealer.socket is not None:
            for frames in drain(self._dealer.socket):
                self._link.receive(frames, now)
        registration = self._link.registration
        self._link.tick(now)
        self._flush(now)
        if registration != self._link.registration:
            self._waiting.clear()
        self._waiting.extend(self._link.jobs())

    def _beat(self) -> None:
        """The thread that keeps the link alive while nobody is in `take`."""
        while not self._closed:
            moment = self._link.deadline()
            wait_s = self._link.heartbeat_s if moment is None else max(0.01, moment - time.monotonic())
            poller = select.poll()
            poller.register(self._beat_waker, select.POLLIN)
            poller.poll(wait_s * 1000)
            self._beat_waker.clear()
            if self._turn.acquire(blocking=False):
                try:
                    if not self._closed:
                        self._pump(0)
                finally:
                    self._turn.release()

    def _swap(self, old: AnySocket | None, new: AnySocket | None) -> None:
        if old is not None:
            self._poller.unregister(old)
        if new is not None:
            self._poller.register(new, zmq.POLLIN)
