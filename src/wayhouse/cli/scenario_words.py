"""Words that the commands on scenarios share: their arguments, and how views and runs are shown."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.figures import moment, span
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.automation.runs import RunSummary, ScenarioView, Step

Name = Annotated[str, typer.Argument(metavar="NAME", help="The scenario.")]
RUN_HEADS = ("RUN", "SCENARIO", "BEGAN", "TOOK", "OUTCOME", "BECAUSE", "ERROR")
MAX_FILE = 4 * 1024 * 1024


def read_file(file: str) -> str:
    """The text of a file, or of standard input for `-`. Raises `BadInputError`."""
    try:
        text = sys.stdin.read(MAX_FILE + 1) if file == "-" else _head(Path(file))
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is not UTF-8 text.") from error
    if len(text) > MAX_FILE:
        raise BadInputError(f"{file} is larger than {MAX_FILE // 1024 // 1024} MiB.")
    return text


def read_pairs(pairs: Iterable[str], what: str) -> dict[str, str]:
    """`KEY=VALUE` each. Raises `BadInputError`."""
    found = dict[str, str]()
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInputError(f"A {what} is given as KEY=VALUE, not {pair[:80]!r}.")
        found[key] = value
    return found


def plain(text: str) -> Any:
    """`25`, `true` and `"25"` as JSON has them, everything else as the text it is."""
    from wayhouse.base import codec

    try:
        value = codec.decode_json(text, object, what="value")
    except BadInputError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def say_view(session: Session, view: ScenarioView, done: str) -> None:
    """What was done, and what is still missing before it can run."""
    if session.screen.json:
        session.screen.data(view)
        return
    session.screen.line(f"{view.name} {done}.")
    if view.reason:
        session.screen.note(f"It cannot run yet: {view.reason}")
        if view.reason.startswith("Set "):
            session.screen.note(
                f"For example: {session.again} scenario set {shlex.quote(view.name)} KEY=VALUE"
            )


def run_row(run: RunSummary) -> tuple[str, ...]:
    took = span(run.ended - run.started) if run.ended is not None else ""
    return (run.id, run.scenario, moment(run.started), took, run.outcome.value, run.cause, _failure(run))


def run_line(run: RunSummary) -> str:
    """One sentence about a run."""
    if run.ended is None:
        return f"Run {run.id} of {run.scenario} ({run.cause}) is under way since {moment(run.started)}."
    failure = f": {_failure(run)}" if run.error else ""
    return f"Run {run.id} of {run.scenario} ({run.cause}): {run.outcome.value}{failure}"


def step_line(step: Step, started: float) -> str:
    """Such as `  2.4 s  command kitchen.fan: on -> true`."""
    number = f"{step.number:4}" if step.number else "    "
    result = f" -> {step.result}" if step.result else ""
    took = f"  ({span(step.took_s)})" if step.took_s >= 0.1 else ""
    return f"{number}  {max(0.0, step.at - started):8.1f} s  {step.call}  {step.text}{result}{took}".rstrip()


def _failure(run: RunSummary) -> str:
    line = f"line {run.line}: " if run.line is not None and run.error else ""
    return line + run.error.partition("\n")[0]


def _head(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        return opened.read(MAX_FILE + 1)
