"""Titanic's process: durable requests and `titanic.store`, as a worker of the broker, and as its client for dispatch.

Started by hand or by a supervisor: `python -m wayhouse.bus.titanic_server --broker tcp://127.0.0.1:5514 --data /var/lib/wayhouse/bus`.
Rules: one loop, one thread; everything that came while the last commit ran is one transaction and one sync; nothing is answered
and nothing marked `once` is sent before it is on disk; when the disk fails, who asks is told so and what is known is kept in
memory until it can be written. SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wayhouse.base.clock import Clock, SystemClock
from wayhouse.base.errors import WayhouseError
from wayhouse.bus import mdp
from wayhouse.bus.drivers.lifeline import kept
from wayhouse.bus.drivers.titanic_events import Announcer
from wayhouse.bus.drivers.titanic_sockets import PROBE, TitanicSockets
from wayhouse.bus.drivers.watchdog import Watchdog
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.link import Job, Link
from wayhouse.bus.model import CLIENT_TIMEOUT_S, ERROR, OK, Frames
from wayhouse.bus.titanic import Answered, Ask, Dispatcher, Drop, Event, Failed, Send, Unsent
from wayhouse.bus.titanic_expiry import Expiry
from wayhouse.bus.titanic_model import REQUEST, SERVICES, STORE, TitanicSettings, Waiting
from wayhouse.bus.titanic_records import Revision
from wayhouse.bus.titanic_services import TitanicServices
from wayhouse.bus.titanic_store import TitanicStore
from wayhouse.runtime import systemd

CREDIT = 256
WAIT_S = 0.5
FILE = "titanic.db"
INTERRUPTED = "Titanic was stopped after the request was sent once; whether it was done is not known."

log = logging.getLogger(__name__)


class TitanicServer:
    """`turn` again and again, then `close`. `expired` hears of values that have expired, after the commit."""

    def __init__(
        self,
        endpoint: str,
        path: Path,
        settings: TitanicSettings | None = None,
        *,
        clock: Clock | None = None,
        expired: Callable[[Sequence[Revision]], None] = lambda _: None,
        keys: Keys = NO_KEYS,
    ) -> None:
        """Raises `PermanentError` for a file that cannot be used, `EndpointError` for an address that cannot be."""
        self._clock = clock or SystemClock()
        self._opened_at = self._clock.monotonic()
        self.store = TitanicStore(path, self._clock.wall(), settings)
        self.dispatcher = Dispatcher(settings)
        self._services = TitanicServices(self.store, self.dispatcher)
        self._expiry = Expiry(self.store)
        self._expired = expired
        self._unsaved: list[Event] = []
        self._probe_at = 0.0
        self._load()
        self._links = [_link(name, self._clock.monotonic()) for name in SERVICES]
        try:
            self._sockets = TitanicSockets(endpoint, self._links, self._clock.monotonic(), keys)
        except WayhouseError:
            self.store.close()
            raise

    def turn(self, wait_s: float = WAIT_S) -> None:
        """Wait for messages or for what is due, then do all of it with one commit."""
        self._sockets.wait(min(wait_s, self._until_due()))
        mono = self._clock.monotonic()
        if self._sockets.broke():
            self._begin_anew(mono)
        arrived = list(self._sockets.requests(mono))
        now = self.now()
        before = self._hear(now)
        if arrived or before or self._unsaved or self._is_due(now):
            self._transact(arrived, now)
        self._sockets.tend(mono)
        self._ask_broker(mono)

    def wake(self) -> None:
        """From a signal handler or another thread: the present `turn` ends at once."""
        self._sockets.waker.wake()

    def now(self) -> float:
        """The store's time."""
        return self.store.time(self._clock.monotonic() - self._opened_at)

    def close(self) -> None:
        self._sockets.close(self._clock.monotonic())
        self.store.close()

    def _load(self) -> None:
        for waiting, was_sent in self.store.unfinished():
            if was_sent:
                self._unsaved.append(Failed(waiting.seq, INTERRUPTED))
            else:
                self.dispatcher.add(waiting)

    def _until_due(self) -> float:
        mono, now = self._clock.monotonic(), self.now()
        due = min(self._expiry.deadline(), self.dispatcher.deadline() or math.inf) - now
        return max(0.0, min(due, min(link.deadline() or math.inf for link in self._links) - mono))

    def _is_due(self, now: float) -> bool:
        deadline = self.dispatcher.deadline()
        return self._expiry.deadline() <= now or (deadline is not None and deadline <= now)

    def _hear(self, now: float) -> bool:
        """What came on lanes; whether anything did."""
        heard = False
        for lane, reply in list(self._sockets.replies()):
            heard = True
            if lane == PROBE:
                self._sockets.drop(PROBE)
                self.dispatcher.go_on(knows_refusals=reply.body[-1:] == [OK])
            else:
                self.dispatcher.receive(lane, reply.service, reply.body, now)
        return heard

    def _transact(self, arrived: Sequence[tuple[Link, Job]], now: float) -> None:
        """One transaction: all that came, all that is due. Answers and dispatch follow its commit."""
        wall, actions, reopened = self._clock.wall(), list[Send | Ask | Drop](), list[Waiting]()
        try:
            self._services.start()
            self.store.begin()
            answers = [
                (link, job, self._services.answer(link.service, job.body, now, wall)) for link, job in arrived
            ]
            self._tell_dispatcher(reopened, now)
            self._unsaved += self.dispatcher.events()
            for event in self._unsaved:
                self._note(event, now)
            actions = self.dispatcher.outbox()
            for action in actions:
                if type(action) is Send and action.once:
                    self.store.mark_sent(action.seq)
            gone = self._expiry.sweep(now, wall)
            self.store.keep_clock(now, wall)
            self.store.commit()
        except sqlite3.Error as error:
            self._failed(error, arrived, actions, reopened, now)
            return
        self._unsaved = []
        self._sockets.answer(answers, self._clock.monotonic())
        for action in actions:
            self._act(action, now)
        if gone:
            self._expired(gone)

    def _tell_dispatcher(self, reopened: list[Waiting], now: float) -> None:
        forgotten = map(self.dispatcher.forget, self._services.closed)
        reopened.extend(one for one in forgotten if one is not None)
        for waiting in self._services.accepted:
            self.dispatcher.add(waiting)
        for seq in self._services.closed:
            self.dispatcher.forget(seq)
        self.dispatcher.tick(now)

    def _note(self, event: Event, now: float) -> None:
        if isinstance(event, Unsent):
            self.store.unmark_sent(event.seq)
        elif isinstance(event, Answered):
            self.store.finish(event.seq, event.body, now, is_answer=True)
        else:
            self.store.finish(event.seq, [event.reason.encode()], now, is_answer=False)

    def _failed(
        self,
        error: sqlite3.Error,
        arrived: Sequence[tuple[Link, Job]],
        actions: Sequence[Send | Ask | Drop],
        reopened: Sequence[Waiting],
        now: float,
    ) -> None:
        """The disk took nothing: undo what was decided, and say so to all."""
        log.error("durable requests cannot be written (%s); free space on %s", error, self.store.path.parent)
        self.store.rollback()
        for action in actions:
            if isinstance(action, Send):
                self.dispatcher.put_back(action, now)
            else:
                self._act(action, now)
        for waiting in self._services.accepted:
            self.dispatcher.forget(waiting.seq)
        for waiting in reopened:
            self.dispatcher.add(waiting)
        for action in self.dispatcher.outbox():
            if isinstance(action, Drop):
                self._act(action, now)
        self._unsaved += self.dispatcher.events()
        text = b"The disk did not take it; nothing was stored."
        self._sockets.answer(
            [(link, job, _refusal(link.service, text)) for link, job in arrived],
            self._clock.monotonic(),
        )

    def _act(self, action: Send | Ask | Drop, now: float) -> None:
        if isinstance(action, Drop):
            self._sockets.drop(action.lane)
        elif isinstance(action, Ask):
            self._sockets.send_on(action.lane, b"mmi.service", [action.service])
        else:
            body = self._services.bodies.get(action.seq) or self.store.body(action.seq)
            label = action.service
            if action.once and self.dispatcher.knows_refusals:
                label = mdp.build_label(action.service, once=True)
            if not self._sockets.send_on(action.lane, label, body):
                self.dispatcher.put_back(action, now)

    def _begin_anew(self, mono: float) -> None:
        """The connection broke; what was under way will not be answered."""
        log.warning("the connection to the broker was lost")
        self._sockets.drop_all()
        self.dispatcher.lose_all(self.now())
        self._probe_at = 0.0
        for link in self._links:
            link.broke(mono)

    def _ask_broker(self, mono: float) -> None:
        """Whether it is one of ours, before anything is sent; again until it answers."""
        if self.dispatcher.is_held and mono >= self._probe_at:
            self._probe_at = mono + CLIENT_TIMEOUT_S
            self._sockets.drop(PROBE)
            self._sockets.send_on(PROBE, b"mmi.ping", [b""])


def _link(service: bytes, now: float) -> Link:
    """Requests that change something are not to be given to a second Titanic when this one dies: it may have done them. A slow disk may
    hold up heartbeats, so they are not promised."""
    return Link(service, now, credit=CREDIT, once=service in {REQUEST, STORE}, beats=False)


def _refusal(service: bytes, text: bytes) -> Frames:
    return [ERROR] if service == STORE else [ERROR, text]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="wayhouse.bus.titanic_server", description="Durable requests.")
    parser.add_argument("--broker", required=True, help="the broker's address, tcp://HOST:PORT or ipc://PATH")
    parser.add_argument("--data", required=True, type=Path, help="the folder that holds titanic.db")
    parser.add_argument(
        "--collector", help="the collector of the key/value clone; expired values are told there"
    )
    parser.add_argument(
        "--keys", type=Path, metavar="FILE", help="who this is to a bus over TCP, see wayhouse.bus.keys"
    )
    parser.add_argument("--lanes-per-service", type=int, default=TitanicSettings().lanes_per_service)
    parser.add_argument(
        "--traces", type=Path, metavar="DIR", help="where `wayhouse trace` finds this process"
    )
    parser.add_argument(
        "--lifeline", type=Path, metavar="FILE", help="end once nobody else has the lock on FILE"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s: %(message)s")
    try:
        settings = TitanicSettings(lanes_per_service=options.lanes_per_service)
        keys = Keys.from_file(options.keys) if options.keys else NO_KEYS
        told = Announcer(options.collector, keys) if options.collector else None
        server = TitanicServer(
            options.broker, options.data / FILE, settings, expired=told or (lambda _: None), keys=keys
        )
    except (WayhouseError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - to whoever started it
        return 1
    return serve(server, os.environ, lock=options.lifeline, traces=options.traces)


def serve(
    server: TitanicServer, env: Mapping[str, str], *, lock: Path | None = None, traces: Path | None = None
) -> int:
    """Turn until a signal comes, or until nobody else has the lock; a service manager named in `env` is kept informed."""
    ended = list[int]()

    def end() -> None:
        ended.append(0)
        server.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end())
    systemd.ready(env, f"durable requests in {server.store.path}")
    watchdog = Watchdog(env, time.monotonic())
    try:
        with kept("titanic", end, lock=lock, traces=traces):
            while not ended:
                server.turn()
                watchdog.tick(time.monotonic())
    finally:
        systemd.stopping(env)
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
