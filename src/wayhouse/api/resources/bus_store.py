"""Titanic's store: values with revisions, a history and a time to live. A part of the resource of the bus."""

from __future__ import annotations

from collections.abc import Sequence

from wayhouse.api import wire
from wayhouse.api import wire_bus as words
from wayhouse.api.resources.bus_asking import BusAsking
from wayhouse.api.table import Call
from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError, OutsideError
from wayhouse.bus.model import NOT_FOUND, OK, PENDING, Frames

STORE = "titanic.store"
STORE_S = 10.0
CONFLICT = b"409"
MOST_NAME = 1024


class RevisionError(ConflictError):
    """The key is at another revision."""

    code = "store-revision"
    title = "The value has changed meanwhile"


class BusStore(BusAsking):
    async def names(self, call: Call) -> words.StoreNames:
        """Services, sections of one, or keys of a section."""
        place = [call.query[name].encode() for name in ("service", "section") if call.query.get(name)]
        if len(place) == 1 and not call.query.get("service"):
            raise BadInputError("A section is one of a service: give `service`, too.", path="service")
        after = call.query.get("after")
        _check([*place, (after or "").encode()])
        verb = [b"list", *place] if after is None else [b"list_after", *place, after.encode()]
        *names, status = await self._store(*verb)
        if status not in {OK, PENDING}:
            raise _refused([*names, status])
        shown = [name.decode("utf-8", "backslashreplace") for name in names]
        return words.StoreNames(names=shown, is_cut=status == PENDING)

    async def value(self, call: Call) -> words.StoredValue:
        return await self._read(_place(call))

    async def put_value(self, call: Call) -> words.StoredValue:
        """The value as it is now. Raises `RevisionError`."""
        place, order = _place(call), call.body(words.StoreOrder)
        ttl = [] if order.ttl_s is None else [repr(order.ttl_s).encode()]
        value = words.data_of(order.value)
        if order.if_revision is None:
            _demand(await self._store(b"set", *place, value, *ttl))
            return await self._read(place)
        reply = await self._store(b"cas", *place, b"%d" % order.if_revision, value, *ttl)
        if reply[-1] == CONFLICT:
            raise _changed(int(reply[-2]))
        _demand(reply)
        return _stored(place, value, int(reply[-2]), order.ttl_s)

    async def delete_value(self, call: Call) -> wire.Success:
        place = _place(call)
        reply = await self._store(b"delete", *place)
        if reply[-1] != OK:
            raise _missing(place)
        return wire.Success(True)

    async def history(self, call: Call) -> list[words.StoredRevision]:
        """Newest first."""
        place = _place(call)
        reply = await self._store(b"history", *place)
        _demand(reply)
        rows = reply[3:-1]
        if not rows:
            raise _missing(place)
        return [_revision(rows[at : at + 4]) for at in range(0, len(rows), 4)]

    async def _read(self, place: Sequence[bytes]) -> words.StoredValue:
        reply = await self._store(b"read", *place)
        if reply[-1] == NOT_FOUND:
            raise _missing(place)
        _demand(reply)
        value, revision, left = reply[3:6]
        return _stored(place, value, int(revision), float(left) if left else None)

    async def _store(self, *frames: bytes) -> Frames:
        """Never empty."""
        reply = await self.ask(STORE, frames, timeout_s=STORE_S, once=True)
        if not reply:
            raise OutsideError("The store gave an empty answer.")
        return reply


def _place(call: Call) -> list[bytes]:
    """Raises `BadInputError`."""
    place = [call.path[name].encode() for name in ("service", "section", "key")]
    _check(place)
    return place


def _check(names: Sequence[bytes]) -> None:
    """Raises `BadInputError`."""
    if max(map(len, names)) > MOST_NAME:
        raise BadInputError(f"A service, a section and a key have at most {MOST_NAME} bytes each.")


def _stored(place: Sequence[bytes], value: bytes, revision: int, ttl_s: float | None) -> words.StoredValue:
    service, section, key = (name.decode() for name in place)
    return words.StoredValue(
        service=service, section=section, key=key, value=words.piece(value), revision=revision, ttl_s=ttl_s
    )


def _revision(row: Sequence[bytes]) -> words.StoredRevision:
    revision, at, what, value = row
    return words.StoredRevision(
        revision=int(revision), at=float(at), what=what.decode(), value=words.piece(value)
    )


def _demand(reply: Frames) -> None:
    if reply[-1] != OK:
        raise _refused(reply)


def _refused(reply: Frames) -> OutsideError:
    """Titanic, or the broker in its stead, says something else than 200."""
    said = b" ".join(reply[-2:]).decode("utf-8", "replace")
    return OutsideError(
        f"The store did not do it ({said[:200]}): its disk may be full, or a name or value too long."
    )


def _missing(place: Sequence[bytes]) -> NotFoundError:
    service, section, key = (name.decode() for name in place)
    return NotFoundError(f"The store has no {key!r} in the section {section!r} of {service!r}.")


def _changed(revision: int) -> RevisionError:
    now = f"is at revision {revision}" if revision else "does not exist"
    return RevisionError(f"The key {now}. Read it again, then try again.", revision=revision)
