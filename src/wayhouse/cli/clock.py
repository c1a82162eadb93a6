"""`wayhouse clock`: who keeps the gateway's time, whether it is right, and the hardware clock beside it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.automation.clock_model import ClockState

SOURCES = {"timesyncd": "systemd-timesyncd", "other": "a program that is not known here", "none": "nobody"}


class Action(enum.StrEnum):
    STATUS = "status"
    RTC_FROM_SYSTEM = "rtc-from-system"
    SYSTEM_FROM_RTC = "system-from-rtc"


def add_to(app: typer.Typer) -> None:
    command(app, "clock")(clock)


def clock(
    session: Session,
    action: Annotated[
        Action, typer.Argument(help="What to do; without it, show.", show_default=False)
    ] = Action.STATUS,
) -> None:
    """Show the gateway's clock and who keeps it; or set one clock from the other.

    rtc-from-system sets the hardware clock, system-from-rtc the system's.

    For example:
      wayhouse clock
      wayhouse clock status --json
      wayhouse clock rtc-from-system
      wayhouse clock system-from-rtc
    """
    from wayhouse.api.resources import clock as rows

    row = {
        Action.STATUS: rows.STATE,
        Action.RTC_FROM_SYSTEM: rows.RTC_FROM_SYSTEM,
        Action.SYSTEM_FROM_RTC: rows.SYSTEM_FROM_RTC,
    }[action]
    state = session.client.call(row)
    if session.screen.json:
        session.screen.data(state)
        return
    if action is not Action.STATUS:
        which = "hardware" if action is Action.RTC_FROM_SYSTEM else "system's"
        session.screen.note(f"The {which} clock is set.")
    session.screen.lines(_facts(state))
    for note in state.notes:
        session.screen.note(note)


def _facts(state: ClockState) -> list[tuple[str, str]]:
    by = f", by {state.offset_from}" if state.offset_from else ""
    facts = [
        ("Time", moment(state.time)),
        ("Kept by", SOURCES.get(state.source.value, state.source.value)),
        ("Synchronised", "yes" if state.is_synchronised else "no"),
        ("Off by", _offset(state.offset_s) + by if state.offset_s is not None else "not known"),
        ("Server", f"{state.server} (stratum {state.stratum})" if state.stratum else state.server),
        ("Hardware clock", moment(state.rtc) or "none"),
        ("It is off by", _offset(state.rtc_offset_s) if state.rtc_offset_s is not None else ""),
    ]
    return [fact for fact in facts if fact[1]]


def _offset(seconds: float) -> str:
    """`-0.0031` is "3.1 ms behind"."""
    size = abs(seconds)
    if size < 1e-6:
        return "less than 1 us"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if size * scale >= 1:
            return f"{size * scale:.1f} {unit} {'ahead' if seconds > 0 else 'behind'}"
    return "1 us"
