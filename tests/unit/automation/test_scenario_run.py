"""Runs whose process, or whose gateway, is killed again and again: nothing is lost, no command is done twice, waits keep their end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.parts.scenario_lab import Lab
from wayhouse.automation.runs import Outcome
from wayhouse.automation.scenario import Scenario

HOST = Path(__file__).parents[2] / "parts" / "scenario_host.py"
KILLS = 25
CODE = """
from datetime import timedelta
first = now()
for n in range(200):
    variables["n"] = n
    assert variables["n"] == n
    answer = command("lamp", "set", n)
    assert answer == n, answer
    publish("/lamp", n)
    if n % 20 == 0:
        print("at", n)
        wait(0.05)
wait_until(first + timedelta(seconds=2))
begin = now()
wait(3)
variables["waited"] = (now() - begin).total_seconds()
"""


async def test_kill_the_gateway(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.manager.add(Scenario(name="one", code=CODE))
        await lab.manager.run("one")
    begun, kills, chance = time.monotonic(), 0, random.Random(7)
    while not _host(tmp_path, chance.uniform(0.0, 0.3) if kills < KILLS else 60):
        kills += 1
        assert kills <= KILLS
    took = time.monotonic() - begun
    async with Lab(tmp_path) as lab:
        (run,) = lab.manager.runs("one")
        steps = lab.manager.trace(run.id).steps
        variables = lab.manager.variables("one")
    assert (run.outcome, run.error) == (Outcome.DONE, "")
    assert variables["n"] == 199
    assert 3 <= float(variables["waited"]) < 3 + took
    lines = [line.split() for line in (tmp_path / "done").read_text().splitlines()]
    assert [int(line[-1]) for line in lines] == list(range(200))
    assert len({line[0] for line in lines}) == 200
    numbers = [step.number for step in steps if step.number]
    assert numbers == list(range(1, len(numbers) + 1))
    assert kills >= 20


def _host(folder: Path, live_s: float) -> bool:
    """Whether it ended by itself."""
    process = subprocess.Popen([sys.executable, str(HOST), str(folder)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.wait(live_s)
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.communicate()
    return process.returncode == 0


async def test_kill_the_process(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        code = "for n in range(400):\n    command('lamp', 'set', n)\n    variables['n'] = n\nwait(0.3)\nprint('end')"
        await lab.manager.add(Scenario(name="one", code=code))
        run = await lab.manager.run("one")
        kills, chance = 0, random.Random(3)
        while kills < KILLS:
            reached = len(lab.house.done)
            more = chance.randint(1, 12)
            await lab.until(lambda at=reached + more: len(lab.house.done) >= at and lab.pid())
            os.kill(lab.pid() or 0, signal.SIGKILL)
            kills += 1
        run = await lab.ended()
        assert (run.outcome, run.error) == (Outcome.DONE, "")
        assert [value for _, _, value in lab.house.done] == list(range(400))
        assert lab.manager.variables("one") == {"n": 399}
        assert lab.printed(run) == ["end"]
        assert set(lab.house.closed) == set(lab.house.answers)


async def test_the_process_ends_with_the_gateway(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.manager.add(Scenario(name="one", code="while True: pass"))
        await lab.manager.run("one")
    process = subprocess.Popen([sys.executable, str(HOST), str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 20
        while not (found := children.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.3)
    finally:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and _is_alive(int(pid)) for pid in found):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
