"""What a node is made of: its settings, and where its outside parts come from. Written by whoever starts one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.overlay.hearing import MODERN
from wayhouse.overlay.identity import Digest, Identity
from wayhouse.overlay.model import PathSettings
from wayhouse.overlay.ports import Path, Tunnel
from wayhouse.overlay.trust import Trust


class PathFactory(Protocol):
    def __call__(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> Path: ...


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` is that of fingerprints; `translates`: peers go by other IPv4 addresses here than at home (SocialVPN). `words`, made of the node's
    IPv4 address, stand after the fingerprint in what our own controllers ask peers with. `is_old`: it speaks as nodes of 2013 do."""

    digest: Digest = Digest.SHA1
    path: PathSettings = PathSettings()
    mtu: int = 1280
    translates: bool = True
    words: Callable[[str], str] = str
    is_old: bool = False

    @property
    def greeting(self) -> str:
        """What stands after the fingerprint in what everybody is told."""
        return "" if self.is_old else MODERN


class NodeParts(msgspec.Struct, frozen=True, kw_only=True):
    """`identify` gives the identity for a uid; `open_tunnel` makes the tunnel with this private key."""

    clock: Clock
    trust: Trust
    identify: Callable[[str], Identity]
    open_tunnel: Callable[[bytes], Tunnel]
    make_path: PathFactory
