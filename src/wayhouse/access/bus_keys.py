"""Who may connect to the bus over TCP: the bus's own key pair, and peers with a CURVE key or a PLAIN password.

Called by the endpoints of `/api/v1/bus/peers`, and by the gateway before it starts the bus. Rules: a secret that is made here is given out
once and not kept (of a password only its SHA-256); what is kept is in two files that only the daemon can read. The bus looks at the second
one by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path
from typing import Literal

import msgspec
import zmq

from wayhouse.access import known_peers, secret_file
from wayhouse.access.audit import Audit
from wayhouse.access.known_peers import KnownPeers
from wayhouse.access.model import Identity, UnsafeFileError
from wayhouse.access.secret_file import Secret
from wayhouse.base import ids
from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError

SECRET_FILE, PEERS_FILE = "bus-secret", "bus-peers"
MOST = 1000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


def _pair() -> tuple[str, str]:
    """A new (public, secret) of CURVE, in Z85."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


SECRET = Secret(
    "[!-~]{40}",
    lambda: _pair()[1],
    "40 characters of Z85",
    "every peer needs the new public key of the bus",
)
Kind = Literal["curve", "plain"]


class NoSuchPeerError(NotFoundError):
    code = "no-such-bus-peer"
    title = "No such peer of the bus"


class PeerExistsError(ConflictError):
    code = "bus-peer-exists"
    title = "There is such a peer of the bus"


class BusPeer(msgspec.Struct, frozen=True):
    """`public`: its key in Z85, of kind curve."""

    name: str
    kind: Kind
    public: str | None = None


class NewBusPeer(msgspec.Struct, frozen=True):
    """`secret`: the half of the pair, or the password, that was made here; None for a peer that has its own. `server`: the bus's public
    key, for peers of kind curve."""

    peer: BusPeer
    server: str | None
    secret: str | None

    def __repr__(self) -> str:
        return f"NewBusPeer({self.peer.name!r})"


class BusPeers:
    """`folder` is `<config>/keys`. `secret_key` and `credentials` are the files that the settings name instead of those there."""

    def __init__(
        self, folder: Path, audit: Audit, *, secret_key: str | None = None, credentials: str | None = None
    ) -> None:
        self._audit = audit
        self._one_at_a_time = asyncio.Lock()
        self._is_given = secret_key is not None, credentials is not None
        self.secret_key = folder / SECRET_FILE if secret_key is None else Path(secret_key)
        self.credentials = folder / PEERS_FILE if credentials is None else Path(credentials)

    def prepare(self) -> None:
        """Both files are there after this, before the bus reads them. Raises `UnsafeFileError`, `UnavailableError` (a full disk)."""
        self._server()
        peers = known_peers.read(self.credentials)
        if not os.path.lexists(self.credentials):
            _demand_own(self.credentials, is_given=self._is_given[1])
            known_peers.write(self.credentials, peers)

    async def server_key(self) -> str:
        """The bus's public key in Z85. Raises `UnsafeFileError`, `UnavailableError`."""
        return await asyncio.to_thread(self._server)

    async def all(self) -> list[BusPeer]:
        """By name. Raises `UnsafeFileError`."""
        return _listed(await asyncio.to_thread(known_peers.read, self.credentials))

    async def add(
        self, by: Identity, name: str, *, kind: Kind = "curve", public: str | None = None
    ) -> NewBusPeer:
        """Let a peer in, with the public key that it has or with a pair or password that is made here. Raises `BadInputError`,
        `PeerExistsError`, `ConflictError` (too many), `UnsafeFileError`, `UnavailableError` (a full disk)."""
        _check(name, kind, public)
        async with self._one_at_a_time:
            made = await asyncio.to_thread(self._add, name, kind, public)
        self._audit.record(by, "bus-peer.add", f"{name} ({kind})")
        return made

    async def remove(self, by: Identity, name: str) -> None:
        """It loses its connections, too. Raises `NoSuchPeerError`, `UnsafeFileError`, `UnavailableError`."""
        async with self._one_at_a_time:
            await asyncio.to_thread(self._remove, name)
        self._audit.record(by, "bus-peer.remove", name)

    def _server(self) -> str:
        if not os.path.lexists(self.secret_key):
            _demand_own(self.secret_key, is_given=self._is_given[0])
        text = secret_file.read_or_create(self.secret_key, SECRET)
        if not known_peers.is_key(text):
            raise UnsafeFileError(f"{self.secret_key} does not hold {SECRET.says}. Move it away.")
        return zmq.curve_public(text.encode()).decode()

    def _add(self, name: str, kind: Kind, public: str | None) -> NewBusPeer:
        peers = known_peers.read(self.credentials)
        _demand_new(peers, name, public)
        if kind == "plain":
            secret = ids.token_urlsafe(256)
            digest = hashlib.sha256(secret.encode()).hexdigest()
            grown = msgspec.structs.replace(peers, plain_sha256={**peers.plain_sha256, name: digest})
            made = NewBusPeer(BusPeer(name, kind), None, secret)
        else:
            own, half = (public, None) if public is not None else _pair()
            grown = msgspec.structs.replace(peers, curve={**peers.curve, own: name})
            made = NewBusPeer(BusPeer(name, kind, own), self._server(), half)
        known_peers.write(self.credentials, grown)
        return made

    def _remove(self, name: str) -> None:
        peers = known_peers.read(self.credentials)
        left = KnownPeers(
            curve={key: one for key, one in peers.curve.items() if one != name},
            plain={user: secret for user, secret in peers.plain.items() if user != name},
            plain_sha256={user: digest for user, digest in peers.plain_sha256.items() if user != name},
        )
        if len(left) == len(peers):
            raise NoSuchPeerError(f"The bus knows no peer {name!r:.80}. `wayhouse bus key ls` lists them.")
        known_peers.write(self.credentials, left)


def _demand_own(path: Path, *, is_given: bool) -> None:
    """What the settings name is not made here: it may be misspelled."""
    if is_given:
        raise UnsafeFileError(
            f"{path}, which the settings of the bus name, is not there. Make it, or name none."
        )


def _listed(peers: KnownPeers) -> list[BusPeer]:
    found = [BusPeer(name, "curve", key) for key, name in peers.curve.items()]
    found += [BusPeer(user, "plain") for user in (*peers.plain, *peers.plain_sha256)]
    return sorted(found, key=lambda one: (one.name, one.kind))


def _check(name: str, kind: Kind, public: str | None) -> None:
    if NAME.fullmatch(name) is None:
        raise BadInputError(
            "A peer's name has 1 to 64 letters, digits, `_`, `.`, `@` or `-`, and begins with a letter or digit.", path="name"
        )  # fmt: skip
    if public is not None and kind == "plain":
        raise BadInputError(
            "A peer of kind plain has a password, which is made here, and no key.", path="public"
        )
    if public is not None and not known_peers.is_key(public):
        raise BadInputError("A public key has 40 characters of Z85.", path="public")


def _demand_new(peers: KnownPeers, name: str, public: str | None) -> None:
    if name in {*peers.curve.values(), *peers.plain, *peers.plain_sha256}:
        raise PeerExistsError(f"There is a peer {name}. Remove it first, or choose another name.")
    if public in peers.curve:
        raise PeerExistsError(f"This key is that of {peers.curve[public]!r:.80}.")
    if len(peers) >= MOST:
        raise ConflictError(f"The bus knows {MOST} peers. Remove some first.")
