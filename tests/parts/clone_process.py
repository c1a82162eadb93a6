"""The key/value clone in a process of its own, to be killed; `python clone_process.py <folder> <form>` serves in `folder`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from wayhouse.bus.drivers.clone_sockets import CloneSockets, Endpoints
from wayhouse.bus.drivers.loop import Loop
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.kvmsg import Form


def endpoints_in(folder: Path) -> Endpoints:
    return Endpoints(
        *(f"ipc://{folder}/{name}" for name in ("snapshot", "publisher", "collector", "subscribed"))
    )


class CloneProcess:
    def __init__(self, folder: Path, form: Form = Form.CHP) -> None:
        self.endpoints = endpoints_in(folder)
        self._command = [sys.executable, __file__, str(folder), form.value]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def serve(folder: Path, form: Form) -> None:
    watch = Watch()
    loop = Loop([CloneSockets(watch, endpoints_in(folder), time.monotonic(), form=form)], watch)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Form(sys.argv[2]))
