"""Parts of what runs inside the virtual machine: namespaces with a wire between them, work in forks that stand in one, TCP that is checked byte by byte.

Rule: heavy libraries are imported once, by the process that forks; emulation makes an import take seconds.
"""

# ruff: noqa: T201 - what is printed is the answer

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.parts import echo

LONG_S = 40.0
BLOCK = 1 << 16
OUTER = {4: ("10.99.0.1", "10.99.0.2"), 6: ("fd99::1", "fd99::2")}
INNER = {4: ("10.77.0.1", "10.77.0.2"), 6: ("fd77::1", "fd77::2")}
NAMES = ("one", "two")
_CLONE_NEWNET = 0x40000000


def run(*words: str, stdin: str = "") -> str:
    ended = subprocess.run(words, capture_output=True, text=True, input=stdin)
    assert ended.returncode == 0, f"{' '.join(words)}: {ended.stderr or ended.stdout}"
    return ended.stdout


def inside(side: int, *words: str, stdin: str = "") -> str:
    return run("ip", "netns", "exec", NAMES[side], *words, stdin=stdin)


def lay_wire() -> None:
    """`wa` and `wb`, in two namespaces."""
    for name in NAMES:
        run("ip", "netns", "add", name)
    run("ip", "link", "add", "wa", "netns", NAMES[0], "type", "veth", "peer", "name", "wb", "netns", NAMES[1])
    for side, (name, card) in enumerate(zip(NAMES, ("wa", "wb"), strict=True)):
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", card, "up")
        run("ip", "-n", name, "addr", "add", f"{OUTER[4][side]}/24", "dev", card)
        run("ip", "-n", name, "addr", "add", f"{OUTER[6][side]}/64", "dev", card, "nodad")


def spoil_wire() -> None:
    """1 % is lost each way, and a quarter of the packets overtake others."""
    for name, card in zip(NAMES, ("wa", "wb"), strict=True):
        netem = ("netem", "loss", "1%", "delay", "3ms", "reorder", "25%", "50%")
        run("tc", "-n", name, "qdisc", "replace", "dev", card, "root", *netem)


def mend_wire() -> None:
    for name, card in zip(NAMES, ("wa", "wb"), strict=True):
        run("tc", "-n", name, "qdisc", "del", "dev", card, "root")


class Fork:
    """`work` in a process of its own, which stands in the namespace; its lines of JSON are answers. It ends with `close`."""

    def __init__(self, side: int, work: Callable[[], Any]) -> None:
        questions, ask = os.pipe()
        answer, answers = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(questions, 0)
            os.dup2(answers, 1)
            os.closerange(3, 1024)  # pipes of other forks, which would never end while they are open here
            sys.stdin = os.fdopen(0, closefd=False)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            _stand_in(side, work)
        os.close(questions)
        os.close(answers)
        self._ask = os.fdopen(ask, "w")
        self._answer = os.fdopen(answer)

    def line(self) -> str:
        return self._answer.readline().strip()

    def ask(self, words: str) -> Any:
        self._ask.write(words + "\n")
        self._ask.flush()
        return json.loads(self.line())

    def wait_for(self, words: str, wanted: Callable[[Any], object]) -> Any:
        end = time.monotonic() + LONG_S
        while not wanted(found := self.ask(words)):
            assert time.monotonic() < end, f"{words}: {found}"
            time.sleep(0.1)
        return found

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.close()

    def close(self) -> int:
        """What it ended with."""
        self._ask.close()
        _, status = os.waitpid(self.pid, 0)
        self._answer.close()
        return os.waitstatus_to_exitcode(status)


def _stand_in(side: int, work: Callable[[], Any]) -> None:
    code = 1
    try:
        with Path(f"/run/netns/{NAMES[side]}").open("rb") as file:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.setns(file.fileno(), _CLONE_NEWNET) == 0
        work()
        code = 0
    except Exception:  # noqa: BLE001 - the border of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Stream:
    """Bytes by TCP from the other side to `side`, for so long, and compared: what was sent is what came, all of it."""

    def __init__(self, side: int, host: str, port: int, seconds: float) -> None:
        self._taker = Fork(side, lambda: _take(host, port))
        assert self._taker.line() == "ready"
        self._sender = Fork(1 - side, lambda: _send(host, port, seconds))

    def join(self) -> int:
        """How many bytes."""
        sent, came = json.loads(self._sender.line()), json.loads(self._taker.line())
        assert self._sender.close() == self._taker.close() == 0
        assert sent == came, f"{sent} was sent, {came} came"
        assert sent[0] > 0
        return int(sent[0])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _take(host: str, port: int) -> None:
    with socket.create_server((host, port), family=_family(host)) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
    count, digest = 0, hashlib.blake2b()
    connection.settimeout(LONG_S)
    while data := connection.recv(BLOCK):
        count += len(data)
        digest.update(data)
    print(json.dumps([count, digest.hexdigest()]))


def _send(host: str, port: int, seconds: float) -> None:
    count, digest, block = 0, hashlib.blake2b(), os.urandom(BLOCK)
    end = time.monotonic() + seconds
    with socket.create_connection((host, port), timeout=LONG_S) as sock:
        while time.monotonic() < end:
            data = count.to_bytes(8) + block
            sock.sendall(data)
            count += len(data)
            digest.update(data)
    print(json.dumps([count, digest.hexdigest()]))


def both_ways(seconds: float, versions: tuple[int, ...] = (4, 6)) -> list[int]:
    """TCP in both directions at once, in each family; the bytes of each stream."""
    streams = [
        Stream(side, INNER[version][side], 4000 + version, seconds) for version in versions for side in (0, 1)
    ]
    return [stream.join() for stream in streams]


def echoes(side: int, count: int, size: int, version: int = 4) -> int:
    """How many datagrams come back unchanged from the other side, each asked after the one before."""
    host = INNER[version][1 - side]
    server = Fork(1 - side, lambda: echo.serve(host))
    assert server.line() == "ready"
    asker = Fork(side, lambda: print(echo.ask(host, size, count, 2.0)))
    good = int(asker.line())
    assert asker.close() == 0
    server.kill()
    return good
