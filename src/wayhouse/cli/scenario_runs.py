"""`wayhouse scenario run`, `stop`, `runs`, `trace`, `rehearse`: what scenarios do, did and would have done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.cli.command import command
from wayhouse.cli.figures import count, moment, seconds_of
from wayhouse.cli.live import away
from wayhouse.cli.scenario_words import RUN_HEADS, Name, read_file, run_line, run_row, step_line
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.automation.runs import Rehearsal, RunSummary

MOST_RUNS = 200


class RunFailedError(WayhouseError):
    """A run that was waited for has failed."""

    code = "scenario-run-failed"
    status = 409
    title = "The run failed"


Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on with what comes, until the run has ended.")
]


def add_to(app: typer.Typer) -> None:
    command(app, "run")(run)
    command(app, "stop")(stop)
    command(app, "runs")(runs)
    command(app, "trace")(trace)
    command(app, "rehearse")(rehearse)


def run(session: Session, name: Name, follow: Follow = False) -> None:
    """Run a scenario now, whether it is awake or not.

    For example:
      wayhouse scenario run lights
      wayhouse scenario run lights --follow
    """
    from wayhouse.api.resources import scenarios

    begun = session.client.call(scenarios.RUN, name=name)
    if follow:
        _follow(session, begun.id)
    elif session.screen.json:
        session.screen.data(begun)
    else:
        session.screen.line(run_line(begun))
        session.screen.note(f"Watch it: {session.again} scenario trace {begun.id} --follow")


def stop(session: Session, name: Name) -> None:
    """Stop the run of a scenario. It may run again.

    For example:
      wayhouse scenario stop lights
    """
    from wayhouse.api.resources import scenarios

    ended = session.client.call(scenarios.STOP, name=name)
    if session.screen.json:
        session.screen.data(ended)
    else:
        session.screen.line(run_line(ended))


def runs(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only of this scenario.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=MOST_RUNS, help="How many.")
    ] = 20,
) -> None:
    """List the latest runs, newest first: why each began, and how it ended.

    For example:
      wayhouse scenario runs
      wayhouse scenario runs lights -n 50
    """
    from wayhouse.api.resources import scenarios

    query = {"limit": limit}
    if name is None:
        found = session.client.call(scenarios.ALL_RUNS, query=query)
    else:
        found = session.client.call(scenarios.RUNS_OF, query=query, name=name)
    if session.screen.json:
        session.screen.data(found)
        return
    session.screen.table(RUN_HEADS, [run_row(one) for one in found], empty="No runs yet.")


def trace(
    session: Session,
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|NAME]", help="A run, or a scenario's last one; without it, the last of all."
        ),
    ] = None,
    follow: Follow = False,
) -> None:
    """Show what a run did, step by step, with what came of each.

    For example:
      wayhouse scenario trace
      wayhouse scenario trace lights
      wayhouse scenario trace lights --follow
    """
    from wayhouse.api.resources import scenarios

    run_id = _run_id(session, which)
    if follow:
        _follow(session, run_id)
        return
    found = session.client.call(scenarios.TRACE, run=run_id)
    if session.screen.json:
        session.screen.data(found)
        return
    if found.is_cut:
        session.screen.note("Only the last steps are kept of so long a run.")
    for step in found.steps:
        session.screen.line(step_line(step, found.run.started))
    session.screen.line(run_line(found.run))


def rehearse(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A scenario of the gateway.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Or one in a file, which need not be added.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From when: 12h or 7d ago, or 2026-03-01T06:00.")
    ] = "1d",
    until: Annotated[str, typer.Option(metavar="TIME", help="Until when, in the same way.")] = "0s",
) -> None:
    """Show what a scenario would have done with the values that were recorded. Nothing is switched.

    For example:
      wayhouse scenario rehearse lights
      wayhouse scenario rehearse lights --since 7d
      wayhouse scenario rehearse --file lights.toml --since 2026-03-01 --until 2026-03-02
    """
    from wayhouse.api.resources import scenarios
    from wayhouse.api.wire_automation import RehearsalOrder
    from wayhouse.automation import scenario_file

    if (name is None) is (file is None):
        raise BadInputError("Name a scenario, or give one with --file.")
    order = RehearsalOrder(
        start=moment_of(since),
        end=moment_of(until),
        name=name,
        scenario=None if file is None else scenario_file.read(read_file(file)),
    )
    found = session.client.call(scenarios.REHEARSE, body=order)
    if session.screen.json:
        session.screen.data(found)
    else:
        _show(session, found)


def moment_of(text: str) -> float:
    """`12h` is so long ago; `2026-03-01` or `2026-03-01T06:00` is local time. Unix seconds. Raises `BadInputError`."""
    from datetime import datetime

    ago_s = seconds_of(text)
    if ago_s is not None:
        return time.time() - ago_s  # noqa: TID251 - a person's now
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise BadInputError(
            f"{text[:40]!r} is no time. Write how long ago, such as 12h or 7d, or a time such as 2026-03-01T06:00."
        ) from error


def _show(session: Session, found: Rehearsal) -> None:
    times = count(len(found.firings), "time")
    session.screen.line(
        f"{found.scenario} would have run {times} from {moment(found.start)} to {moment(found.end)}."
    )
    for firing in found.firings:
        failure = f": {firing.error}" if firing.error else ""
        session.screen.line(f"{moment(firing.at)}  {firing.cause}: {firing.outcome.value}{failure}")
        for step in firing.steps:
            session.screen.line(step_line(step, firing.at))
    if found.limited:
        session.screen.note(f"`at_most` would have kept it from running {count(found.limited, 'time')}.")
    if found.coalesced:
        session.screen.note(f"It would have fired {count(found.coalesced, 'time')} while it ran.")
    if found.silent:
        session.screen.note(f"Nothing was recorded then of: {', '.join(found.silent)}.")
    if found.is_cut:
        session.screen.note("It would have run more often: take a shorter time.")


def _run_id(session: Session, which: str | None) -> str:
    """A run's id, or the last run of the scenario of that name. Raises `BadInputError` when there is none."""
    from wayhouse.api.client_errors import ProblemError
    from wayhouse.api.resources import scenarios

    query = {"limit": 1}
    if which is None:
        found = session.client.call(scenarios.ALL_RUNS, query=query)
    else:
        try:
            found = session.client.call(scenarios.RUNS_OF, query=query, name=which)
        except ProblemError as error:
            if error.status != 404:
                raise
            return which
    if not found:
        raise BadInputError("Nothing has run yet." if which is None else f"{which} has not run yet.")
    return found[0].id


def _follow(session: Session, run_id: str) -> None:
    """Each step when it is done, until the run has ended. Raises `RunFailedError` if it has failed."""
    from wayhouse.api.resources import scenarios
    from wayhouse.api.wire_automation import RunFrame
    from wayhouse.base import codec

    known: RunSummary | None = None
    for text in session.client.follow(scenarios.FOLLOW_RUN, lost=away(session.screen), run=run_id):
        frame = codec.decode_json(text, RunFrame, what="step")
        if session.screen.json:
            session.screen.data_line(frame)
        elif frame.step is not None and (frame.step.result is not None or not frame.step.number):
            session.screen.line(step_line(frame.step, known.started if known is not None else frame.step.at))
        known = frame.run or known
    if known is None or known.ended is None:
        return
    if known.outcome.value not in {"done", "stopped"}:
        raise RunFailedError(run_line(known))
    if not session.screen.json:
        session.screen.line(run_line(known))
