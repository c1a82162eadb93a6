"""Which gateway a command talks to, and as whom.

In this order: `--gateway` (WAYHOUSE_GATEWAY), `--data` (WAYHOUSE_DATA), the daemon of this machine by its socket, where
root and the daemon's own user need no password, then the last sign-in.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from wayhouse.api.client import Client
from wayhouse.api.client_errors import UnreachableError
from wayhouse.api.client_transport import Place, Trust, read_fingerprint
from wayhouse.base.settings import Paths
from wayhouse.cli.logins import Login, Logins
from wayhouse.cli.wanted import Wanted

KNOCK_S = 2.0


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A place, how to trust it, and the login for it if there is one."""

    place: Place
    trust: Trust = Trust()
    login: Login | None = None

    def client(self, env: Mapping[str, str], *, answer_s: float = 60.0) -> Client:
        """`WAYHOUSE_TOKEN` goes before the saved token."""
        saved = self.login.token if self.login is not None else None
        return Client(
            self.place, token=env.get("WAYHOUSE_TOKEN") or saved, trust=self.trust, answer_s=answer_s
        )


def choose(wanted: Wanted, env: Mapping[str, str]) -> Choice:
    """Raises `UnreachableError` when there is no gateway to talk to, `BadInputError` for options that make no sense."""
    if wanted.gateway:
        return at(Place.parse(wanted.gateway), wanted, Logins.of(env))
    if wanted.data is not None:
        return Choice(place=Place.at(Paths.under(wanted.data.absolute()).socket))
    for path in local_sockets(env):
        if answers(path):
            return Choice(place=Place.at(path))
    logins = Logins.of(env)
    if logins.current is not None:
        return at(Place.parse(logins.current), wanted, logins)
    raise UnreachableError(
        "No gateway runs on this machine that you may use. Start one with `wayhouse up`, sign in to another with "
        "`wayhouse login URL`, or name one with --gateway or --data."
    )


def at(place: Place, wanted: Wanted, logins: Logins) -> Choice:
    """The choice of a place that is known, with what was saved about it."""
    login = logins.find(str(place)) if place.scheme != "unix" else None
    if wanted.fingerprint is not None or wanted.insecure:
        pinned = read_fingerprint(wanted.fingerprint) if wanted.fingerprint is not None else None
        return Choice(place=place, trust=Trust(pinned, wanted.insecure), login=login)
    return Choice(place=place, trust=login.trust if login else Trust(), login=login)


def local_sockets(env: Mapping[str, str]) -> Iterator[Path]:
    """Where a daemon of this machine may listen: the system's, then the user's own."""
    yield Paths.system().socket
    yield Paths.user(env).socket


def answers(path: Path) -> bool:
    """Whether somebody listens there who lets us in."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(KNOCK_S)
            knock.connect(str(path))
    except OSError:
        return False
    return True
