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
from wayhouse.bus.processes import BusSettings, KeyFiles, endpoint, free_port, specs


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


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "some.host", "fe80::1%eth0"])
def test_a_bus_that_everybody_reaches_must_be_wished_for(address: str) -> None:
    with pytest.raises(ValueError, match="open_to_network"):
        BusSettings(address=address)
    told = BusSettings(address=address, open_to_network=True).warning()
    assert told is not None
    assert "may do everything" in told
    assert "can read passwords" in (BusSettings(address=address, mechanism="plain").warning() or "")
    assert BusSettings(address=address, mechanism="curve").warning() is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_on_this_machine_nothing_is_to_be_said(address: str) -> None:
    assert BusSettings(address=address).warning() is None


def test_the_gateways_own_files_serve_where_the_settings_name_none(tmp_path: Path) -> None:
    own = KeyFiles(Path("/own/secret"), Path("/own/known"))

    def options(settings: BusSettings, keys: KeyFiles | None = own) -> list[str]:
        bus, _ = specs(settings, 5514, runtime=tmp_path, data=tmp_path, lock=tmp_path / "lock", keys=keys)
        words = list(bus.command)
        return [
            word
            for option in ("--secret-key", "--credentials")
            if option in words
            for word in (option, words[words.index(option) + 1])
        ]

    assert options(BusSettings()) == []
    assert options(BusSettings(mechanism="plain")) == ["--credentials", "/own/known"]
    assert options(BusSettings(mechanism="curve")) == [
        "--secret-key",
        "/own/secret",
        "--credentials",
        "/own/known",
    ]
    named = BusSettings(mechanism="curve", secret_key="/s", credentials="/c")
    assert options(named) == options(named, None) == ["--secret-key", "/s", "--credentials", "/c"]
