"""Clients of the Majordomo broker for programs with threads: RasPy's `MajorDomoClient`, and one with many calls under way.

The asyncio one is in `async_client.py`; all share the machine of `calls.py`. Rules: one thread at a time uses a client; nothing waits
longer than it was told to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.calls import Answered, Calls
from wayhouse.bus.drivers.dealer import Dealer
from wayhouse.bus.drivers.frames import AnySocket, drain
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.kvmsg import to_bytes
from wayhouse.bus.model import CLIENT_RETRIES, CLIENT_TIMEOUT_S, EndpointError, Frames, NoReplyError

log = logging.getLogger(__name__)

Request = str | bytes | Sequence[str | bytes]


def body_of(request: Request) -> Frames:
    """One frame of a text or bytes, several of a list of them."""
    if isinstance(request, str | bytes):
        return [to_bytes(request)]
    return [to_bytes(frame) for frame in request]


class _Connection:
    """A machine, its DEALER and the poll loop that both clients run while they wait."""

    def __init__(self, broker: str, machine: Calls, keys: Keys) -> None:
        self.machine = machine
        self.context: zmq.Context[AnySocket] = zmq.Context()
        self.poller = zmq.Poller()
        self.dealer = Dealer(self.context, broker, self._swap, keys)
        try:
            self.dealer.perform(machine.outbox())
        except EndpointError:
            self.context.term()
            raise

    def step(self, until: float) -> None:
        """Wait for messages until the machine's deadline or `until`, and handle a batch."""
        self.dealer.perform(self.machine.outbox())
        moment = self.machine.deadline()
        wait_s = (until if moment is None else min(moment, until)) - time.monotonic()
        self.poller.poll(max(0, round(wait_s * 1000 + 0.5)))
        now = time.monotonic()
        if self.dealer.socket is not None:
            for frames in drain(self.dealer.socket):
                self.machine.receive(frames, now)
        self.machine.tick(now)
        self.dealer.perform(self.machine.outbox())

    def close(self) -> None:
        self.dealer.close()
        self.context.term()

    def _swap(self, old: AnySocket | None, new: AnySocket | None) -> None:
        if old is not None:
            self.poller.unregister(old)
        if new is not None:
            self.poller.register(new, zmq.POLLIN)


class MajorDomoClient:
    """RasPy's: one call at a time, with any broker of MDP 0.1 (or, with `version=2`, 0.2). `timeout` is that of an attempt in
    milliseconds, `retries` the number of attempts. Raises `EndpointError` for an address that is none."""

    timeout = int(CLIENT_TIMEOUT_S * 1000)
    retries = CLIENT_RETRIES
    verbose = False

    def __init__(
        self, broker: str, *, verbose: bool = False, version: int = mdp.V01, keys: Keys = NO_KEYS
    ) -> None:
        self.broker = broker
        self.verbose = verbose
        self._connection = _Connection(broker, Calls(marks=False, version=version), keys)

    @property
    def ctx(self) -> zmq.Context[AnySocket]:
        return self._connection.context

    @property
    def client(self) -> AnySocket | None:
        """The present socket."""
        return self._connection.dealer.socket

    @property
    def poller(self) -> zmq.Poller:
        return self._connection.poller

    def reconnect_to_broker(self) -> None:
        self._connection.machine.reopen(time.monotonic())
        self._connection.dealer.perform(self._connection.machine.outbox())

    def send(self, service: str | bytes, request: Request) -> Frames | None:
        """The reply's body, None when nobody answered. Raises `MalformedError` for a name that cannot be sent."""
        machine, now = self._connection.machine, time.monotonic()
        attempt_s = self.timeout / 1000
        call = machine.start(
            to_bytes(service), body_of(request), now, attempt_s=attempt_s, attempts=self.retries
        )
        body: Frames = []
        while True:
            for event in machine.events():
                if event.call != call:
                    continue
                if not isinstance(event, Answered):
                    self._say("no reply from %s", service)
                    return None
                body += event.body
                if event.final:
                    self._say("a reply of %d frames from %s", len(body), service)
                    return body
            self._connection.step(time.monotonic() + attempt_s)

    def destroy(self) -> None:
        self._connection.close()

    def _say(self, message: str, *values: object) -> None:
        if self.verbose:
            log.info(message, *values)


class PipeliningClient:
    """Many calls under way on one connection to our broker: `submit` them, then `result` of each, in any order."""

    def __init__(
        self,
        broker: str,
        *,
        version: int = mdp.V01,
        marks: bool = True,
        max_calls: int = 10_000,
        keys: Keys = NO_KEYS,
    ) -> None:
        calls = Calls(marks=marks, version=version, max_calls=max_calls)
        self._connection = _Connection(broker, calls, keys)
        self._bodies: dict[int, Frames] = {}
        self._done: dict[int, Frames | None] = {}

    def submit(
        self,
        service: str | bytes,
        request: Request,
        *,
        timeout_s: float = CLIENT_TIMEOUT_S * CLIENT_RETRIES,
        attempt_s: float = CLIENT_TIMEOUT_S,
        once: bool = False,
    ) -> int:
        """Gives the call's number. It is asked again each `attempt_s` until `timeout_s` have passed, unless `once`. Raises
        `TooManyRequestsError`, `MalformedError`."""
        now = time.monotonic()
        attempts = max(1, round(timeout_s / attempt_s))
        number = self._connection.machine.start(
            to_bytes(service), body_of(request), now,
            attempt_s=min(attempt_s, timeout_s), attempts=attempts, deadline=now + timeout_s, once=once,
        )  # fmt: skip
        self._connection.dealer.perform(self._connection.machine.outbox())
        self._bodies[number] = []
        return number

    def result(self, number: int) -> Frames:
        """Waits for it; gives it once. Raises `NoReplyError` after its deadline, `KeyError` for a number that is not under way."""
        while number not in self._done:
            if number not in self._bodies:
                raise KeyError(number)
            self._connection.step(time.monotonic() + 1.0)
            self._collect()
        body = self._done.pop(number)
        if body is None:
            raise NoReplyError("Nobody answered in time: is a worker of this service running?")
        return body

    def forget(self, number: int) -> None:
        """Its result is not wanted."""
        self._connection.machine.cancel(number, time.monotonic())
        self._connection.dealer.perform(self._connection.machine.outbox())
        self._bodies.pop(number, None)
        self._done.pop(number, None)

    def destroy(self) -> None:
        self._connection.close()

    def _collect(self) -> None:
        for event in self._connection.machine.events():
            if event.call not in self._bodies:
                continue
            if not isinstance(event, Answered):
                del self._bodies[event.call]
                self._done[event.call] = None
                continue
            self._bodies[event.call] += event.body
            if event.final:
                self._done[event.call] = self._bodies.pop(event.call)
