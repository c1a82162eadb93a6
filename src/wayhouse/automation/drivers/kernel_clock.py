"""Whether the kernel holds its clock for synchronised: adjtimex(2), which everybody may ask. For whatever keeps the time unseen."""

from __future__ import annotations

import ctypes

TIME_ERROR = 5
_ROOM = 512
"""More than `struct timex` has anywhere. All zero: `modes` 0 changes nothing."""


def is_synchronised() -> bool | None:
    """None where the kernel cannot be asked."""
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_ROOM))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != TIME_ERROR
