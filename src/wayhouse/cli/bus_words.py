"""How the commands of the bus and the store read and show frames. Used by `bus`, `bus_top` and `store`."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.figures import size

if TYPE_CHECKING:
    from wayhouse.api.wire_bus import Piece
    from wayhouse.cli.session import Session

MOST_FILE = 3 * 1024 * 1024
MOST_SHOWN = 100
VALUE_HELP = "Text; `@FILE` is a file's content, `@-` standard input, `@@x` the text `@x`."
TTL = typer.Option("--ttl", metavar="SECONDS", min=0.001, help="It is gone after so many seconds.")


def piece_of(text: str) -> Piece:
    """What was written on the command line. Raises `BadInputError` for what is too large, `OSError`."""
    from wayhouse.api.wire_bus import piece

    if not text.startswith("@"):
        return piece(text.encode("utf-8", "surrogateescape"))
    if text.startswith("@@"):
        return text[1:]
    data = _read(text[1:])
    if len(data) > MOST_FILE:
        raise BadInputError(f"{text[1:]} is larger than {size(MOST_FILE)}, more than the bus takes at once.")
    return piece(data)


def shown(one: Piece | None) -> str:
    """A frame or a value as one text: bytes that are none as `base64:`."""
    if one is None:
        return ""
    return one if isinstance(one, str) else f"base64:{base64.b64encode(one.base64).decode()}"


def short(one: Piece | None) -> str:
    """The beginning of its first line."""
    text = shown(one)
    first = text.partition("\n")[0]
    return first if len(first) <= MOST_SHOWN and first == text else f"{first[:MOST_SHOWN]}…"


def say(session: Session, answer: object, text: str) -> None:
    """The answer for programs, the text for people."""
    if session.screen.json:
        session.screen.data(answer)
    else:
        session.screen.line(text)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(MOST_FILE + 1)
    if not name:
        raise BadInputError("Name a file behind the @, or write @@ for a text that begins with one.")
    with open(name, "rb") as file:  # noqa: PTH123 - a name as a person wrote it
        return file.read(MOST_FILE + 1)
