"""The timestamp of an initiation (TAI64N), by which a responder knows a replay.

Used by `device.py`. Rule: every stamp is greater than the one before it, even if the wall clock stands still or goes back; and it says no
more of this machine's clock than about 17 ms.
"""

from __future__ import annotations

import struct

EPOCH = 0x400000000000000A
_STAMP = struct.Struct(">QI")
_STEP_NS = 1 << 24
_NS = 1_000_000_000
_LATEST_S = (1 << 62) - 1


class Stamps:
    """Gives the stamps of one device; `latest` may be kept over a restart of a machine without a battery-backed clock."""

    def __init__(self, latest: bytes = bytes(12)) -> None:
        self.latest = latest

    def stamp(self, wall: float) -> bytes:
        """12 bytes, for `wall` in Unix seconds."""
        seconds, nanoseconds = divmod(int(max(0.0, min(wall, _LATEST_S)) * _NS), _NS)
        found = _STAMP.pack(EPOCH + seconds, nanoseconds // _STEP_NS * _STEP_NS)
        self.latest = found if found > self.latest else _next(self.latest)
        return self.latest


def _next(stamp: bytes) -> bytes:
    seconds, nanoseconds = _STAMP.unpack(stamp)
    nanoseconds += _STEP_NS
    return _STAMP.pack(seconds + nanoseconds // _NS, nanoseconds % _NS)
