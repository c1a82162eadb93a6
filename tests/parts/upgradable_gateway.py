"""A real gateway that can be upgraded, and told at which step of it to die (see `faults.py`)."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.parts.gateway import GatewayProcess
from wayhouse.runtime.exceptions import AveException, Restarting
from wayhouse.runtime.remote import RemoteControl


class Upgradable(GatewayProcess):
    """Knows which process serves, and ends that one."""

    def __init__(self, data: Path, *, env: Mapping[str, str] | None = None, **more: Any) -> None:
        self.fault = data.parent / "fault"
        env = {**(env or {}), "FAULT_FILE": str(self.fault)}
        super().__init__(data, command=("-m", "tests.parts.faulty_gateway"), env=env, **more)

    @property
    def control(self) -> str:
        return str(self.data / "run" / "control.sock")

    def serving(self) -> int:
        with RemoteControl(self.control, None, 30) as remote:
            pid: int = remote.INFO()["pid"]
            return pid

    def upgrade(self, fault: str = "") -> str:
        """Why it failed, or "" when a successor serves."""
        if fault:
            self.fault.write_text(fault)
        with RemoteControl(self.control, None, 60) as remote:
            before = remote.INFO()["pid"]
            try:
                for _ in remote.stream("upgrade"):
                    pass
            except Restarting:
                assert remote.INFO()["pid"] != before
                return ""
            except AveException as error:
                assert remote.INFO()["pid"] == before
                return error.message
        raise AssertionError("the stream of an upgrade ended without a word")

    def stop(self) -> None:
        try:
            fd = os.pidfd_open(self.serving())
        except (OSError, AveException):
            return super().stop()
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        wait_for_end(fd)
        return super().stop()


def wait_for_end(fd: int) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(20_000), "the process does not end"
    os.close(fd)
