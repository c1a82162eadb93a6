"""`wayhouse chute`: the apps of a gateway. Installing and configuring are in files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli import chute_config, chute_install, chute_logs
from wayhouse.cli.chute_words import Name, Wait, web_address
from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import moment, size, span
from wayhouse.cli.session import Session
from wayhouse.cli.watch import finish

if TYPE_CHECKING:
    from wayhouse.api.table import Endpoint
    from wayhouse.api.wire import ChangeRef, ChuteView, UsageView

app = noun("chute", "Apps: install, look at, start, stop, configure, remove.")
HEADS = ("NAME", "VERSION", "STATE", "SERVICES", "WEB", "CPU TIME", "MEMORY")
AT_ONCE = 8

Env = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="K=V", help="Set an environment variable; may be repeated."),
]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


chute_install.add_to(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List the installed apps.

    For example:
      wayhouse chute ls
      wayhouse chute ls --json
    """
    from wayhouse.api.resources import chutes

    found = session.client.call(chutes.LIST)
    if session.screen.json:
        session.screen.data(found)
        return
    used = _usages(session, [chute.name for chute in found if chute.state == "running"])
    rows = [_row(session, chute, used.get(chute.name, {})) for chute in found]
    session.screen.table(HEADS, rows, empty=f"No apps yet. Install one: {session.again} chute install DIR")


@command(app, "show")
def show(session: Session, name: Name) -> None:
    """Show one app: what it is, and how its services do.

    For example:
      wayhouse chute show hello
    """
    from wayhouse.api.resources import chutes

    chute = session.client.call(chutes.GET, chute=name)
    if session.screen.json:
        session.screen.data(chute)
        return
    session.screen.lines(_facts(session, chute))
    session.screen.line()
    rows = [
        (service, view.state, str(view.restarts), moment(view.started), _ports(view.ports))
        for service, view in chute.services.items()
    ]
    session.screen.table(("SERVICE", "STATE", "RESTARTS", "SINCE", "PORTS"), rows, empty="No services.")


@command(app, "start")
def start(session: Session, name: Name, env: Env = None, wait: Wait = True) -> None:
    """Start an app that was stopped.

    For example:
      wayhouse chute start hello
      wayhouse chute start hello --env GREETING=hi
    """
    from wayhouse.api.resources import chutes

    _run(session, chutes.START, name, "runs", env=env, wait=wait)


@command(app, "stop")
def stop(session: Session, name: Name, wait: Wait = True) -> None:
    """Stop an app. It stays installed and keeps its data.

    For example:
      wayhouse chute stop hello
    """
    from wayhouse.api.resources import chutes

    _run(session, chutes.STOP, name, "is stopped", wait=wait)


@command(app, "restart")
def restart(session: Session, name: Name, env: Env = None, wait: Wait = True) -> None:
    """Restart an app, if wanted with other environment variables beside those it has.

    For example:
      wayhouse chute restart hello
      wayhouse chute restart hello --env GREETING=hi --no-wait
    """
    from wayhouse.api.resources import chutes

    _run(session, chutes.RESTART, name, "runs", env=env, wait=wait)


chute_logs.add_to(app)
chute_config.add_to(app)


@command(app, "rm")
def rm(
    session: Session,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = True,
) -> None:
    """Remove an app and its data.

    For example:
      wayhouse chute rm hello
      wayhouse chute rm hello --yes
    """
    from wayhouse.api.resources import chutes

    session.client.call(chutes.GET, chute=name)
    question = f"Remove {name} and all its data?"
    if not yes and not session.screen.confirm(question, otherwise="Add --yes to remove an app and its data."):
        raise typer.Exit(1)
    _run(session, chutes.DELETE, name, "is removed", wait=wait)


def _run(
    session: Session,
    row: Endpoint[ChangeRef],
    name: str,
    outcome: str,
    *,
    env: list[str] | None = None,
    wait: bool,
) -> None:
    """Ask for a change of one app, watch it, and say how the app is now."""
    from wayhouse.api.resources import chutes
    from wayhouse.api.wire import StartOrder
    from wayhouse.cli.specification import read_pairs

    body = None
    if env:
        before = session.client.call(chutes.GET, chute=name).environment
        body = StartOrder(environment={**before, **read_pairs(env)})
    change = finish(session, session.client.call(row, body=body, chute=name).change_id, wait=wait)
    if change is not None and session.screen.json:
        session.screen.data({"change": change})
    elif change is not None:
        session.screen.line(f"{name} {outcome}.")


def _row(session: Session, chute: ChuteView, used: dict[str, UsageView]) -> tuple[str, ...]:
    running = sum(service.state == "running" for service in chute.services.values())
    return (
        chute.name,
        "" if chute.version is None else str(chute.version),
        _state(chute),
        f"{running}/{len(chute.services)}",
        web_address(session, chute) if chute.state == "running" else "",
        span(sum(one.cpu_s for one in used.values())) if used else "",
        size(sum(one.memory_bytes for one in used.values())) if used else "",
    )


def _state(chute: ChuteView) -> str:
    """What should be, or what is where that differs."""
    odd = [one.state for one in chute.services.values() if one.state != "running"]
    return odd[0] if odd and chute.state == "running" else chute.state


def _facts(session: Session, chute: ChuteView) -> list[tuple[str, str]]:
    owner = "" if chute.owner is None else chute.owner.name
    facts = [
        ("Name", chute.name),
        ("Description", chute.description),
        ("Version", "" if chute.version is None else str(chute.version)),
        ("State", _state(chute)),
        ("Web", web_address(session, chute)),
        ("Owner", owner),
        ("Installed", moment(chute.installed)),
        ("Updated", f"{moment(chute.updated)} (change {chute.change_id})"),
    ]
    facts += [("Environment", f"{key}={value}") for key, value in chute.environment.items()]
    return [fact for fact in facts if fact[1]]


def _ports(ports: dict[str, int]) -> str:
    return ", ".join(f"{outside}->{inside}" for inside, outside in ports.items())


def _usages(session: Session, names: list[str]) -> dict[str, dict[str, UsageView]]:
    """What the apps use, as far as the gateway tells; a few are asked for at once."""
    from concurrent.futures import ThreadPoolExecutor

    from wayhouse.api.resources import chutes
    from wayhouse.base.errors import WayhouseError

    def ask(name: str) -> dict[str, UsageView]:
        try:
            return session.client.call(chutes.USAGE, chute=name)
        except WayhouseError:
            return {}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True)) if names else {}
