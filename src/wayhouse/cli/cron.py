"""`wayhouse cron`: jobs, which run at times of the clock and the sun."""

from __future__ import annotations

import enum
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.table import Endpoint
    from wayhouse.api.wire_automation import CronView, SchedulePreview

app = noun("cron", "Jobs: what is to happen when.")
HEADS = ("NAME", "SCHEDULE", "MEANS", "LAST RUN", "NEXT RUN", "MISSED RUNS")
MOST_TIMES = 100


class CatchUp(enum.StrEnum):
    NONE = "none"
    ONCE = "once"
    ALL = "all"


Name = Annotated[str, typer.Argument(metavar="NAME", help="The job.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List the jobs, with when they ran last and run next.

    For example:
      wayhouse cron ls
      wayhouse cron ls --json
    """
    from wayhouse.api.resources import crons

    found = session.client.call(crons.LIST)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (one.name, one.schedule, one.meaning, moment(one.last_run), _next(one), one.catch_up.value)
        for one in found
    ]
    hint = f"No jobs yet. Add one: {session.again} cron add tea '30 7 * * MON-FRI'"
    session.screen.table(HEADS, rows, empty=hint)


@command(app, "add")
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    schedule: Annotated[
        str,
        typer.Argument(metavar="SCHEDULE", help="A cron line, @daily, @sunset-00:30, @every 90s, @reboot."),
    ],
    catch_up: Annotated[
        CatchUp,
        typer.Option("--catch-up", help="What to do about times that passed while the gateway was off."),
    ] = CatchUp.NONE,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="With --catch-up all: the last N of them.")
    ] = 10,
) -> None:
    """Add a job. Each run is the key /event/cron/NAME on the bus, and the source `cron:NAME` for scenarios.

    For example:
      wayhouse cron add tea '30 7 * * MON-FRI'
      wayhouse cron add lights @sunset-00:30
      wayhouse cron add backup @daily --catch-up once
    """
    from wayhouse.api.resources import crons
    from wayhouse.api.wire_automation import CronOrder

    order = CronOrder(name=name, schedule=schedule, catch_up=catch_up, limit=limit)  # type: ignore[arg-type]
    _say(session, session.client.call(crons.CREATE, body=order))


@command(app, "rm")
def rm(session: Session, name: Name) -> None:
    """Remove a job.

    For example:
      wayhouse cron rm tea
    """
    from wayhouse.api.resources import crons

    result = session.client.call(crons.DELETE, job=name)
    if session.screen.json:
        session.screen.data(result)
    else:
        session.screen.line(f"{name} is removed.")


@command(app, "pause")
def pause(session: Session, name: Name) -> None:
    """Let a job rest. The times of the pause are not caught up.

    For example:
      wayhouse cron pause tea
    """
    from wayhouse.api.resources import crons

    _do(session, crons.PAUSE, name)


@command(app, "resume")
def resume(session: Session, name: Name) -> None:
    """Let a job run again, from now on.

    For example:
      wayhouse cron resume tea
    """
    from wayhouse.api.resources import crons

    _do(session, crons.RESUME, name)


@command(app, "run")
def run(session: Session, name: Name) -> None:
    """Run a job now, beside its own times; also one that is paused.

    For example:
      wayhouse cron run tea
    """
    from wayhouse.api.resources import crons

    view = session.client.call(crons.RUN, job=name)
    if session.screen.json:
        session.screen.data(view)
    else:
        session.screen.line(f"{name} ran at {moment(view.last_run)}.")


@command(app, "next")
def next_runs(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="NAME|SCHEDULE", help="A job, or a schedule to try out.")],
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=1, max=MOST_TIMES, help="How many.")
    ] = 5,
) -> None:
    """Show when a job runs next, or what a schedule would mean.

    For example:
      wayhouse cron next tea
      wayhouse cron next '30 7 * * MON-FRI' -n 10
    """
    from wayhouse.api.resources import crons

    jobs = {one.name: one for one in session.client.call(crons.LIST)}
    line = jobs[what].schedule if what in jobs else what
    found = session.client.call(crons.PREVIEW, query={"schedule": line, "count": count})
    if session.screen.json:
        session.screen.data(found)
        return
    if what in jobs and jobs[what].is_paused:
        session.screen.note(
            f"{what} is paused. Let it run again: {session.again} cron resume {shlex.quote(what)}"
        )
    _show(session, found)


def _show(session: Session, found: SchedulePreview) -> None:
    session.screen.line(f"{found.meaning} ({found.zone}).")
    for time in found.next:
        session.screen.line(f"  {moment(time)}")


def _do(session: Session, row: Endpoint[CronView], name: str) -> None:
    _say(session, session.client.call(row, job=name))


def _say(session: Session, view: CronView) -> None:
    if session.screen.json:
        session.screen.data(view)
    elif view.is_paused:
        session.screen.line(f"{view.name} rests.")
    else:
        session.screen.line(f"{view.name}: {view.meaning}. Next: {_next(view) or 'never'}.")


def _next(view: CronView) -> str:
    return "paused" if view.is_paused else moment(view.next_run)
