"""Runs the daemon: reads the command line and the settings, takes the lock on the data, and lives (`life.py`) until told to stop.

Called by `python -m wayhouse.gateway`. Rule: what keeps it from starting is told in one sentence, with what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, ConflictError, WayhouseError
from wayhouse.base.settings import Paths
from wayhouse.gateway import demo, settings
from wayhouse.gateway.assemble_things import LOCK_FILE
from wayhouse.gateway.inheritance import inherit
from wayhouse.gateway.life import Birth, live
from wayhouse.gateway.settings import Settings
from wayhouse.runtime.succession.elder import refuse
from wayhouse.runtime.succession.heir_process import passage_of

logger = logging.getLogger(__name__)

ORPHANS_S = 3.0
"""How long processes that outlived a gateway which was killed may take to notice it and to end."""
LOOK_S = 0.02


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of `wayhouse up`; None: as the settings say."""

    data: Path | None = None
    listen: str | None = None
    engine: str | None = None
    demo: bool = False
    config: Path | None = None
    insecure_default_login: bool = False
    bus_port: int | None = None
    heir: int | None = None
    """The descriptor that leads to the daemon that shall be succeeded."""


def run(options: Options, env: Mapping[str, str], out: TextIO = sys.stdout) -> int:
    """The whole life of the daemon; returns the exit code."""
    try:
        if options.demo:
            return _run_demo(options, env, out)
        return _run(options, env, out)
    except WayhouseError as error:
        return _fail(error.message)
    except PermissionError as error:
        return _fail(f"{error.filename} may not be written. Start as root, or use --data DIR.")
    except OSError as error:
        logger.debug("cannot start", exc_info=True)
        return _fail(f"{error.filename or 'The gateway'}: {error.strerror or error}.")
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0  # told to stop while it started


def _run_demo(options: Options, env: Mapping[str, str], out: TextIO) -> int:
    if options.data is not None:
        raise BadInputError(
            "The demo removes its apps when it ends, so it takes a folder of its own. Leave --data out."
        )
    with demo.throwaway() as folder:
        return _run(msgspec.structs.replace(options, data=folder), env, out)


def _run(options: Options, env: Mapping[str, str], out: TextIO) -> int:
    paths = choose_paths(options, env)
    tree = read_settings(options, paths, env)
    for path in (paths.config, paths.data, paths.cache, paths.runtime):
        path.mkdir(parents=True, exist_ok=True, mode=0o750)
    raise_limit()
    birth = Birth(tree=tree, paths=paths, data=options.data, is_demo=options.demo)
    if options.heir is not None:
        asyncio.run(_succeed(options.heir, birth, env, out))
        return 0
    with locked(paths.data / LOCK_FILE) as lock:
        asyncio.run(live(msgspec.structs.replace(birth, lock=lock), dict(env), out))
    return 0


async def _succeed(descriptor: int, birth: Birth, env: Mapping[str, str], out: TextIO) -> None:
    """Raises `WayhouseError`, of which the elder is told: whoever asked it for an upgrade wants to know."""
    passage = passage_of(descriptor)
    try:
        inheritance = await inherit(passage)
        birth = msgspec.structs.replace(birth, lock=inheritance.lock, inheritance=inheritance)
        await live(birth, dict(env), out)
    except WayhouseError as error:
        await refuse(passage, error.message)
        raise
    finally:
        passage.close()


def raise_limit() -> None:
    """As many descriptors as the system lets this process have: each client is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def choose_paths(options: Options, env: Mapping[str, str]) -> Paths:
    """`--data`, then `WAYHOUSE_DATA`; else the system's places for root and the user's own for others."""
    base = options.data or (Path(env["WAYHOUSE_DATA"]) if env.get("WAYHOUSE_DATA") else None)
    if base is not None:
        return Paths.under(base.absolute())
    return Paths.system() if os.geteuid() == 0 else Paths.user(env)


def read_settings(options: Options, paths: Paths, env: Mapping[str, str]) -> Settings:
    """The settings with the command line over them. Raises `BadInputError`."""
    tree = settings.load(paths, env, file=options.config)
    replace = msgspec.structs.replace
    if options.listen is not None:
        tree = replace(tree, gateway=replace(tree.gateway, listen=options.listen))
    if options.engine is not None:
        tree = replace(
            tree,
            chutes=codec.convert(
                {**_plain(tree.chutes), "engine": options.engine}, type(tree.chutes), what="--engine"
            ),
        )
    if options.demo:
        tree = replace(tree, devices=replace(tree.devices, fake=True))
    if options.bus_port is not None:
        tree = replace(tree, bus=replace(tree.bus, port=options.bus_port))
    if options.insecure_default_login:
        tree = replace(tree, access=replace(tree.access, insecure_default_login=True))
    return tree


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """One gateway for each data directory; the descriptor that holds the lock. Raises `ConflictError`."""
    with path.open("a") as file:
        deadline = time.monotonic() + ORPHANS_S
        while not _locks(file):
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"A gateway runs on {path.parent} already. `wayhouse status` shows it; --data DIR starts another."
                )
            time.sleep(LOOK_S)
        yield file.fileno()


def _locks(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fail(message: str) -> int:
    sys.stderr.write(f"wayhouse: {message}\n")
    return 1


def _plain(struct: msgspec.Struct) -> dict[str, object]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
