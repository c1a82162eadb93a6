"""Worker, broker and Titanic killed one after another: no request has failed for it."""

# covers: bus/titanic_server.py

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.parts.titanic import Bus, work
from wayhouse.bus.drivers.frames import AnySocket
from wayhouse.bus.model import NoReplyError
from wayhouse.bus.titanic_client import TitanicClient

KILLS = 100
REQUESTS = 40


class Doomed(Bus):
    """`kill` ends one of its parts without a word, and starts it anew."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.titanic = self.start_titanic()
        self.echo: AnySocket = self.worker(b"echo")

    def kill(self, part: str) -> None:
        if part == "titanic":
            self.titanic.kill()
            self.titanic.wait()
            self.titanic = self.start_titanic()
        if part == "broker":
            self.broker.kill()
            self.broker.wait()
            self.broker = self.start_broker()
        if part != "titanic":  # a broker that is new knows no worker
            self.sockets.remove(self.echo)
            self.echo.close()
            self.echo = self.worker(b"echo")


def test_a_hundred_kills_fail_no_request(tmp_path: Path) -> None:
    bus, chance, done = Doomed(tmp_path), random.Random(11), Counter[bytes]()
    client = TitanicClient(bus.endpoint, "", timeout_s=0.2, retries=1)
    wanted = {f"{number:032x}" for number in range(1, REQUESTS + 1)}
    asked, answered = set[str](), dict[str, list[bytes]]()

    def ask() -> None:
        for uuid in sorted(wanted - asked)[:1]:
            try:
                client.request("echo", uuid, uuid=uuid)
                asked.add(uuid)
            except NoReplyError:
                pass  # the same again later

    def look() -> bool:
        client.check()
        for uuid in asked - answered.keys():
            if (reply := client.take(uuid)) is not None:
                answered[uuid] = reply
        return len(answered) == REQUESTS

    try:
        for number in range(KILLS):
            ask()
            end = time.monotonic() + chance.uniform(0.0, 0.1)
            while time.monotonic() < end:
                if bus.echo.poll(10) and chance.random() < 0.3:
                    work(bus.echo, done)
            bus.kill(("worker", "broker", "titanic")[number % 3])
        bus.wait_for_titanic()
        bus.until(lambda: (ask(), work(bus.echo, done), look())[2], 60.0)
        assert answered == {uuid: [f"did {uuid}".encode()] for uuid in wanted}
    finally:
        client.destroy()
        bus.close()


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(20)
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    command = [sys.executable, "-m", "wayhouse.bus.titanic_server"]
    command += ["--broker", f"ipc://{tmp_path}/nobody.sock", "--data", str(tmp_path)]
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        assert manager.recv(4096).startswith(b"READY=1\n")
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert manager.recv(4096) == b"WATCHDOG=1"
        process.terminate()
        told = [manager.recv(4096)]
        while told[-1] == b"WATCHDOG=1":
            told.append(manager.recv(4096))
        assert told[-1] == b"STOPPING=1"
        assert process.wait(10) == 0
    except TimeoutError:
        pytest.fail("the service manager was not told")
    finally:
        process.kill()
        process.wait()
        manager.close()
