"""The clone's subscriber as a pure machine: a copy of a subtree that is complete, and that knows when it is not.

Called by the drivers of `publisher.py` and `async_publisher.py`. Rules: each update is applied once, by its sequence; whatever cannot
be proved complete (a number is missing, a count is wrong, the server is another one, or silent) is made so by a new snapshot; the
map is replaced as a whole, so a reader never sees half of one. It works with any server of RFC 12; with ours every loss is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Literal

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.bus.clone import BEAT
from wayhouse.bus.commands import Command, Open, Send
from wayhouse.bus.kvmsg import HUGZ, ICANHAZ, KTHXBAI, KVMsg, read_properties, read_sequence
from wayhouse.bus.snapshots import KVPAGE, MOREPLZ, read_page

Reason = Literal["start", "gap", "restart", "silence", "overflow"]


class State(Enum):
    WAITING = "waiting"
    """For the moment to ask."""
    ASKING = "asking"
    LIVE = "live"


class Changed(msgspec.Struct, frozen=True):
    message: KVMsg


class Deleted(msgspec.Struct, frozen=True):
    key: str


class Synchronised(msgspec.Struct, frozen=True):
    """The map is complete as of `sequence`; what differs from before follows as `Changed` and `Deleted`."""

    sequence: int
    reason: Reason


class Lost(msgspec.Struct, frozen=True):
    """The map may be incomplete from now until `Synchronised`."""

    reason: Reason


SubscriberEvent = Changed | Deleted | Synchronised | Lost


class Patience(msgspec.Struct, frozen=True):
    """Times in seconds."""

    beat_s: float = 0.25
    """How long to wait for a first beat, which proves that the subscription stands, before asking."""
    answer_s: float = 5.0
    """Without any message of a snapshot for so long, it is asked for again."""
    silence_s: float = 5.0
    """A server that sends HUGZ is taken for gone after so long without any."""
    pause_s: float = 1.0
    """Between two questions, at least."""
    buffer: int = 200_000
    """Updates kept while a snapshot comes."""


class Facts(msgspec.Struct, frozen=True):
    """What a server of ours says of itself and of a subtree."""

    server: str = ""
    sequence: int = 0
    count: int | None = None


def read_facts(lines: bytes) -> Facts:
    """Raises `BadInputError`."""
    found = read_properties(lines)
    try:
        count = int(found["count"]) if "count" in found else None
        return Facts(found.get("server", ""), int(found.get("sequence", "0")), count)
    except ValueError:
        raise BadInputError("The facts of a server are numbers.") from None


class Subscriber:
    """`kvmap` maps the full key to its message; `sequence` is that of the newest update in it."""

    def __init__(self, subtree: bytes, now: float, patience: Patience | None = None) -> None:
        self.subtree = subtree
        self._patience = patience or Patience()
        self.state = State.WAITING
        self.kvmap: dict[str, KVMsg] = {}
        self.sequence = 0
        self.malformed = 0
        self._reason: Reason = "start"
        self._incoming: dict[str, KVMsg] = {}
        self._buffer: list[KVMsg] = []
        self._published = 0
        self._server = ""
        self._count: int | None = None
        self._snapshot_sequence = 0
        self._beats = False
        self._asked_at: float | None = None
        self._ask_at = now + self._patience.beat_s
        self._heard_at = self._answered_at = now
        self._outbox: list[Command] = []
        self._events: list[SubscriberEvent] = []

    def topics(self) -> list[bytes]:
        """What to subscribe to, before anything else."""
        return [self.subtree, HUGZ, BEAT + self.subtree]

    def outbox(self) -> list[Command]:
        out, self._outbox = self._outbox, []
        return out

    def events(self) -> list[SubscriberEvent]:
        found, self._events = self._events, []
        return found

    def receive_update(self, frames: Sequence[bytes], now: float) -> None:
        """A message of the subscription: KVPUB, HUGZ or a beat."""
        self._heard_at = now
        try:
            if frames[0].startswith(HUGZ):
                self._beats = True
                self._beat(frames, now)
            else:
                self._update(KVMsg.from_frames(frames), now)
        except (BadInputError, IndexError):
            self.malformed += 1

    def receive_snapshot(self, frames: Sequence[bytes], now: float) -> None:
        """A message of the snapshot connection: KVSYNC, KVPAGE or KTHXBAI."""
        if self.state is not State.ASKING:
            return
        self._answered_at = now
        try:
            if frames[0] == KTHXBAI:
                self._synchronise(frames, now)
            elif len(frames) == 2:
                self._page(frames)
            else:
                KVMsg.from_frames(frames).store(self._incoming)
        except (BadInputError, IndexError):
            self.malformed += 1

    def _page(self, frames: Sequence[bytes]) -> None:
        if frames[0] != KVPAGE:
            raise BadInputError("A message of two frames is a page of a snapshot.")
        incoming = self._incoming
        for key, sequence, body in read_page(frames[1]):
            name = key.decode("utf-8", "surrogateescape")
            incoming[name] = KVMsg(read_sequence(sequence), name, body)
        self._outbox.append(Send([MOREPLZ]))

    def deadline(self) -> float | None:
        """When `tick` has work; None: only when a message comes."""
        patience = self._patience
        if self.state is State.WAITING:
            return self._ask_at
        if self.state is State.ASKING:
            return self._answered_at + patience.answer_s
        return self._heard_at + patience.silence_s if self._beats else None

    def tick(self, now: float) -> None:
        moment = self.deadline()
        if moment is None or now < moment:
            return
        if self.state is State.LIVE:
            self._lose("silence", now)
        else:
            self._ask(now)

    def _ask(self, now: float) -> None:
        """All that came before this is in the answer, so it need not be kept."""
        self.state = State.ASKING
        self._asked_at = self._answered_at = now
        self._incoming, self._buffer = {}, []
        self._outbox += (Open(), Send([ICANHAZ, self.subtree]))

    def _lose(self, reason: Reason, now: float) -> None:
        if self.state is State.LIVE:
            self._events.append(Lost(reason))
        if self._asked_at is not None:
            self._reason = reason
        self.state = State.WAITING
        self._buffer = []
        self._ask_at = now if self._asked_at is None else max(now, self._asked_at + self._patience.pause_s)
        if self._ask_at <= now:
            self._ask(now)

    def _update(self, message: KVMsg, now: float) -> None:
        if message.sequence <= self._published:
            self._published = message.sequence
            self._lose("restart", now)
            return
        self._published = message.sequence
        if self.state is State.LIVE:
            self._live(message, now)
        elif self.state is State.ASKING:
            self._buffer.append(message)
            if len(self._buffer) > self._patience.buffer:
                self._lose("overflow", now)

    def _live(self, message: KVMsg, now: float) -> None:
        if message.sequence <= self.sequence:
            return  # the snapshot has it
        if not self.subtree and self._server and message.sequence != self.sequence + 1:
            self._lose("gap", now)
            return
        self.sequence = message.sequence
        if self._count is not None:
            self._count += 1
        key = message.key or ""
        known = key in self.kvmap
        message.store(self.kvmap)
        if message.body is not None:
            self._events.append(Changed(message))
        elif known:
            self._events.append(Deleted(key))

    def _beat(self, frames: Sequence[bytes], now: float) -> None:
        if frames[0] != BEAT + self.subtree:
            return
        facts = read_facts(frames[3] if len(frames) == 5 else frames[2])
        if self._server and facts.server != self._server:
            self._server = facts.server
            self._published = 0
            self._lose("restart", now)
        elif self._asked_at is None:
            self._server = facts.server
            self._ask(now)
        elif self.state is State.LIVE and self._is_short(facts):
            self._lose("gap", now)
        else:
            self._server = facts.server

    def _is_short(self, facts: Facts) -> bool:
        """Whether a beat, which comes behind all updates that it counts, counts others than came here."""
        if facts.sequence < self._snapshot_sequence:
            return False  # it is older than the snapshot
        return facts.count != self._count

    def _synchronise(self, frames: Sequence[bytes], now: float) -> None:
        sequence = read_sequence(frames[1])
        facts = read_facts(frames[3] if len(frames) in {4, 5} else b"")
        old, self.kvmap = self.kvmap, self._incoming
        self.sequence = sequence
        self._snapshot_sequence = facts.sequence
        self._server = facts.server or self._server
        self._count = facts.count
        self.state = State.LIVE
        self._events.append(Synchronised(sequence, self._reason))
        self._tell_difference(old)
        self._heard_at = max(self._heard_at, now)
        buffered, self._buffer, self._incoming = self._buffer, [], {}
        for message in buffered:
            if self.state is State.LIVE:
                self._live(message, now)

    def _tell_difference(self, old: dict[str, KVMsg]) -> None:
        for key, message in self.kvmap.items():
            before = old.get(key)
            if (
                before is None
                or before.body != message.body
                or (message.sequence and before.sequence != message.sequence)
            ):
                self._events.append(Changed(message))
        self._events.extend(Deleted(key) for key in old if key not in self.kvmap)
