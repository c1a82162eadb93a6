"""`wayhouse up`: becomes the keeper of the daemon, or the daemon itself where a service manager keeps it. The process is
replaced, so that nothing of the command line stays in memory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import help_of
from wayhouse.cli.wanted import Wanted

DAEMON, KEEPER = "wayhouse.gateway", "wayhouse.gateway.keeper"
ENGINES = ("auto", "docker", "sandbox")
LAST_BUS_PORT = 65532


def add_to(app: typer.Typer) -> None:
    app.command("up", help=help_of(up))(up)


def up(
    context: typer.Context,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep everything in this folder.")] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where the page and the API answer (127.0.0.1:8080)."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="auto|docker|sandbox", help="What runs the apps.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="In a temporary folder, with the example apps installed.")
    ] = False,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The settings file.")] = None,
    insecure_default_login: Annotated[
        bool,
        typer.Option(
            "--insecure-default-login",
            help="Let ParaDrop's old clients in without a password, from this machine only.",
        ),
    ] = False,
    bus_port: Annotated[
        int | None,
        typer.Option(
            "--bus-port", metavar="N", help="The bus takes this port and the next three (5514); 0: any."
        ),
    ] = None,
) -> None:
    """Start the gateway in the foreground. Ctrl-C stops it; apps go on. After a crash it comes back by itself.

    For example:
      wayhouse up
      wayhouse up --data ~/gateway --listen 0.0.0.0:8080
      wayhouse up --demo
    """
    before = context.find_root().obj
    if data is None and isinstance(before, Wanted):
        data = before.data
    arguments = daemon_arguments(
        data=data,
        listen=listen,
        engine=engine,
        demo=demo,
        config=config,
        insecure_default_login=insecure_default_login,
        bus_port=bus_port,
    )
    module = program(os.environ, demo=demo)
    if module == KEEPER:  # it takes them up once it can end in good order
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - becomes the daemon


def program(env: Mapping[str, str], *, demo: bool) -> str:
    """The module that shall run: a service manager restarts the daemon itself, and a demo is not worth it."""
    return DAEMON if demo or env.get("NOTIFY_SOCKET") else KEEPER


def daemon_arguments(
    *,
    data: Path | None,
    listen: str | None,
    engine: str | None,
    demo: bool,
    config: Path | None,
    insecure_default_login: bool,
    bus_port: int | None = None,
) -> list[str]:
    """The daemon's own command line. Raises `BadInputError` for what it could not start with."""
    if data is not None and data.exists() and not data.is_dir():
        raise BadInputError(f"{data} is no folder.")
    if config is not None and not config.is_file():
        raise BadInputError(f"There is no settings file {config}.")
    if engine is not None and engine not in ENGINES:
        raise BadInputError(f"--engine must be one of {', '.join(ENGINES)}.")
    if listen is not None:
        check_address(listen)
    if bus_port is not None and not 0 <= bus_port <= LAST_BUS_PORT:
        raise BadInputError(f"--bus-port is a number from 0 to {LAST_BUS_PORT}.")
    values: dict[str, object] = {"--data": data, "--listen": listen, "--engine": engine, "--config": config}
    values["--bus-port"] = bus_port
    flags = {"--demo": demo, "--insecure-default-login": insecure_default_login}
    named = [f"{name}={value}" for name, value in values.items() if value is not None]
    return named + [name for name, is_set in flags.items() if is_set]


def check_address(text: str) -> None:
    """HOST:PORT, [IPV6]:PORT or :PORT. Raises `BadInputError`."""
    _, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise BadInputError(
            f"`{text}` is no address to listen on. Write HOST:PORT, for example 0.0.0.0:8080."
        )
