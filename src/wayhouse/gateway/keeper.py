"""The keeper: a small process that keeps the daemon running where no service manager does. `python -m wayhouse.gateway.keeper`.

Started by `wayhouse up`. It speaks systemd's protocol (readiness, MAINPID, descriptor store), so the daemon need not know who
keeps it. Rules: it ends with the daemon and with its exit code; it restarts only what was ready once; it stays small.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

from wayhouse.gateway.lifeline import KEEPER, own_mark
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec, Intensity
from wayhouse.runtime.supervision.driver import Options
from wayhouse.runtime.supervision.facts import (
    ChildBackingOff,
    ChildExited,
    ChildLate,
    DescriptorsRefused,
    GaveUp,
    MessageRefused,
)
from wayhouse.runtime.supervisor import Act, Supervisor

NAME = "gateway"
DESCRIPTORS = 4096
START_S = 600.0
"""The first start may build a database or wait for an engine; afterwards nobody waits for it in vain."""
STOP_S = 30.0
BACKOFF = Backoff(first_s=0.2, factor=2.0, most_s=10.0, steady_s=30.0)
ENDED_BY_SIGNAL = 128


def spec(command: Sequence[str]) -> ChildSpec:
    return ChildSpec(
        name=NAME,
        command=tuple(command),
        env={KEEPER: own_mark()},
        restart="transient",
        must_start=True,
        significant=True,
        readiness="notify",
        start_timeout_s=START_S,
        shutdown_s=STOP_S,
        again_s=0,
        bank=DESCRIPTORS,
        output="inherit",
        own_session=False,
        # Ctrl-C reaches it, too: while it still loads, SIGTERM from here is enough; and a reload may come too early.
        ignores=(signal.SIGINT, signal.SIGHUP),
        backoff=BACKOFF,
    )


def keep(command: Sequence[str]) -> int:
    """Run `command` until it ends for good; answers the exit code."""
    _allow_descriptors()
    last = LastEnd()
    options = Options(intensity=Intensity(5, 60.0), auto_shutdown="any_significant", orphans=True)
    supervisor = Supervisor(None, [spec(command)], options, on_fact=last.hear)
    stop = supervisor.stop_all
    acts: dict[int, Act] = {
        signal.SIGTERM: stop,
        signal.SIGINT: stop,
        signal.SIGHUP: lambda: _pass_on_hangup(supervisor),
    }
    outcome = supervisor.run(acts)
    if outcome.failed:
        return exit_code(outcome.status) or 1
    return exit_code(last.status)


class LastEnd:
    """What is said about the daemon, and how it ended last."""

    def __init__(self) -> None:
        self.status: int | None = 0

    def hear(self, fact: Any) -> None:
        if isinstance(fact, ChildExited):
            stopped = fact.expected and fact.status in {-signal.SIGTERM, None}
            self.status = 0 if stopped else fact.status
        elif isinstance(fact, ChildBackingOff):
            _say(f"the gateway ended with {_words(self.status)}; it starts again in {fact.delay_s:g} s")
        elif isinstance(fact, ChildLate):
            _say(f"the gateway was not ready within {START_S:g} s and is stopped")
        elif isinstance(fact, GaveUp) and fact.reason != "it ended before it was ready":
            _say(f"the gateway is not started any more: {fact.reason}")
        elif isinstance(fact, DescriptorsRefused | MessageRefused):
            _say(f"refused from the gateway: {fact.reason}")


def exit_code(status: int | None) -> int:
    """As a shell has it: 128 and the signal's number for one that a signal ended; 1 where it cannot be known."""
    if status is None:
        return 1
    return status if status >= 0 else ENDED_BY_SIGNAL - status


def main(argv: Sequence[str] | None = None) -> int:
    """The arguments are the daemon's. Whoever becomes this process by exec may block SIGINT and SIGTERM before, so that none
    is lost while it loads."""
    arguments = sys.argv[1:] if argv is None else argv
    return keep([sys.executable, "-m", "wayhouse.gateway", *arguments])


def _pass_on_hangup(supervisor: Supervisor) -> None:
    if supervisor.pid(NAME):
        supervisor.reload(NAME)


def _allow_descriptors() -> None:
    """What is kept must be open here; the daemon, with its connections, may use as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * DESCRIPTORS if hard == resource.RLIM_INFINITY else min(4 * DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _words(status: int | None) -> str:
    if status is None:
        return "a status that its own parent alone knows"
    return f"exit code {status}" if status >= 0 else f"signal {-status}"


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"wayhouse keeper: {text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
