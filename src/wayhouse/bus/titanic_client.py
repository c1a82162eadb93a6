"""`TitanicClient`: durable requests for programs with threads, with the names of RasPy's manual.

Called by programs. Rules: `request` returns when the request is on disk, and asking again after a lost answer does not double it, where
the Titanic is ours; nothing waits for ever; any thread may call anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.model import CLIENT_RETRIES, CLIENT_TIMEOUT_S, Frames, NoReplyError
from wayhouse.bus.titanic_book import Callback, Data, Text
from wayhouse.bus.titanic_talk import Asking, Held, Pause, Result, Step

BROKER = "tcp://127.0.0.1:5514"
POLL_MS, TTL_S = 1500, 900


class TitanicClient(Asking):
    """`poll` in milliseconds, `ttl` in seconds, as in RasPy; `timeout_s` is for one attempt of `retries`."""

    def __init__(
        self,
        broker: str = BROKER,
        hostname: str = "localhost",
        *,
        poll: float = POLL_MS,
        ttl: float = TTL_S,
        timeout_s: float = CLIENT_TIMEOUT_S,
        retries: int = CLIENT_RETRIES,
        keys: Keys = NO_KEYS,
    ) -> None:
        """Raises `EndpointError` for an address that cannot be."""
        super().__init__(broker, hostname, poll=poll, ttl=ttl, timeout_s=timeout_s, retries=retries)
        self._client = MajorDomoClient(broker, keys=keys)
        self._client.timeout, self._client.retries = round(timeout_s * 1000), retries
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._destroyed = False

    def request(  # noqa: PLR0913 - five are of the manual
        self,
        service: Text | None = None,
        data: Data = ("mmi.echo",),
        callback: Callback | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        hostname: str | None = None,
        uuid: Text | None = None,
        once: bool = False,
        ttl_s: float | None = None,
    ) -> str:
        """Have `service` of `hostname` (by default that of the constructor, none if empty) do `data`; the request's uuid.

        `uuid`: 32 hexadecimal digits of your choice; asking again with the same ones does it once, also after a crash of whoever
        asks, and for a day after the request was closed (its answer is gone then, and `take` raises `ClientError`).
        `once`: it is never sent twice, even if that means never to learn what became of it. `ttl_s`: how long it may take.
        Raises `ClientError` for 400, `ServerError` for 500, `NoReplyError` when nobody answers.
        """
        host = self.hostname if hostname is None else hostname
        given = self._hold(self._talks.request(host, service, data, uuid, ttl_s, once=once))
        return self._note(given, time.monotonic(), callback, args, kwargs)

    def send(self, service: Text, request: Data) -> Frames | None:
        """A plain request; its reply, None when nobody answers."""
        with self._lock:
            return None if self._destroyed else self._client.send(service, request)

    def run(self) -> None:
        """Every `poll` milliseconds ask for replies and call those who wait for them, until `shutdown`."""
        while not self._stopping.wait(self.poll / 1000):
            self.check()

    def check(self) -> None:
        """Ask once for all that is outstanding."""
        self._hold(self._talks.check(time.monotonic()))

    def shutdown(self) -> None:
        self._stopping.set()

    def destroy(self) -> None:
        """Stops `run`, too. What was asked for goes on; its replies stay with Titanic until they expire."""
        self.shutdown()
        with self._lock:
            if not self._destroyed:
                self._destroyed = True
                self._client.destroy()

    def _hold(self, talk: Generator[Step, Frames | None, Result]) -> Result:
        held, answer = Held(talk), None
        while (step := held.next(answer)) is not None:
            answer = None
            if not isinstance(step, Pause):
                answer = self.send(step.service, step.body)
            elif self._stopping.wait(step.seconds):
                raise NoReplyError("The client was shut down while it waited for Titanic.")
        return held.result
