"""`wayhouse check`: looks for what could keep a gateway from working, with advice. Needs no running gateway."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.cli.command import command
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.base.settings import Paths
    from wayhouse.cli.findings import Finding

DOCKER_S = 3.0
HERE = ("127.0.0.1", 8080)


def add_to(app: typer.Typer) -> None:
    command(app, "check")(check)


def check(session: Session) -> None:
    """Look for what could keep the gateway from working, and say what to do about it.

    Works with and without a running gateway. The exit code is 1 if something is bound to fail.

    For example:
      wayhouse check
      sudo wayhouse check
      wayhouse check --json
    """
    found = list(_findings(session))
    if session.screen.json:
        session.screen.data(found)
    else:
        _show(session, found)
    if any(finding.verdict == "fail" for finding in found):
        raise typer.Exit(1)


def _show(session: Session, found: list[Finding]) -> None:
    width = max(len(finding.name) for finding in found)
    screen = session.screen
    for finding in found:
        screen.painted(
            f"{screen.paint(finding.verdict.ljust(4), finding.verdict)}  {finding.name.ljust(width)}  "
            f"{screen.safe(finding.text)}"
        )
        if finding.advice:
            screen.line(f"{'':4}  {'':{width}}  -> {finding.advice}")


def _findings(session: Session) -> Iterator[Finding]:
    from wayhouse.cli import findings

    yield findings.python(sys.version_info[:3])
    gateway = _gateway(session)
    yield gateway
    is_running = gateway.verdict == "ok"
    if is_running:
        yield _engine(session)
        yield from _bus(session)
    if not is_running or session.choice.place.scheme == "unix":
        yield from _machine(session, is_running=is_running)


def _machine(session: Session, *, is_running: bool) -> Iterator[Finding]:
    from wayhouse.base.clock import SystemClock
    from wayhouse.cli import findings

    paths = _paths(session)
    yield findings.data_folder(paths)
    yield findings.disk(paths.data)
    yield findings.clock(SystemClock().wall(), findings.is_synchronized())
    yield findings.port(*_listening(session, is_running=is_running), is_running=is_running)
    yield findings.docker(_docker_sockets(session.env), _ask_docker)
    yield findings.programs(shutil.which)
    yield findings.control_groups(Path("/sys/fs/cgroup"))
    yield findings.user_namespaces(Path("/proc"), is_root=os.geteuid() == 0)


def _gateway(session: Session) -> Finding:
    from wayhouse.api.resources import system
    from wayhouse.cli.findings import Finding

    try:
        session.client.call(system.HEALTH)
        version = session.client.call(system.VERSION)
    except BadInputError:
        raise
    except WayhouseError as error:
        is_asked_for = session.wanted.gateway is not None or session.wanted.data is not None
        return Finding("gateway", "fail" if is_asked_for else "warn", "No gateway answers.", error.message)
    return Finding("gateway", "ok", f"Wayhouse {version.version} answers at {session.choice.place}.")


def _engine(session: Session) -> Finding:
    from wayhouse.api.resources import system
    from wayhouse.cli.findings import Finding

    version = session.client.call(system.VERSION)
    text = f"Apps run in {version.engine} ({version.engine_version})."
    if not version.engine_limits:
        return Finding("engine", "ok", text)
    return Finding("engine", "warn", text, "Know its limits: " + " ".join(version.engine_limits))


def _bus(session: Session) -> Iterator[Finding]:
    from wayhouse.api.resources import config
    from wayhouse.cli import findings

    with contextlib.suppress(WayhouseError):  # only administrators see the settings
        settings = session.client.call(config.SETTINGS)
        if (found := findings.bus(settings)) is not None:
            yield found


def _paths(session: Session) -> Paths:
    """Those of the gateway that runs, else those it would have."""
    from wayhouse.base.settings import Paths

    if session.wanted.data is not None:
        return Paths.under(session.wanted.data.absolute())
    own = Paths.user(session.env)
    try:
        if session.choice.place.socket == str(own.socket):
            return own
        if session.choice.place.socket == str(Paths.system().socket):
            return Paths.system()
    except WayhouseError:
        pass
    return Paths.system() if os.geteuid() == 0 else own


def _listening(session: Session, *, is_running: bool) -> tuple[str, int]:
    """Where the gateway listens, or would."""
    from wayhouse.api.resources import config
    from wayhouse.cli.page import EVERYWHERE

    if not is_running:
        return HERE
    try:
        listen = str(session.client.call(config.SETTINGS).get("gateway_listen"))
    except WayhouseError:
        return HERE
    host, _, number = listen.rpartition(":")
    host = host.strip("[]")
    return ("127.0.0.1" if host in EVERYWHERE else host), int(number) if number.isdigit() else HERE[1]


def _docker_sockets(env: Mapping[str, str]) -> Iterator[str]:
    from wayhouse.chutes.engines.choose import sockets

    yield from sockets(env)


def _ask_docker(path: str) -> Mapping[str, Any]:
    import http.client

    from wayhouse.api.client_transport import Place, Trust, connect
    from wayhouse.base import codec

    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError
    try:
        connection = connect(Place.at(Path(path)), Trust(), wait_s=DOCKER_S)
        try:
            connection.request("GET", "/version")
            answer = connection.getresponse().read(65536)
        finally:
            connection.close()
        return codec.decode_json(answer, dict[str, Any])
    except (WayhouseError, http.client.HTTPException) as error:
        raise ConnectionError from error
