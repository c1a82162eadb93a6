"""XMPP accounts and relays as commands take them: their options, and their passwords, which are asked for or read and are never arguments."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import Options
from wayhouse.cli.screen import Screen
from wayhouse.cli.secrets import MOST, ask_password

if TYPE_CHECKING:
    from wayhouse.overlay.account import XmppAccount
    from wayhouse.overlay.model import TurnServer

STDIN = "-"
MOST_FILE = 65_536
_RELAY = re.compile(r"(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):([0-9]{1,5}):(\S+)")

Jid = Annotated[
    str | None,
    typer.Option("--account", metavar="JID", help="An XMPP account for introductions, as name@server."),
]
Host = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="Where its server is, if DNS does not say it.")
]
Port = Annotated[
    int | None, typer.Option("--port", metavar="N", min=1, max=65535, help="The server's port (5222).")
]
DirectTls = Annotated[bool, typer.Option("--direct-tls", help="TLS from the first byte, not STARTTLS.")]
Pin = Annotated[
    str | None,
    typer.Option("--pin", metavar="SHA256", help="Trust the server with exactly this certificate."),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", metavar="FILE", help="On the gateway: who signed the server's certificate."),
]
Friends = Annotated[
    list[str] | None,
    typer.Option("--friend", metavar="JID", help="An account to make friends with; may be given again."),
]
Stun = Annotated[
    list[str] | None,
    typer.Option("--stun", metavar="HOST:PORT", help="A STUN server; may be given again."),
]
Turn = Annotated[
    list[str] | None,
    typer.Option(
        "--turn", metavar="RELAY", help="A relay, as udp:HOST:PORT:USER (or tcp:, tls:); may be given again."
    ),
]
RelayCa = Annotated[
    Path | None,
    typer.Option(
        "--relay-ca",
        metavar="FILE",
        help="PEM: who signs certificates of relays, besides those trusted here.",
    ),
]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="A line for each password, the account's first, then the relays'; `-` is standard input. Else they are asked for.",
    ),
]


class Passwords:
    """One after the other: the lines of a file or of standard input, or asked for."""

    def __init__(self, screen: Screen, file: str | None) -> None:
        """Raises `BadInputError` for a file that cannot be read."""
        self._screen = screen
        self._lines = None if file is None else _lines(file)

    def next(self, of: str) -> str:
        """Raises `BadInputError` where there is none, and nobody can be asked."""
        if self._lines is None:
            if not self._screen.can_ask:
                raise BadInputError(
                    f"There is no terminal to ask for the password of {of} on. Use --password-file FILE, or `-` for "
                    "standard input."
                )
            return _said(ask_password(self._screen, f"Password of {of}"), of)
        return _said(self._lines.readline(MOST).rstrip("\r\n"), of)


class AccountOptions(Options):
    """What was said of an account. Without `account` nothing else may be said of it. Raises `BadInputError`."""

    def __init__(
        self,
        account: Jid = None,
        *,
        host: Host = None,
        port: Port = None,
        direct_tls: DirectTls = False,
        pin: Pin = None,
        ca_file: CaFile = None,
        friends: Friends = None,
        password_file: PasswordFile = None,
    ) -> None:
        details = {"host": host, "port": port, "pin": pin, "ca_file": ca_file, "friends": friends}
        self.jid, self._direct_tls, self._file = account, direct_tls, password_file
        self._details: dict[str, Any] = {name: value for name, value in details.items() if value}
        if account is None and (self._details or direct_tls):
            raise BadInputError(
                "--host, --port, --direct-tls, --pin, --ca-file and --friend are about an --account."
            )

    def passwords(self, screen: Screen) -> Passwords:
        """Of the account, and of relays. Raises `BadInputError`."""
        return Passwords(screen, self._file)

    def accounts(self, passwords: Passwords) -> tuple[XmppAccount, ...]:
        """One or none. Raises `BadInputError`."""
        from wayhouse.overlay.account import Tls, XmppAccount

        if self.jid is None:
            return ()
        details = dict(self._details)
        if "ca_file" in details:
            details["ca_file"] = str(details["ca_file"].absolute())
        if "friends" in details:
            details |= {"friends": frozenset(details["friends"]), "invites": True}
        if self._direct_tls:
            details["tls"] = Tls.DIRECT
        XmppAccount(jid=self.jid, password="unasked", **details)  # noqa: S106 - mistakes are told before anything is asked
        return (XmppAccount(jid=self.jid, password=passwords.next(self.jid), **details),)


class ServerOptions(Options):
    """What was said of STUN servers and relays."""

    def __init__(self, stun: Stun = None, turn: Turn = None, relay_ca: RelayCa = None) -> None:
        self.stun, self.turn, self.relay_ca = tuple(stun or ()), tuple(turn or ()), relay_ca

    def relays(self, passwords: Passwords) -> tuple[TurnServer, ...]:
        """Raises `BadInputError`."""
        return relays(self.turn, passwords)

    def authority(self) -> str:
        """The PEM of who signs relays' certificates, "" if nobody was named. Raises `BadInputError`."""
        return authority(self.relay_ca) if self.relay_ca else ""


def relays(texts: Iterable[str], passwords: Passwords) -> tuple[TurnServer, ...]:
    """Raises `BadInputError` for what is no relay, or has no password."""
    from wayhouse.overlay.model import TurnServer

    found = []
    for match in [_relay(text) for text in texts]:
        transport, host, port, user = match.groups()
        found.append(
            TurnServer(
                host=host.strip("[]"),
                port=int(port),
                transport=transport,
                username=user,
                password=passwords.next(f"{user} at {host}"),
            )
        )
    return tuple(found)


def authority(file: Path) -> str:
    """The PEM in it. Raises `BadInputError` for a file that cannot be read, or is none."""
    from wayhouse.overlay import relay_authority

    try:
        with file.open(encoding="ascii") as opened:
            pem = opened.read(relay_authority.MOST_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is no PEM: it has characters that are not ASCII.") from error
    relay_authority.check(pem)
    return pem


def _relay(text: str) -> re.Match[str]:
    match = _RELAY.fullmatch(text)
    if match is None or not 0 < int(match[3]) < 65536:
        raise BadInputError(
            f"`{text[:80]}` is no relay. Write udp:HOST:PORT:USER, or with tcp or tls in front."
        )
    return match


def _lines(file: str) -> TextIO:
    if file == STDIN:
        return sys.stdin
    try:
        with Path(file).open(encoding="utf-8", errors="surrogateescape") as opened:
            return io.StringIO(opened.read(MOST_FILE))
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror}.") from error


def _said(password: str, of: str) -> str:
    if not password:
        raise BadInputError(f"There is no password of {of}: each has a line of its own.")
    return password
