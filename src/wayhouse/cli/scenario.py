"""`wayhouse scenario`: what a house does by itself. Files and runs are in files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli import scenario_files, scenario_runs
from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import moment
from wayhouse.cli.scenario_words import Name, plain, read_pairs, run_line, say_view
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire_automation import ScenarioDetail
    from wayhouse.automation.runs import RunSummary

app = noun("scenario", "Scenarios: what the gateway does by itself, and why it did it.")
HEADS = ("NAME", "STATE", "LAST RUN", "OUTCOME", "NEXT RUN", "DESCRIPTION")


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List the scenarios, and how they do.

    For example:
      wayhouse scenario ls
      wayhouse scenario ls --json
    """
    from wayhouse.api.resources import scenarios

    found = session.client.call(scenarios.LIST)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (
            one.name,
            one.state.value,
            _began(one.last_run),
            _outcome(one.last_run),
            moment(one.next_run),
            one.description,
        )
        for one in found
    ]
    session.screen.table(HEADS, rows, empty=f"No scenarios yet. Add one: {session.again} scenario add FILE")


@command(app, "show")
def show(
    session: Session, name: Name, code: Annotated[bool, typer.Option("--code", help="With its code.")] = False
) -> None:
    """Show one scenario: what it watches, what it waits for, how its last run went.

    For example:
      wayhouse scenario show lights
      wayhouse scenario show lights --code
    """
    from wayhouse.api.resources import scenarios

    found = session.client.call(scenarios.GET, name=name)
    if session.screen.json:
        session.screen.data(found)
        return
    session.screen.lines(_facts(found))
    if code:
        session.screen.line()
        session.screen.line(found.scenario.code.rstrip())


scenario_files.add_to(app)


@command(app, "rm")
def rm(
    session: Session,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a scenario, with its variables and the traces of its runs.

    For example:
      wayhouse scenario rm lights
      wayhouse scenario rm lights --yes
    """
    from wayhouse.api.resources import scenarios

    session.client.call(scenarios.GET, name=name)
    question = f"Remove {name}, its variables and its traces?"
    if not yes and not session.screen.confirm(question, otherwise="Add --yes to remove a scenario."):
        raise typer.Exit(1)
    result = session.client.call(scenarios.DELETE, name=name)
    if session.screen.json:
        session.screen.data(result)
    else:
        session.screen.line(f"{name} is removed.")


@command(app, "enable")
def enable(session: Session, name: Name) -> None:
    """Wake a scenario: from now on it runs when its time or its condition comes.

    For example:
      wayhouse scenario enable lights
    """
    from wayhouse.api.resources import scenarios

    say_view(session, session.client.call(scenarios.ENABLE, name=name), "is awake")


@command(app, "disable")
def disable(session: Session, name: Name) -> None:
    """Put a scenario to sleep. It keeps its variables.

    For example:
      wayhouse scenario disable lights
    """
    from wayhouse.api.resources import scenarios

    say_view(session, session.client.call(scenarios.DISABLE, name=name), "sleeps")


scenario_runs.add_to(app)


@command(app, "set")
def set_values(
    session: Session,
    name: Name,
    values: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Parameters and their values.")],
) -> None:
    """Set a scenario's parameters, which is what one changes instead of its code.

    For example:
      wayhouse scenario set lights brightness=40
      wayhouse scenario set lights lamp=fake.hall.lamp only_weekdays=true
    """
    from wayhouse.api.resources import scenarios

    scenario = session.client.call(scenarios.GET, name=name).scenario
    given = read_pairs(values, "parameter")
    body = {
        **scenario.values,
        **{key: _fitting(scenario.parameters.get(key), text) for key, text in given.items()},
    }
    say_view(session, session.client.call(scenarios.CONFIGURE, body=body, name=name), "is set")


@command(app, "vars")
def variables(
    session: Session,
    name: Name,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE...]", help="Variables to set.")
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="A variable to forget; may be repeated."),
    ] = None,
) -> None:
    """Show what a scenario remembers, or set it.

    For example:
      wayhouse scenario vars lights
      wayhouse scenario vars lights count=0 mode=party
      wayhouse scenario vars lights --unset mode
    """
    from wayhouse.api.resources import scenarios
    from wayhouse.api.wire_automation import VariableValue

    given = read_pairs(values or [], "variable")
    for key in unset or []:
        session.client.call(scenarios.DELETE_VARIABLE, name=name, variable=key)
    for key, text in given.items():
        body = VariableValue(plain(text))
        session.client.call(scenarios.SET_VARIABLE, body=body, name=name, variable=key)
    found = session.client.call(scenarios.VARIABLES, name=name)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [(key, str(value)) for key, value in sorted(found.items())]
    session.screen.table(("VARIABLE", "VALUE"), rows, empty=f"{name} remembers nothing.")


def _fitting(parameter: object, text: str) -> object:
    """As the parameter wants it: a number of a house may be a text for another parameter."""
    kind = str(getattr(parameter, "kind", ""))
    value = plain(text)
    if kind in {"text", "source"} and not isinstance(value, str):
        return text
    if kind == "switch" and text.lower() in {"on", "off", "yes", "no"}:
        return text.lower() in {"on", "yes"}
    if kind in {"number", "switch"} and isinstance(value, str):
        raise BadInputError(
            f"{text[:40]!r} is no {kind}. Write " + ("25 or 0.5." if kind == "number" else "true or false.")
        )
    return value


def _facts(found: ScenarioDetail) -> list[tuple[str, str]]:
    view, scenario = found.view, found.scenario
    facts = [
        ("Name", view.name),
        ("Description", view.description),
        ("State", view.state.value + (f": {view.reason}" if view.reason else "")),
        ("Last run", run_line(view.last_run) if view.last_run is not None else ""),
        ("Next run", moment(view.next_run)),
        ("At startup", "yes" if view.at_startup else ""),
        ("Schedules", ", ".join(scenario.schedules)),
    ]
    facts += [
        (f"Watches {name}", f"{source} = {view.values.get(name)}")
        for name, source in scenario.entries.items()
    ]
    settings = {name: scenario.values.get(name, one.default) for name, one in scenario.parameters.items()}
    facts += [
        (f"Parameter {name}", "not set" if value is None else str(value)) for name, value in settings.items()
    ]
    facts += [(f"Variable {name}", str(value)) for name, value in sorted(view.variables.items())]
    facts += [
        ("Waits for", wait.text + (f", until {moment(wait.until)}" if wait.until else ""))
        for wait in view.waits
    ]
    return [fact for fact in facts if fact[1]]


def _began(run: RunSummary | None) -> str:
    return "" if run is None else moment(run.started)


def _outcome(run: RunSummary | None) -> str:
    return "" if run is None else run.outcome.value
