"""Follows a change to its end and says how it ended. Used by every command that changes something.

On a terminal a moving line says what is going on and for how long; elsewhere every step is one plain line. A gateway
that restarts in between goes on with the change, so the watcher comes back to it for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wayhouse.base.errors import WayhouseError
from wayhouse.cli.figures import span
from wayhouse.cli.live import live_line
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.client import Client
    from wayhouse.api.wire import ChangeView


class ChangeFailedError(WayhouseError):
    code = "change-failed"
    status = 409
    title = "The change failed"


class LeftError(WayhouseError):
    """A person pressed Ctrl-C while watching; the change goes on."""

    code = "stopped-watching"


def finish(session: Session, change_id: int, *, wait: bool) -> ChangeView | None:
    """Watch a change that was just asked for. With `--no-wait` say how to watch it, and None.

    Raises `ChangeFailedError` with the reason.
    """
    if not wait:
        if session.screen.json:
            session.screen.data({"change_id": change_id})
        else:
            session.screen.line(
                f"Change {change_id} is under way. Watch it: {session.again} change watch {change_id}"
            )
        return None
    change = watch(session, change_id)
    demand_success(change)
    return change


def watch(
    session: Session, change_id: int, *, each: Callable[[float, str], None] | None = None
) -> ChangeView:
    """Show each line of the change's stream (or hand its time and text to `each`); the change at its end.

    Raises `LeftError` on Ctrl-C.
    """
    try:
        return _watch(session, change_id, each)
    except KeyboardInterrupt:
        raise LeftError(
            f"Change {change_id} goes on. Watch it again: {session.again} change watch {change_id}"
        ) from None


def demand_success(change: ChangeView) -> None:
    """Raises `ChangeFailedError` unless the change has succeeded."""
    if change.state == "cancelled":
        raise ChangeFailedError(f"Change {change.id} was cancelled.")
    if change.state != "succeeded":
        raise ChangeFailedError(change.reason or f"Change {change.id} failed.")


def _watch(session: Session, change_id: int, each: Callable[[float, str], None] | None) -> ChangeView:
    screen, client = session.screen, session.client
    first: float | None = None
    with live_line(screen) as line:
        for at, message in _lines(client, change_id):
            first = at if first is None else first
            if each is not None:
                each(at, message)
            elif not screen.json:
                line.step(message, f"{at - first:6.1f} s")
        change = _settled(client, change_id)
    if each is None and change.state == "succeeded" and change.ended and change.started:
        screen.note(f"Done in {span(change.ended - change.started)}.")
    return change


def _settled(client: Client, change_id: int) -> ChangeView:
    """The change, also if the gateway restarts just now."""
    from wayhouse.api.client_errors import ProblemError, UnreachableError
    from wayhouse.api.client_grace import Grace
    from wayhouse.api.resources import changes

    grace = Grace()
    while True:
        try:
            return client.call(changes.GET, id=change_id)
        except (UnreachableError, ProblemError) as error:
            grace.wait(error)


def _lines(client: Client, change_id: int) -> Iterator[tuple[float, str]]:
    """Each line once; the client comes back by itself to a gateway that restarts."""
    from wayhouse.api.resources import changes
    from wayhouse.base import codec
    from wayhouse.ledger.model import Line

    for frame in client.follow(changes.STREAM, id=change_id):
        line = codec.decode_json(frame, Line)
        yield line.time, line.message
