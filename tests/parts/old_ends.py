"""Ends of links as old nodes have them, for tests: identities, DTLS machines joined by a line that loses what it is told to."""

from __future__ import annotations

import functools
from collections.abc import Callable

from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.legacy.channel import DtlsChannel
from wayhouse.overlay.legacy.dtls import Credentials, DtlsSession
from wayhouse.overlay.legacy.old_identity import OldIdentity, new_key

SMALL, LARGE = "1" * 40, "2" * 40
Keep = Callable[[bytes], bool]


@functools.cache
def identity(uid: str) -> OldIdentity:
    return OldIdentity(new_key(), uid)


@functools.cache
def credentials(uid: str) -> Credentials:
    return Credentials(identity(uid).tunnel_private_key)


def digest(uid: str, kind: Digest = Digest.SHA1) -> bytes:
    return bytes.fromhex(identity(uid).fingerprint(kind).replace(":", ""))


def key(uid: str) -> bytes:
    return peer_key.encode(uid, identity(uid).fingerprint())


def session(own: str, peer: str, *, believed: bytes | None = None) -> DtlsSession:
    value = digest(peer) if believed is None else believed
    return DtlsSession(credentials(own), Digest.SHA1, value, is_server=own > peer)


def channel(own: str, peer: str) -> DtlsChannel:
    return DtlsChannel(credentials(own), Digest.SHA1, digest(peer), is_server=own > peer)


def exchange(client: DtlsSession, server: DtlsSession, keep: Keep = lambda _: True) -> list[bytes]:
    """Until both have nothing to say; gives what went over the line."""
    told: list[bytes] = []
    while True:
        there = [one for one in client.outbox() if keep(one)]
        for one in there:
            server.receive(one)
        back = [one for one in server.outbox() if keep(one)]
        for one in back:
            client.receive(one)
        told += there + back
        if not there and not back:
            return told


def talk(one: DtlsChannel, other: DtlsChannel, now: float = 0.0, keep: Keep = lambda _: True) -> None:
    """The same of channels, at one moment."""
    while True:
        there, back = ([each for each in end.outbox() if keep(each)] for end in (one, other))
        for datagram in there:
            other.receive(datagram, now)
        for datagram in back:
            one.receive(datagram, now)
        if not there and not back:
            return
