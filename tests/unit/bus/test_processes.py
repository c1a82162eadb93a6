"""The settings of the bus, its ports, and the processes as they are started."""

# covers: bus/drivers/lifeline.py

from __future__ import annotations

import fcntl
import socket
import threading
from pathlib import Path

import pytest

from wayhouse.base.errors import ConflictError
from wayhouse.bus.drivers import lifeline
from wayhouse.bus.processes import BusSettings, endpoint, free_port, specs


@pytest.mark.parametrize(
    "wrong", [{"port": -1}, {"port": 65533}, {"hostname": "a b"}, {"hostname": "a/b"}, {"mechanism": "magic"}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        BusSettings(**wrong)  # type: ignore[arg-type]


def test_a_port_that_was_asked_for_is_taken_or_refused() -> None:
    port = free_port(0, "127.0.0.1")
    assert free_port(port, "127.0.0.1") == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 2))
        taken.listen()
        with pytest.raises(ConflictError, match="--bus-port"):
            free_port(port, "127.0.0.1")


def test_the_ports_of_the_last_time_are_kept_where_any_will_do() -> None:
    port = free_port(0, "127.0.0.1")
    assert free_port(0, "127.0.0.1", before=port) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert free_port(0, "127.0.0.1", before=port) != port
        assert free_port(None, "127.0.0.1", before=port) != port


def test_both_processes_survive_and_follow_the_lock(tmp_path: Path) -> None:
    found = specs(BusSettings(), 5514, runtime=tmp_path, data=tmp_path, lock=tmp_path / "lock")
    assert [one.name for one in found] == ["bus", "titanic"]
    assert all(one.survives and str(tmp_path / "lock") in one.command for one in found)
    assert endpoint(tmp_path) in found[1].command


def test_the_end_of_the_lock_is_the_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    ended = threading.Event()
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with lifeline.kept("x", ended.set, lock=path, traces=tmp_path / "trace"):
            assert not ended.wait(0.1)
    assert ended.wait(10)
