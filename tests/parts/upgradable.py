"""A small daemon with an RPC server that can be upgraded while it serves; as a program, it can be told to die at a step.

`python -m tests.parts.upgradable LISTENER_FD`: serve. It prints its pid when it serves, and why an upgrade failed. SIGHUP: hand over
to another one of itself. `FAULT_FILE`: see `faults.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Any

from tests.parts import faults
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.async_supervisor import AsyncSupervisor
from wayhouse.runtime.rpc import methods
from wayhouse.runtime.succession.children_part import ChildrenAdopter, ChildrenPart
from wayhouse.runtime.succession.elder import Elder
from wayhouse.runtime.succession.heir import Heir
from wayhouse.runtime.succession.heir_process import HeirProcess, passage_of
from wayhouse.runtime.succession.rpc_part import RpcAdopter, RpcAhead, RpcPart
from wayhouse.runtime.succession.upgrade import Limits, Parcel, Phase, UpgradeFailedError
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec

LIMITS = Limits(prepare=20, rest=2, assemble=5, move=5, quiet=0.5, commit=2)


class Tally:
    """Counts what it serves: a lost, doubled or reordered call shows."""

    def __init__(self) -> None:
        self.served: dict[str, int] = {}
        self.waiters = 0
        self.supervisor: AsyncSupervisor | None = None

    @methods.rpc
    def next(self, who: str, number: int) -> list[int]:
        """`[what was expected, pid]`; the caller says which number this call has."""
        expected = self.served.get(who, 0)
        self.served[who] = number + 1
        return [expected, os.getpid()]

    @methods.rpc
    async def wait(self, seconds: float) -> int:
        self.waiters += 1
        await asyncio.sleep(seconds)
        return os.getpid()

    @methods.rpc
    def child(self) -> int:
        """Its pid, 0 while there is none."""
        return self.supervisor.pid("child") if self.supervisor is not None else 0

    @methods.rpc
    def waiting(self) -> int:
        return self.waiters


class TallyPart:
    name = "tally"
    phase = Phase.IN_HASTE

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> list[Parcel]:
        return [({"served": dict(self._tally.served)}, [])]

    def carry_on(self) -> None: ...

    def let_go(self) -> None: ...


class TallyAdopter:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def adopt(self, state: dict[str, Any], fds: list[int]) -> None:
        self._tally.served = state["served"]


class Ground:
    """The listening socket."""

    name = "listeners"
    phase = Phase.GROUND

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> list[Parcel]:
        return [({}, [self._sock.fileno()])]

    def carry_on(self) -> None: ...

    def let_go(self) -> None: ...


CHILD = ChildSpec(
    name="child",
    command=(sys.executable, "-c", "import time\nwhile True: time.sleep(60)"),
    survives=True,
    backoff=Backoff(first_s=0.0),
)


async def serve(number: int, heir_of: int | None) -> None:
    tally = Tally()
    children = ChildrenAdopter()
    heir, ground = None, {"listeners": [({}, [number])]}
    if heir_of is not None:
        heir = Heir(passage_of(heir_of), program="test", limits=LIMITS)
        ground = await heir.prepare(frozenset({"listeners", "tally", "children", "rpc"}))
    sock = socket.socket(fileno=ground["listeners"][0][1][0])
    async with AsyncServer(tally) as server:
        adopter = RpcAdopter(server)
        if heir is not None:
            adopters = {"tally": TallyAdopter(tally), "children": children, "rpc": adopter}
            await heir.adopt(adopters, adopter.call_self)
            adopter.go_on()
            heir.close()
        async with AsyncSupervisor([CHILD], moved=children.moved) as supervisor:
            tally.supervisor = supervisor
            await supervisor.ready("child")
            server.listen(sock)
            say(str(os.getpid()))
            while not await upgraded(server, tally, supervisor, sock):
                pass


async def upgraded(
    server: AsyncServer, tally: Tally, supervisor: AsyncSupervisor, sock: socket.socket
) -> bool:
    wanted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, lambda: (ended.set(), wanted.set()))
    await wanted.wait()
    if ended.is_set():
        return True
    ahead = RpcAhead(server)
    rpc = RpcPart(server, ahead)
    started = HeirProcess([sys.executable, "-m", "tests.parts.upgradable"], {**os.environ, "HEIR": "1"})
    elder = Elder(
        started.passage, [Ground(sock), ahead, TallyPart(tally), ChildrenPart(supervisor), rpc],
        program="test", say=lambda _: None, end_heir=started.end, limits=LIMITS,
    )  # fmt: skip
    try:
        await elder.hand_over()
    except UpgradeFailedError as error:
        say(f"failed: {error.message}")
        return False
    finally:
        started.close()
    await rpc.leave(3)
    return True


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    heir_of = int(sys.argv[1]) if os.environ.get("HEIR") else None
    faults.arm(os.environ.get("FAULT_FILE"), is_heir=heir_of is not None)
    asyncio.run(serve(int(sys.argv[1]), heir_of))


if __name__ == "__main__":
    main()
