"""The key/value clone's server as a pure machine (RFC 12, CHP; contract section 8): one map, one sequence, everything published.

Called by `drivers/clone_sockets.py`. Rules: each update gets the next sequence and is published before the next is read; no message
can stop it; what does not fit its limits is refused and reported; a subscriber can prove that it missed nothing, because each
subtree that a client of ours watches has a count of its updates.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from wayhouse.base.errors import BadInputError, TooLargeError, UnavailableError, WayhouseError
from wayhouse.bus.kvmsg import HUGZ, ICANHAZ, KTHXBAI, MAX_KEY_BYTES, Form, read_properties
from wayhouse.bus.overview import CloneFigures
from wayhouse.bus.snapshots import MOREPLZ, Copy, Item, Snapshots

BEAT = b"HUGZ="
"""A subscription to this and a subtree asks for beats that carry the subtree's count. RFC 12's HUGZ stays as it is beside it."""
MAX_TTL_S = 10 * 365 * 86400.0
NOTHING = b""


class Limits(msgspec.Struct, frozen=True):
    keys: int = 1_000_000
    total_bytes: int = 256 * 1024 * 1024
    body_bytes: int = 4 * 1024 * 1024
    watched: int = 1000
    """Subtrees with a count."""


class Refused(msgspec.Struct, frozen=True):
    """A message was not taken. `code` is the error's; texts of peers are not repeated."""

    code: str
    message: str


class Expired(msgspec.Struct, frozen=True):
    key: bytes


class Stalled(msgspec.Struct, frozen=True):
    """So many askers did not take their snapshots."""

    count: int


CloneEvent = Refused | Expired | Stalled


class Clone:
    """`server` names this run of the server: 16 bytes. `sequence` is where counting begins; above that of the last run, old
    clients do not take what comes after a restart for something that they know already."""

    def __init__(
        self,
        server: bytes,
        now: float,
        *,
        form: Form = Form.CHP,
        sequence: int = 0,
        limits: Limits | None = None,
        beat_s: float = 1.0,
        keeps: bool = False,
    ) -> None:
        """`keeps`: what changes is to be fetched with `unsaved`."""
        self._form = form
        self._keeps = keeps
        self._unsaved: dict[bytes, bytes] = {}
        self._server = server.hex().encode()
        self._limits = limits or Limits()
        self._beat_s = beat_s
        self._beat_at = now + beat_s
        self._map: dict[bytes, Item] = {}
        self._bytes = 0
        self._expiries: dict[bytes, float] = {}
        self._queue: list[tuple[float, bytes]] = []
        self._watched: dict[bytes, int] = {}
        self._watchers: dict[bytes, int] = {}
        self.subscribers = 0
        self._outbox: list[list[bytes]] = []
        self._events: list[CloneEvent] = []
        self.sequence = sequence
        self.snapshots = Snapshots(form, self._copy)

    def __len__(self) -> int:
        return len(self._map)

    def keys(self, start: bytes = b"") -> Iterator[bytes]:
        """Those that begin with `start`, in the order in which they came."""
        return (key for key in self._map if key.startswith(start)) if start else iter(self._map)

    def restore(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """(key, body) of an earlier run, before anything else; what does not fit the limits any more is refused."""
        for key, body in items:
            try:
                self._check_key(key)
                self._fit(key, body)
            except WayhouseError as error:
                self._refuse(error)
                continue
            self.sequence += 1
            self._map[key] = (key, self._form.pack_sequence(self.sequence), body)
            self._bytes += len(key) + len(body)

    def unsaved(self) -> dict[bytes, bytes]:
        """The newest body of each key that changed since the last call, empty for one that is gone; keys with a ttl are left out."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def figures(self) -> CloneFigures:
        return CloneFigures(
            keys=len(self._map), bytes=self._bytes, subscribers=self.subscribers, sequence=self.sequence
        )

    def outbox(self) -> list[list[bytes]]:
        """What is to be published, in this order; taken once."""
        out, self._outbox = self._outbox, []
        return out

    def events(self) -> list[CloneEvent]:
        found, self._events = self._events, []
        return found

    def receive_update(self, frames: Sequence[bytes], now: float) -> None:
        """A message of the collector: KVSET, of three or five frames."""
        try:
            self._update(frames, now)
        except WayhouseError as error:
            self._refuse(error)

    def receive_request(self, frames: Sequence[bytes], now: float) -> None:
        """A message of the snapshot socket, the peer's identity first: ICANHAZ or MOREPLZ."""
        try:
            self._request(frames)
        except WayhouseError as error:
            self._refuse(error)

    def receive_subscription(self, frame: bytes, now: float) -> None:
        """What a verbose XPUB socket gives for each subscriber: 1 (begins) or 0 (ended), and the topic."""
        kind, topic = frame[:1], frame[1:]
        if kind not in {b"\0", b"\1"}:
            return
        if not topic.startswith(HUGZ):
            self.subscribers = max(0, self.subscribers + (1 if kind == b"\1" else -1))
        elif topic.startswith(BEAT) and len(topic) <= len(BEAT) + MAX_KEY_BYTES:
            (self._watch if kind == b"\1" else self._unwatch)(topic[len(BEAT) :])

    def deadline(self, now: float) -> float:
        """When `tick` or a snapshot has work, seconds of the same clock as `now`."""
        moments = [self._beat_at]
        if self._queue:
            moments.append(self._queue[0][0])
        if (moment := self.snapshots.deadline(now)) is not None:
            moments.append(moment)
        return min(moments)

    def tick(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            when, key = heapq.heappop(self._queue)
            if self._expiries.get(key) == when:
                self._publish(key, NOTHING, NOTHING, NOTHING)
                self._events.append(Expired(key))
        if self._beat_at <= now:
            self._beat_at = now + self._beat_s
            zero = self._form.pack_sequence(0)
            self._outbox.append(self._form.frames(HUGZ, zero, NOTHING))
            for subtree in self._watched:
                self._beat(subtree)
        if stalled := self.snapshots.tick(now):
            self._events.append(Stalled(stalled))

    def _update(self, frames: Sequence[bytes], now: float) -> None:
        if len(frames) == 5:
            key, _, uuid, lines, body = frames
        elif len(frames) == 3:
            key, _, body = frames
            uuid = lines = NOTHING
        else:
            raise BadInputError("An update has 3 or 5 frames.")
        self._check_key(key)
        if len(uuid) not in {0, 16}:
            raise BadInputError("A uuid has 16 bytes or none.")
        ttl_s = read_ttl(lines) if lines else 0.0
        self._fit(key, body)
        self._publish(key, uuid, lines, body)
        if self._keeps:
            self._unsaved[key] = NOTHING if ttl_s else body
        if ttl_s and body:
            self._expiries[key] = now + ttl_s
            heapq.heappush(self._queue, (now + ttl_s, key))
            self._tidy()

    def _check_key(self, key: bytes) -> None:
        if not key or len(key) > MAX_KEY_BYTES or key == KTHXBAI or key.startswith(HUGZ):
            raise BadInputError(
                f"A key has 1 to {MAX_KEY_BYTES} bytes and is none of the protocol's own words."
            )

    def _fit(self, key: bytes, body: bytes) -> None:
        if not body:
            return
        limits = self._limits
        if len(body) > limits.body_bytes:
            raise TooLargeError(f"A body of more than {limits.body_bytes} bytes is not taken.")
        if key not in self._map and len(self._map) >= limits.keys:
            raise UnavailableError(f"The map is full: {limits.keys} keys. Delete some.")
        if self._bytes + len(key) + len(body) - self._size(key) > limits.total_bytes:
            raise UnavailableError(f"The map is full: {limits.total_bytes} bytes. Delete some keys.")

    def _size(self, key: bytes) -> int:
        item = self._map.get(key)
        return 0 if item is None else len(key) + len(item[2])

    def _publish(self, key: bytes, uuid: bytes, lines: bytes, body: bytes) -> None:
        self.sequence += 1
        packed = self._form.pack_sequence(self.sequence)
        if self._expiries:
            self._expiries.pop(key, None)
        old = self._map.get(key)
        if old is not None:
            self._bytes -= len(key) + len(old[2])
        if body:
            self._map[key] = (key, packed, body)
            self._bytes += len(key) + len(body)
        elif old is not None:
            del self._map[key]
        for subtree in self._watched:
            if key.startswith(subtree):
                self._watched[subtree] += 1
        self._outbox.append(self._form.frames(key, packed, body, uuid, lines))

    def _tidy(self) -> None:
        """Keys that are renewed before they expire leave old entries behind."""
        if len(self._queue) > 2 * len(self._expiries) + 1000:
            self._queue = [(when, key) for key, when in self._expiries.items()]
            heapq.heapify(self._queue)

    def _request(self, frames: Sequence[bytes]) -> None:
        if not 2 <= len(frames) <= 3:
            raise BadInputError("A snapshot is asked for with ICANHAZ? and a subtree.")
        identity, verb = frames[0], frames[1]
        subtree = frames[2] if len(frames) == 3 else NOTHING
        if verb == MOREPLZ:
            self.snapshots.more(identity)
        elif verb != ICANHAZ or len(subtree) > MAX_KEY_BYTES:
            raise BadInputError("A snapshot is asked for with ICANHAZ? and a subtree.")
        elif not self.snapshots.ask(identity, subtree):
            raise UnavailableError("Too many snapshots are asked for: ask again later.")

    def _copy(self, subtree: bytes) -> Copy:
        items = list(self._map.values())
        if subtree:
            items = [item for item in items if item[0].startswith(subtree)]
        return Copy(items, self._form.pack_sequence(self.sequence), subtree, self._facts(subtree))

    def _facts(self, subtree: bytes) -> bytes:
        facts = b"server=%s\nsequence=%d\n" % (self._server, self.sequence)
        count = self._watched.get(subtree)
        return facts if count is None else facts + b"count=%d\n" % count

    def _watch(self, subtree: bytes) -> None:
        """A count begins at the present sequence, so that a new one never equals an old one by chance."""
        if subtree not in self._watched:
            if len(self._watched) >= self._limits.watched:
                self._refuse(UnavailableError("Too many subtrees are watched: this one has no count."))
                return
            self._watched[subtree] = self.sequence
        self._watchers[subtree] = self._watchers.get(subtree, 0) + 1
        self._beat(subtree)

    def _unwatch(self, subtree: bytes) -> None:
        """With its last watcher its count goes."""
        left = self._watchers.pop(subtree, 0) - 1
        if left > 0:
            self._watchers[subtree] = left
        else:
            self._watched.pop(subtree, None)

    def _beat(self, subtree: bytes) -> None:
        zero = self._form.pack_sequence(0)
        self._outbox.append(self._form.note(BEAT + subtree, zero, self._facts(subtree)))

    def _refuse(self, error: WayhouseError) -> None:
        if len(self._events) < 1000:
            self._events.append(Refused(error.code, error.message))


def read_ttl(lines: bytes) -> float:
    """Seconds, 0 for none. Raises `BadInputError` for properties or a ttl that make no sense."""
    text = read_properties(lines).get("ttl", "0")
    try:
        ttl_s = float(text)
    except ValueError:
        raise BadInputError("A ttl is a number of seconds.") from None
    if not 0 <= ttl_s <= MAX_TTL_S:
        raise BadInputError("A ttl is a number of seconds, at most ten years.")
    return ttl_s
