"""`wayhouse up --demo`: a gateway to look around in. It lives in a temporary directory, installs the example apps and scenarios by
itself, has devices that are not there, and takes everything away again when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from wayhouse.automation import scenario_file
from wayhouse.automation.model import Job
from wayhouse.automation.scenario import Conf
from wayhouse.base.errors import WayhouseError
from wayhouse.chutes import examples
from wayhouse.gateway.assemble import Gateway
from wayhouse.gateway.things import Rooms
from wayhouse.ledger.model import Actor

log = logging.getLogger(__name__)

VISITOR = Actor("paradrop", "localhost", "owner")
TEA = Job(name="tea", schedule="0 17 * * *")


@contextlib.contextmanager
def throwaway() -> Iterator[Path]:
    """A data directory for the time of the demo. Only the daemon's user can look into it."""
    folder = Path(tempfile.mkdtemp(prefix="wayhouse-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def furnish(gateway: Gateway) -> None:
    """Install every example that is not there yet."""
    for name, folder in examples.folders().items():
        if gateway.chutes.find(name) is None:
            try:
                received = await gateway.chutes.receive_archive(examples.chunks(folder))
                await gateway.chutes.create(received, VISITOR)
            except WayhouseError as error:
                log.warning("the example %s is not installed: %s", name, error.message)
    try:
        await _automate(gateway.rooms)
    except WayhouseError as error:
        log.warning("the example scenarios are not there: %s", error.message)


async def _automate(rooms: Rooms) -> None:
    """The example scenarios, awake, and a job."""
    found = [scenario_file.read(text) for text in examples.scenarios()]
    awake = Conf(active=True)
    for one in found:
        if one.name not in rooms.scenarios.scenarios:
            await rooms.scenarios.add(msgspec.structs.replace(one, conf=awake))
    if TEA.name not in rooms.crons.jobs:
        await rooms.crons.add(TEA)


async def clear(gateway: Gateway) -> None:
    """Remove all apps, and wait until they are gone."""
    changes = [await gateway.chutes.delete(name, VISITOR) for name in tuple(gateway.chutes.all)]
    await asyncio.gather(*(gateway.ledger.wait(change.id) for change in changes))
