"""The verbs of `titanic.store`. Called by `titanic_services`; the status is the last frame, as RasPy has it.

Requests are [verb][service][section][key]..., answers begin with the names that were given. Rules: [500] when frames are missing
or no number is where one should be, [501] for an unknown verb, and nothing that comes can raise.

| verb | further frames | answer behind the names |
|---|---|---|
| set | value, seconds to live (if not for ever) | [200] |
| get | | [value][200] or [404] |
| delete | (key, or key and section, may be left out) | [200], or [500] for a section that does not exist |
| cas | revision it must have (0: none), value, seconds | [new revision][200] or [present revision][409] |
| read | | [value][revision][seconds left or empty][200] or [404] |
| history | | newest first, each [revision][Unix time][set, deleted or expired][value], then [200] |
| list | (section, or both names, may be left out) | no names: [item]..., then [200], or [300] when there is more |
| list_after | the same, then the item to go on behind | as `list` |
| list_keys | (section may be left out) | all items in one frame, joined by a bar, then [200], or [300] when there is more |
| changes | a revision alone | each [revision][what][service][section][key][value], then [200], or [300] when there is more |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wayhouse.bus.model import ERROR, NOT_FOUND, NOT_IMPLEMENTED, OK, PENDING, Frames, MalformedError
from wayhouse.bus.titanic_model import TitanicSettings, parse_seconds
from wayhouse.bus.titanic_records import WHAT, Key, NoSectionError, Records, Revision, RevisionError

CONFLICT = b"409"

Verb = Callable[[Frames, float, float], Frames]


class StoreVerbs:
    def __init__(self, records: Records, settings: TitanicSettings) -> None:
        self._records = records
        self._settings = settings
        self._verbs: dict[bytes, tuple[int, Verb]] = {
            b"set": (4, self._set),
            b"get": (3, self._get),
            b"delete": (1, self._delete),
            b"cas": (5, self._cas),
            b"read": (3, self._read),
            b"history": (3, self._history),
            b"list": (0, self._list),
            b"list_after": (1, self._list_after),
            b"list_keys": (1, self._list_keys),
            b"changes": (1, self._changes),
        }
        """With how many frames each needs."""

    def answer(self, body: Frames, now: float, wall: float) -> Frames:
        if not body:
            return [ERROR]
        needed, verb = self._verbs.get(body[0], (0, None))
        if verb is None:
            return [NOT_IMPLEMENTED]
        frames = body[1:]
        if len(frames) < needed or not self._fits(frames):
            return [ERROR]
        try:
            return verb(frames, now, wall)
        except MalformedError:
            return [*frames[:3], ERROR]

    def _fits(self, frames: Sequence[bytes]) -> bool:
        names = max(map(len, frames[:3]), default=0) <= self._settings.max_key_bytes
        return names and sum(map(len, frames)) <= self._settings.max_body_bytes

    def _set(self, frames: Frames, now: float, wall: float) -> Frames:
        key = _key(frames)
        self._records.put(key, frames[3], now, wall, ttl_s=_ttl(frames[4:]))
        return [*key, OK]

    def _get(self, frames: Frames, now: float, wall: float) -> Frames:
        key = _key(frames)
        record = self._records.get(key, now)
        return [*key, NOT_FOUND] if record is None else [*key, record.value, OK]

    def _delete(self, frames: Frames, now: float, wall: float) -> Frames:
        place = frames[:3]
        try:
            self._records.delete(place, wall)
        except NoSectionError:
            return [*place[:2], ERROR]
        return [*place, OK]

    def _cas(self, frames: Frames, now: float, wall: float) -> Frames:
        key, expected = _key(frames), _number(frames[3])
        try:
            revision = self._records.put(key, frames[4], now, wall, ttl_s=_ttl(frames[5:]), expected=expected)
        except RevisionError as error:
            return [*key, _text(error.revision), CONFLICT]
        return [*key, _text(revision), OK]

    def _read(self, frames: Frames, now: float, wall: float) -> Frames:
        key = _key(frames)
        record = self._records.get(key, now)
        if record is None:
            return [*key, NOT_FOUND]
        left = b"" if record.expires is None else f"{record.expires - now:.3f}".encode()
        return [*key, record.value, _text(record.revision), left, OK]

    def _history(self, frames: Frames, now: float, wall: float) -> Frames:
        key = _key(frames)
        found = self._records.history(key, self._settings.history)
        return [*key, *(frame for one in found for frame in _revision(one)), OK]

    def _list(self, frames: Frames, now: float, wall: float) -> Frames:
        return self._names(frames[:2], None)

    def _list_after(self, frames: Frames, now: float, wall: float) -> Frames:
        *place, after = frames[:3]
        return self._names(place, after)

    def _names(self, place: Sequence[bytes], after: bytes | None) -> Frames:
        page = self._settings.page
        names = self._records.names(place, after, page + 1)
        return [*names[:page], PENDING if len(names) > page else OK]

    def _list_keys(self, frames: Frames, now: float, wall: float) -> Frames:
        *names, status = self._names(frames[:2], None)
        return [*frames[:2], *([b"|".join(names)] if names else []), status]

    def _changes(self, frames: Frames, now: float, wall: float) -> Frames:
        found = self._records.changes(_number(frames[0]), self._settings.page)
        items = [[_text(one.revision), WHAT[one.what], *one.key, one.value] for one in found]
        more = bool(found) and bool(self._records.changes(found[-1].revision, 1))
        return [*(frame for item in items for frame in item), PENDING if more else OK]


def _key(frames: Sequence[bytes]) -> Key:
    return frames[0], frames[1], frames[2]


def _ttl(frames: Sequence[bytes]) -> float | None:
    return parse_seconds(frames[0]) if frames and frames[0] else None


def _number(frame: bytes) -> int:
    if not frame.isdigit() or len(frame) > 18:
        raise MalformedError("A revision is a number of at most 18 digits.")
    return int(frame)


def _text(number: int) -> bytes:
    return b"%d" % number


def _revision(one: Revision) -> Frames:
    return [_text(one.revision), f"{one.time:.3f}".encode(), WHAT[one.what], one.value]
