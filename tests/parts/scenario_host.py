"""A program that hosts scenarios on a real database, to be killed at any moment: `python scenario_host.py FOLDER`.

Commands are lines of `FOLDER/done`, each with its request's id; a request that is there already is answered and not done again. It says
`ready`, and ends when the scenario `one` has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.parts.scenario_lab import House, Lab
from wayhouse.automation.model import Value


class DurableHouse(House):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self._fd = os.open(file, os.O_CREAT | os.O_APPEND | os.O_RDWR)
        for number, line in enumerate(file.read_text().splitlines()):
            self.answers[line.split()[0]] = number

    async def command(self, device: str, command: str, value: Value, *, request_id: str) -> Value:
        if request_id not in self.answers:
            os.write(self._fd, f"{request_id} {device} {command} {value}\n".encode())
            os.fsync(self._fd)
            self.answers[request_id] = len(self.answers)
        await asyncio.sleep(0.002)
        return self.answers[request_id]


async def main(folder: Path) -> None:
    async with Lab(folder, DurableHouse(folder / "done")) as lab:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await lab.until(lambda: (runs := lab.manager.runs("one")) and runs[0].ended is not None, 120)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
