"""Statistics that a server keeps and tells, named `module.snmp.key` as in RasPy.

Called by servers of the bus; `answer` is what a worker of `<host>.<service>.statistics` replies. Rules: counters add and wrap as 32-bit
counters of SNMP do, other values are replaced; a name is there once.
"""

from __future__ import annotations

from typing import Any

from wayhouse.base.codec import encode_json
from wayhouse.base.errors import ConflictError, NotFoundError
from wayhouse.bus.model import ERROR, NOT_FOUND, NOT_IMPLEMENTED, OK, Frames

COUNTER_SIZE = 4_294_967_296


class SNMP:
    """One value; `str()` of it is its `repr`, `doc` says what it means."""

    def __init__(self, oid: str, doc: str = "", initial: Any = None) -> None:
        self.oid = oid
        self.doc = doc
        self.initial = initial
        self.value = initial

    def set(self, value: Any) -> None:
        self.value = value

    def reset(self) -> None:
        self.value = self.initial

    def __str__(self) -> str:
        return repr(self.value)


class SNMPCounter(SNMP):
    """Counts, and begins again from 0 at `overflow`."""

    def __init__(self, oid: str, doc: str = "", initial: int = 0, overflow: int = COUNTER_SIZE) -> None:
        super().__init__(oid, doc, initial)
        self.value: int = initial
        self.overflow = overflow

    def set(self, value: int = 1) -> None:
        """Add `value`."""
        self.value = (self.value + value) % self.overflow


class SNMPFloat(SNMP):
    def __init__(self, oid: str, doc: str = "", initial: float = 0.0) -> None:
        super().__init__(oid, doc, initial)


class SNMPString(SNMP):
    def __init__(self, oid: str, doc: str = "", initial: str = "") -> None:
        super().__init__(oid, doc, initial)


class Statistics:
    """All of a server's; safe to read and set from several threads, since each step is one of a dict."""

    def __init__(self) -> None:
        self._items: dict[str, SNMP] = {}

    def add_statistic(self, item: SNMP) -> None:
        """Raises `ConflictError` when the name is taken."""
        if self._items.setdefault(item.oid, item) is not item:
            raise ConflictError(f"There is a statistic {item.oid} already.", oid=item.oid)

    def remove_statistic(self, oid: str) -> None:
        """Raises `NotFoundError`."""
        if self._items.pop(oid, None) is None:
            raise _missing(oid)

    def update_statistic(self, oid: str, value: Any = 1) -> None:
        """Count by `value`, or put it in place of the old one. Raises `NotFoundError`."""
        item = self._items.get(oid)
        if item is None:
            raise _missing(oid)
        item.set(value)

    def worker_statistics(self, request: Frames) -> Frames:
        """The reply to [verb][oid]: `all`, `list_keys`, `get`, `reset` (of one, or of all); the last frame is the status."""
        verb, oids = (request[0] if request else b""), [oid.decode("utf-8", "replace") for oid in request[1:]]
        if verb == b"all":
            return [encode_json({oid: _told(item) for oid, item in self._sorted()}), OK]
        if verb == b"list_keys":
            return [encode_json([oid for oid, _ in self._sorted()]), OK]
        if verb == b"get":
            return self._get(oids)
        if verb == b"reset":
            return self._reset(oids)
        return [NOT_IMPLEMENTED] if verb else [ERROR]

    def _get(self, oids: list[str]) -> Frames:
        item = self._items.get(oids[0]) if oids else None
        return [NOT_FOUND] if item is None else [encode_json(_told(item)), OK]

    def _reset(self, oids: list[str]) -> Frames:
        chosen = [self._items.get(oid) for oid in oids] if oids else list(self._items.values())
        if None in chosen:
            return [NOT_FOUND]
        for item in chosen:
            assert item is not None  # noqa: S101 - looked at above
            item.reset()
        return [OK]

    def _sorted(self) -> list[tuple[str, SNMP]]:
        return sorted(self._items.items())


def _told(item: SNMP) -> dict[str, Any]:
    return {"value": item.value, "doc": item.doc}


def _missing(oid: str) -> NotFoundError:
    return NotFoundError(f"There is no statistic {oid}; `list_keys` tells which there are.", oid=oid)
