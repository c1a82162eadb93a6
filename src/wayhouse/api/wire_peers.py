"""What goes over the wire about who may connect to the bus. Read by OpenAPI, the typed client and the commands.

Rule: a secret is in the one answer that has made it, and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PeerKind = Literal["curve", "plain"]
PeerName = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
PublicKey = Annotated[str, msgspec.Meta(min_length=40, max_length=40)]


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """`public`: its key in Z85, of kind curve."""

    name: str
    kind: PeerKind
    public: str | None = None


class PeerList(msgspec.Struct, frozen=True, kw_only=True):
    """By name. `mechanism` is what the bus asks of peers over TCP now; `server` is the bus's own public key in Z85."""

    mechanism: str
    server: str
    peers: list[PeerView]


class NewPeer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`public`: the key of a peer that keeps its secret to itself; without one a pair is made. Kind plain has no keys but a password,
    which is made."""

    name: PeerName
    kind: PeerKind = "curve"
    public: PublicKey | None = None


class CurveKeys(msgspec.Struct, frozen=True, kw_only=True):
    server: str
    public: str
    secret: str

    def __repr__(self) -> str:
        return f"CurveKeys({self.public!r})"


class PlainKeys(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    password: str

    def __repr__(self) -> str:
        return f"PlainKeys({self.user!r})"


class PeerKeys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file that a program gives to `Keys.from_file`: one of both."""

    curve: CurveKeys | None = None
    plain: PlainKeys | None = None


class PeerMade(msgspec.Struct, frozen=True, kw_only=True):
    """`server`: the bus's own public key, of kind curve. `keys`: what the peer needs, shown now and never again; null for one that brought
    its own key. `mechanism`: what the bus asks of peers over TCP now."""

    mechanism: str
    name: str
    kind: PeerKind
    public: str | None
    server: str | None
    keys: PeerKeys | None
