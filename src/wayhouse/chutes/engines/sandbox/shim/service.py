"""Keeps one service running: start, restart with growing pauses, stop, and say so in `state.json`.

The states are Docker's words: running, restarting, exited. The shim ends when the service is over for good.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wayhouse.chutes.engines.sandbox.shim.journal import Journal, Lines
from wayhouse.chutes.engines.sandbox.shim.launch import LaunchError, Process, exit_code, launch
from wayhouse.chutes.engines.sandbox.shim.loop import READ, Loop, Timer

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 10.0
READ_BYTES = 64 * 1024


class Service:
    """One container's program. `identity` (pid, start time, boot) goes into every state that is written."""

    def __init__(
        self,
        loop: Loop,
        plan: Mapping[str, Any],
        directory: Path,
        identity: Mapping[str, Any],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._plan = plan
        self._directory = directory
        self._identity = identity
        self._on_end = on_end
        self._journal = Journal(directory / "log", plan["log_bytes"])
        self._process: Process | None = None
        self._pipes: dict[int, Lines] = {}
        self._pause_s = FIRST_PAUSE_S
        self._began = 0.0
        self._restarts = 0
        self._started: float | None = None
        self._exit_code: int | None = None
        self._wanted = True
        self._timer: Timer | None = None

    def start(self) -> None:
        """Raises `LaunchError` if the program cannot be executed."""
        streams = []
        for stream in ("stdout", "stderr"):
            ours, theirs = os.pipe()
            os.set_blocking(ours, False)
            self._pipes[ours] = Lines(self._journal, stream)
            self._loop.watch(ours, READ, lambda _events, pipe=ours: self._read(pipe))  # type: ignore[misc]
            streams.append(theirs)
        try:
            self._process = launch(self._plan, streams[0], streams[1])
        finally:
            for theirs in streams:
                os.close(theirs)
        self._began = time.monotonic()
        self._started = time.time_ns() / 1e9
        self.write_state("running")

    def stop(self, grace_s: float) -> None:
        """Ask the program to end, end it after `grace_s`. A second call shortens the grace."""
        self._wanted = False
        if self._timer is not None:
            self._timer.cancel()
        if self._process is None:
            self._finish()
            return
        self._process.signal(signal.SIGTERM if grace_s > 0 else signal.SIGKILL)
        self._timer = self._loop.later(max(0.0, grace_s), self._kill)

    def reap(self) -> None:
        """Call when a child ended."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if self._process is not None and pid == self._process.pid:
                    self._ended(exit_code(status))

    def _kill(self) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGKILL)

    def _read(self, pipe: int) -> None:
        try:
            data = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self._pipes[pipe].feed(data)
        else:
            self._close_pipe(pipe)

    def _close_pipe(self, pipe: int) -> None:
        self._loop.forget(pipe)
        self._pipes.pop(pipe).end()
        os.close(pipe)

    def _drain(self) -> None:
        """After the end: all writers are gone, so read what is left."""
        for pipe in tuple(self._pipes):
            with contextlib.suppress(BlockingIOError):
                while data := os.read(pipe, READ_BYTES):
                    self._pipes[pipe].feed(data)
            self._close_pipe(pipe)

    def _ended(self, code: int) -> None:
        if self._process is not None:
            self._process.release()
        self._process = None
        self._exit_code = code
        self._drain()
        if not self._wanted or not self._restart_wanted(code):
            self._finish()
            return
        if time.monotonic() - self._began >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        self.write_state("restarting")
        self._timer = self._loop.later(self._pause_s, self._again)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _restart_wanted(self, code: int) -> bool:
        policy = self._plan["restart"]
        return bool(policy == "always" or (policy == "on-failure" and code != 0))

    def _again(self) -> None:
        self._restarts += 1
        try:
            self.start()
        except LaunchError as error:
            self._journal.write("stderr", str(error))
            self._drain()
            self._ended(127)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._drain()
        self.write_state("exited")
        self._on_end()

    def write_state(self, state: str) -> None:
        """Replace `state.json` in one step: whoever reads sees the old or the new one whole."""
        document = {
            **self._identity,
            "state": state,
            "first": None if self._process is None else self._process.pid,
            "exit_code": None if state == "running" else self._exit_code,
            "restarts": self._restarts,
            "started": self._started,
        }
        part = self._directory / "state.json.part"
        with contextlib.suppress(OSError):  # a full disk must not end the service
            part.write_text(json.dumps(document), encoding="utf-8")
            part.replace(self._directory / "state.json")
