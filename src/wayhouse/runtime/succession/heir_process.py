"""Starts the successor of this process: a new program with one end of a socket pair, the number of which is its last argument.

Called by the elder of a hot upgrade. Rules: the heir is a plain child that outlives this process, and can be ended with
certainty: when `end` has returned, it is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence

from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import UpgradeFailedError

_ONLY_OURS = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID")
"""What the service manager said to this process alone."""


class HeirProcess:
    """`command` is run with the environment `env`; this end of the socket pair is `passage`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        ours, its = socket.socketpair()
        with its:
            number = its.fileno()
            try:
                self._process = subprocess.Popen(
                    [*command, str(number)],
                    env={name: value for name, value in env.items() if name not in _ONLY_OURS},
                    pass_fds=[number],
                    stdin=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                raise UpgradeFailedError(f"The successor cannot be started: {error}.") from error
        self.pid = self._process.pid
        self.passage = Passage(ours)

    async def end(self) -> None:
        """Kill it and wait until it is dead."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await asyncio.get_running_loop().run_in_executor(None, self._process.wait)

    def close(self) -> None:
        """Only this end; the heir goes on."""
        self.passage.close()


def passage_of(number: int) -> Passage:
    """The heir's end. Raises `UpgradeFailedError` when `number` is no socket."""
    try:
        sock = socket.socket(fileno=number)
        os.set_inheritable(number, False)
    except OSError as error:
        raise UpgradeFailedError(f"Descriptor {number} leads to no elder: {error.strerror}.") from error
    return Passage(sock)
