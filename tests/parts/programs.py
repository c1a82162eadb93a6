"""Programs of others, in C and PHP, that know the protocols from their RFCs alone; and what they print, to wait for."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "c"
LONG_S = 60.0


def build(folder: Path, *names: str) -> Path:
    """The folder with the programs; skips the test where they cannot be built."""
    if shutil.which("cc") is None or not Path("/usr/include/czmq.h").exists():
        pytest.skip("needs a C compiler and libczmq-dev")
    for name in names:
        source = str(SOURCES / f"{name}.c")
        subprocess.run(
            ["cc", "-Wall", "-Werror", "-o", str(folder / name), source, "-lczmq", "-lzmq"], check=True
        )
    return folder


def php() -> str:
    """The interpreter; skips the test where it or its ZeroMQ is not there."""
    found = shutil.which("php")
    if found is None or b"zmq" not in subprocess.run([found, "-m"], capture_output=True, check=True).stdout:
        pytest.skip("needs php-cli and php-zmq")
    return found


class Program:
    """Runs from the start; `output` is a file for what it prints."""

    def __init__(self, command: Sequence[str | Path], output: Path) -> None:
        self._output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out)

    def lines(self) -> list[str]:
        return self._output.read_text(encoding="utf-8").splitlines()

    def until(self, line: str, times: int = 1) -> None:
        """Returns when it has printed that line so often."""
        deadline = time.monotonic() + LONG_S
        while True:
            is_over = self.process.poll() is not None or time.monotonic() > deadline
            lines = self.lines()
            if lines.count(line) >= times:
                return
            assert not is_over, f"{line!r} is not in {lines}"
            time.sleep(0.01)

    def ended(self) -> int:
        return self.process.wait(LONG_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running(command: Sequence[str | Path], output: Path) -> Iterator[Program]:
    one = Program(command, output)
    try:
        yield one
    finally:
        one.kill()
