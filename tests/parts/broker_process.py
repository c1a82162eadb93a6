"""The bus in a process of its own, to be killed: `python -m wayhouse.bus.server` on a UNIX socket and a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path


class BrokerProcess:
    """Serves when the constructor returns. `address` is the UNIX socket's, `tcp` one of a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._path = folder / "broker"
        self.address = f"ipc://{self._path}"
        self.tcp = f"tcp://127.0.0.1:{self.port}"
        listen = ["--listen", self.address, "--listen", self.tcp]
        self._command = [
            sys.executable,
            "-m",
            "wayhouse.bus.server",
            "--port",
            "0",
            "--no-clone",
            *listen,
            *options,
        ]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command)
        end = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, "the bus ended at once"
            assert time.monotonic() < end, "the bus does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._path)) == 0
