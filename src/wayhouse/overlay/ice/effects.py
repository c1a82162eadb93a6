"""What an agent sends and tells, and what it takes note of.

Used by `agent` and its driver.
"""

from __future__ import annotations

import dataclasses

import msgspec

from wayhouse.overlay.ice.pair import Pair
from wayhouse.overlay.ice.stun import Host


class Send(msgspec.Struct, frozen=True):
    """To be sent from the base of that name."""

    base: str
    host: Host
    data: bytes


@dataclasses.dataclass(frozen=True)
class PairSelected:
    """The pair is used from now on."""

    pair: Pair


class PathLost(msgspec.Struct, frozen=True):
    reason: str


class Check(msgspec.Struct, frozen=True):
    """A check of the peer, which may come before we know its credentials."""

    base: str
    source: Host
    username: str
    priority: int
    nomination: int | None
