"""Keeps what has come of a WebSocket frame that is not whole yet (RFC 6455, section 5.2), so that another process can read on.

The parser of the library takes a frame's first bytes out of its buffer before the last have come. Used by
`websocket_connection.py`; a machine without I/O.
"""

from __future__ import annotations

_MASK = 4
_SHORT, _LONG = 126, 127


class FrameRest:
    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data
        while (size := self._frame_size()) is not None and len(self._data) >= size:
            del self._data[:size]

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def _frame_size(self) -> int | None:
        """Of the first frame, with its head; None until the head tells."""
        if len(self._data) < 2:
            return None
        mask = _MASK if self._data[1] & 0x80 else 0
        length = self._data[1] & 0x7F
        width = {_SHORT: 2, _LONG: 8}.get(length, 0)
        if len(self._data) < 2 + width:
            return None
        if width:
            length = int.from_bytes(self._data[2 : 2 + width])
        return 2 + width + mask + length
