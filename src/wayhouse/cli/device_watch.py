"""`wayhouse device watch`: what devices tell, as it comes. With --json each line is a frame of the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command
from wayhouse.cli.complete import device_names
from wayhouse.cli.device_words import noted, plain
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire_devices import DeviceFrame

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Only these devices.", autocompletion=device_names),
]
Area = Annotated[str | None, typer.Option("--area", metavar="AREA", help="Only those of this area.")]


def add_to(app: typer.Typer) -> None:
    command(app, "watch")(watch)


def watch(session: Session, names: Names = None, area: Area = None) -> None:
    """Show values and changes as they come, until Ctrl-C.

    For example:
      wayhouse device watch
      wayhouse device watch boiler lamp
      wayhouse device watch --area kitchen --json
    """
    from wayhouse.api.resources import devices
    from wayhouse.api.wire_devices import DeviceFrame, DevicesFrame
    from wayhouse.base import codec

    ids = {session.client.call(devices.GET, device=name).id for name in names or ()}
    for text in session.client.follow(devices.FOLLOW, query={"area": area}):
        frame: DeviceFrame = codec.decode_json(text, DeviceFrame, what="frame")  # type: ignore[arg-type]  # a union
        if isinstance(frame, DevicesFrame):
            if not session.screen.json:
                session.screen.note(f"Watching {len(ids) or len(frame.devices)} devices. Ctrl-C ends it.")
            continue
        if not ids or _device_of(frame) in ids:
            _show(session, frame)


def _show(session: Session, frame: DeviceFrame) -> None:
    if session.screen.json:
        session.screen.data_line(frame)
        return
    line = _line(frame)
    if line:
        session.screen.line(line)


def _line(frame: DeviceFrame) -> str:
    """One line for people. That something changed is in the log's words already."""
    from wayhouse.api.wire_devices import ChangedFrame, NotedFrame, ReadingFrame

    if isinstance(frame, ReadingFrame):
        return f"{moment(frame.time)}  {frame.name}  {frame.command}  {plain(frame.value, frame.unit)}"
    if isinstance(frame, NotedFrame):
        return f"{moment(frame.entry.time)}  {frame.name}  {noted(frame.entry)}"
    is_removed = isinstance(frame, ChangedFrame) and frame.kind == "removed"
    return f"{moment(frame.time)}  {frame.device.name}  removed" if is_removed else ""  # type: ignore[union-attr]


def _device_of(frame: DeviceFrame) -> str:
    from wayhouse.api.wire_devices import ChangedFrame

    return frame.device.id if isinstance(frame, ChangedFrame) else frame.device  # type: ignore[union-attr]
