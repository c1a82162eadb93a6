"""What the shim's process runs: `serve` keeps a container running, the others do one thing and leave.

    serve DIRECTORY           detach, start the service of DIRECTORY/plan.json, keep it running
    run PLAN                  run one program to its end in a sandbox, output here (builds)
    enter PLAN PID            run one program inside a running container
    hold DIRECTORY [PROGRAM]  keep a user and a network namespace for a chute where nobody is root

Started by `processes.py` with `python -I -S`; answers `serve` and `hold` with one line: "ok" or why not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from wayhouse.chutes.engines.sandbox.shim import enter, hold, identity, kernel, launch, ports
from wayhouse.chutes.engines.sandbox.shim.loop import Loop
from wayhouse.chutes.engines.sandbox.shim.service import Service
from wayhouse.runtime.sight.trace_box import TraceBox, arm

DEFAULT_GRACE_S = 10.0


def main(arguments: list[str]) -> int:
    verb, path, *rest = arguments
    if verb == "serve":
        return detach(lambda answer: serve(Path(path), answer))
    if verb == "hold":
        return detach(lambda answer: hold.hold(Path(path), rest, answer))
    if verb == "run":
        return run(Path(path))
    return enter.enter(launch.read_plan(Path(path)), int(rest[0]))


def detach(work: Callable[[int], None]) -> int:
    """Run `work(answer)` in a process of its own session that nobody waits for; `answer` is our standard output."""
    if os.fork():
        os._exit(0)
    os.setsid()
    answer = os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.chdir("/")
    try:
        work(answer)
    except launch.LaunchError as error:
        reply(answer, str(error))
    except OSError as error:
        reply(answer, launch.explain(error))
    return 0


def reply(answer: int, text: str) -> None:
    os.write(answer, text.encode("utf-8", "replace"))
    os.close(answer)


def serve(directory: Path, answer: int) -> None:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        reply(answer, "ok")  # another shim runs it already
        return
    plan = launch.read_plan(directory / "plan.json")
    kernel.adopt_orphans()
    launch.join_cgroups(plan["shim_cgroups"])
    raise_descriptor_limit()
    box = offer_trace(plan.get("trace"))
    loop = Loop()
    opened = ports.open_all(plan["ports"])
    launch.join_network(plan["network"])
    ports.forward_all(loop, opened)
    if plan["api"]:
        ports.offer_api(loop, plan["api"]["port"], plan["api"]["socket"])
    service = Service(loop, plan, directory, identity.identify(os.getpid()), loop.stop)
    loop.on_signal(signal.SIGTERM, lambda: service.stop(grace(directory)))
    loop.on_signal(signal.SIGCHLD, service.reap)
    service.start()
    reply(answer, "ok")
    loop.run()
    if box is not None:
        box.close()


def offer_trace(wanted: dict[str, str] | None) -> TraceBox | None:
    """Let a stuck shim be asked where it is. An app starts without that too."""
    if wanted is not None:
        with contextlib.suppress(OSError):
            return arm(
                Path(wanted["directory"]), name=wanted["name"], role="shim", belongs_to=wanted["belongs_to"]
            )
    return None


def grace(directory: Path) -> float:
    try:
        return float((directory / "grace").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return DEFAULT_GRACE_S


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(path: Path) -> int:
    plan = launch.read_plan(path)
    kernel.adopt_orphans()
    kernel.die_with_parent(signal.SIGKILL)
    launch.join_network(plan["network"])
    try:
        process = launch.launch(plan, 1, 1)
    except launch.LaunchError as error:
        os.write(1, f"{error}\n".encode("utf-8", "replace"))
        return 127
    _, status = os.waitpid(process.pid, 0)
    return launch.exit_code(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
