"""RasPy's `Executive`: worker threads that run until they are told to stop; and `ExecutiveProcess`, one in a process of its own.

Called by services written after RasPy's manual. Rules: a stop reaches every thread, also through a signal and into another
process; jobs that wait in a queue do not hold it up; `destroy` returns when no thread is left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from wayhouse.base.errors import UnavailableError
from wayhouse.runtime.process import Process

BROKER_PORT = 5514
MAX_JOBS = 10_000


class StopEvent:
    """As `threading.Event`, but `set` may also be called by a signal handler: no lock is taken."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_set = False

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._fd)

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        with contextlib.suppress(OSError):
            os.eventfd_write(self._fd, 1)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it is set, at the latest after `timeout_s`."""
        if not self._is_set:
            poller = select.poll()
            poller.register(self._fd, select.POLLIN)
            poller.poll(None if timeout_s is None else max(0.0, timeout_s * 1000 + 0.999))
        return self._is_set


class Worker(Protocol):
    """What runs in a thread of an executive. `run` returns soon after `shutdown` or once the event is set."""

    def run(self) -> object: ...

    def shutdown(self) -> object: ...


class Jobs:
    """A worker that does calls one after the other. At a stop the present one is finished, those that wait are dropped."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._turn = threading.Condition()
        self._stopped = False
        self.dropped = 0

    def submit(self, job: Callable[[], object]) -> None:
        """Raises `UnavailableError` after the stop and when too many wait."""
        with self._turn:
            if self._stopped or len(self._waiting) >= MAX_JOBS:
                raise UnavailableError("No more jobs are taken: the executive stops, or too many wait.")
            self._waiting.append(job)
            self._turn.notify()

    def run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the border of a job: the next one is not to blame
                _complain(f"a job failed: {type(error).__name__}: {error}")

    def shutdown(self) -> None:
        with self._turn:
            self._stopped = True
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._turn.notify_all()

    def _next(self) -> Callable[[], object] | None:
        with self._turn:
            while not self._waiting and not self._stopped:
                self._turn.wait()
            return self._waiting.popleft() if self._waiting else None


class Executive:
    """Subclasses add workers before `run`: objects with `run` and `shutdown`, or functions that take the `StopEvent`."""

    speed = 1.0

    def __init__(
        self, hostname: str, service: str, broker_ip: str = "127.0.0.1", broker_port: int = BROKER_PORT
    ) -> None:
        self.hostname, self.service = hostname, service
        self.broker_ip, self.broker_port = broker_ip, broker_port
        self._stopevent = StopEvent()
        self._active_workers: list[Worker | Callable[[StopEvent], object]] = []
        self._active_threads: list[threading.Thread] = []
        self._jobs: Jobs | None = None

    def get_instance_id(self) -> str:
        return f"{self.hostname}.{self.service}"

    def add_worker(self, worker: Worker | Callable[[StopEvent], object]) -> None:
        self._active_workers.append(worker)

    def submit(self, job: Callable[[], object]) -> None:
        """Have it done by a thread for jobs, of which there is one. Raises `UnavailableError`."""
        if self._jobs is None:
            self._jobs = Jobs()
            self.add_worker(self._jobs)
            if self._active_threads:
                self._start_thread(self._jobs)
        self._jobs.submit(job)

    def run(self) -> None:
        """Start a thread for each worker and wait until it is stopped; then the workers are shut, too."""
        for worker in self._active_workers:
            self._start_thread(worker)
        while not self._stopevent.wait(self.speed / 3):
            pass
        self.shutdown()

    def ask_to_stop(self) -> None:
        """`run` returns soon. For signal handlers: no lock is taken."""
        self._stopevent.set()

    def shutdown(self) -> None:
        """Set the event and shut every worker; returns at once, from any thread."""
        self._stopevent.set()
        for worker in tuple(self._active_workers):
            if not callable(worker):
                worker.shutdown()

    def destroy(self) -> None:
        """Stop, and wait until no thread is left."""
        self.shutdown()
        for thread in self._active_threads:
            if thread is not threading.current_thread():
                thread.join()
        self._active_threads.clear()
        self._active_workers.clear()

    def _start_thread(self, worker: Worker | Callable[[StopEvent], object]) -> None:
        def work() -> None:
            worker(self._stopevent) if callable(worker) else worker.run()

        thread = threading.Thread(target=work, name=f"{self.get_instance_id()}-{len(self._active_threads)}")
        self._active_threads.append(thread)
        thread.start()


class ExecutiveProcess(Process):
    """The executive in a child process, which ends with its parent. `shutdown` in the parent reaches the child."""

    def __init__(self, executive: Executive, executive_name: str) -> None:
        super().__init__(target=self.run, proc_name=executive_name)
        self.executive, self.executive_name = executive, executive_name

    def run(self) -> None:
        """In the child."""
        serve(self.executive)

    def shutdown(self) -> None:
        """From the parent: ask it to stop; `join` waits for it. Nothing happens when it is gone or was not started."""
        if self._pid:
            self.terminate()


def serve(executive: Executive) -> None:
    """Run it until SIGTERM, in a process that is its own, and leave no thread."""
    executive._stopevent = StopEvent()  # noqa: SLF001 - the descriptor of the old one was closed with the parent's files

    def stop(_number: int, _frame: FrameType | None) -> None:
        executive.ask_to_stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    executive.run()
    executive.destroy()


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode("utf-8", "replace"))


Factory = Callable[[str, str, str, int], Any]
"""Called with host name, service, and the broker's address and port; answers an `Executive`."""
