"""`wayhouse bus key`: which programs may connect to the bus over TCP, and the keys that they need for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import command, noun
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire_peers import PeerMade

app = noun("key", "Keys and passwords of programs that use the bus over TCP.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called, for example kitchen-pi.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List who may connect to the bus over TCP.

    For example:
      wayhouse bus key ls
      wayhouse bus key ls --json
    """
    from wayhouse.api.resources import bus_peers

    found = session.client.call(bus_peers.LIST_PEERS)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [(one.name, one.kind, one.public or "") for one in found.peers]
    empty = f"Nobody may connect. Let a program in: {session.again} bus key add NAME"
    session.screen.table(("NAME", "KIND", "PUBLIC KEY"), rows, empty=empty)
    if found.mechanism == "none":
        session.screen.note("The bus asks for no keys now: its setting `bus.mechanism` is none.")


@command(app, "add")
def add(
    session: Session,
    name: Name,
    public: Annotated[
        str | None,
        typer.Option(
            "--public", metavar="KEY", help="Its public key, if it has a pair of its own: --public='KEY'."
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="A password instead of keys, for `bus.mechanism = plain`.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the program's file of keys, which must be new."),
    ] = None,
) -> None:
    """Let a program connect to the bus. Its secret is shown (or written) now and never again.

    For example:
      wayhouse bus key add kitchen-pi --out kitchen-pi.keys
      wayhouse bus key add dashboard --plain
    """
    from wayhouse.api.resources import bus_peers
    from wayhouse.api.wire_peers import NewPeer

    if public is not None and (plain or out is not None):
        raise BadInputError("Who has a public key of its own has its secret, too: no --plain, no --out.")
    order = NewPeer(name=name, kind="plain" if plain else "curve", public=public)
    if out is None:
        made = session.client.call(bus_peers.ADD_PEER, body=order)
    else:
        with _private(out) as file:
            made = session.client.call(bus_peers.ADD_PEER, body=order)
            file.write(_text(made).encode())
    _tell(session, made, out)


@command(app, "rm")
def rm(session: Session, name: Name) -> None:
    """Let a program connect no more. Connections that it has end within a second.

    For example:
      wayhouse bus key rm kitchen-pi
    """
    from wayhouse.api.resources import bus_peers

    result = session.client.call(bus_peers.REMOVE_PEER, name=name)
    if session.screen.json:
        session.screen.data(result)
    else:
        session.screen.line(f"{name} may connect no more.")


@command(app, "show-server")
def show_server(session: Session) -> None:
    """Show the public key of the bus, by which programs know that it is the right one.

    For example:
      wayhouse bus key show-server
    """
    from wayhouse.api.resources import bus_peers

    found = session.client.call(bus_peers.LIST_PEERS)
    if session.screen.json:
        session.screen.data({"server": found.server, "mechanism": found.mechanism})
    else:
        session.screen.line(found.server)


def _tell(session: Session, made: PeerMade, out: Path | None) -> None:
    screen = session.screen
    if screen.json:
        screen.data(made if out is None else _without_keys(made))
    elif out is not None:
        screen.line(f"{made.name} may connect with the keys in {out}.")
    elif made.keys is None:
        screen.line(f"{made.name} may connect. It needs the public key of the bus:")
        screen.line(made.server or "")
    else:
        screen.line(_text(made).rstrip())
        screen.note("Keep it in a file that only its owner can read: it is not shown again.")
    if made.mechanism != made.kind:
        screen.note(
            f"The bus does not ask for it now: its setting `bus.mechanism` is {made.mechanism}, not {made.kind}."
        )


def _text(made: PeerMade) -> str:
    """As `Keys.from_file` reads it."""
    from wayhouse.base import codec

    return codec.encode_json(made.keys).decode() + "\n"


def _without_keys(made: PeerMade) -> PeerMade:
    import msgspec

    return msgspec.structs.replace(made, keys=None)


@contextlib.contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file for its owner alone, which is gone again if the block fails. It is opened first, since the secret comes only once."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be made: {error.strerror}. Name a file that is not there yet."
        ) from error
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
