"""What goes over the wire about overlays beside the words of the room itself (`overlay/orders.py`, `overlay/views.py`)."""

from __future__ import annotations

import msgspec


class Revocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member, by its uid."""

    uid: str
