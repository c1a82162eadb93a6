import os
import socket

import pytest

from wayhouse.base.settings import Paths
from wayhouse.cli import findings


def test_python():
    assert findings.python((3, 11, 7)).verdict == "ok"
    assert findings.python((3, 9, 1)).verdict == "fail"


def test_disk(tmp_path, monkeypatch):
    assert "free for" in findings.disk(tmp_path / "not" / "there").text
    for free, verdict in ((2**20, "fail"), (2**30, "warn"), (2**40, "ok")):
        monkeypatch.setattr(
            findings.shutil, "disk_usage", lambda _, free=free: os.terminal_size((0, 0)) and Free(free)
        )
        assert findings.disk(tmp_path).verdict == verdict


class Free:
    def __init__(self, free):
        self.free = free


def test_clock():
    assert findings.clock(0.0, None).verdict == "fail"
    assert findings.clock(2e9, False).verdict == "warn"
    assert findings.clock(2e9, True).verdict == "ok"
    assert findings.clock(2e9, None).verdict == "ok"
    assert findings.is_synchronized() in {True, False, None}


def test_data_folder(tmp_path):
    paths = Paths.under(tmp_path / "g")
    assert findings.data_folder(paths).verdict == "ok"
    (paths.config / "keys").mkdir(parents=True, mode=0o700)
    paths.data.mkdir(parents=True)
    assert findings.data_folder(paths).verdict == "ok"
    (paths.config / "keys").chmod(0o750)
    assert findings.data_folder(paths).verdict == "warn"
    paths.data.chmod(0o777)
    assert findings.data_folder(paths).verdict == "fail"


def test_data_folder_without_rights(tmp_path, monkeypatch):
    paths = Paths.under(tmp_path / "g")
    monkeypatch.setattr(findings.os, "access", lambda *_: False)
    assert findings.data_folder(paths).verdict == "fail"
    paths.data.mkdir(parents=True)
    assert findings.data_folder(paths).verdict == "warn"


def test_port(free_port):
    assert findings.port("127.0.0.1", free_port, is_running=False).verdict == "ok"
    assert findings.port("127.0.0.1", free_port, is_running=True).verdict == "fail"
    with socket.create_server(("127.0.0.1", free_port)):
        assert findings.port("127.0.0.1", free_port, is_running=True).verdict == "ok"
        assert findings.port("127.0.0.1", free_port, is_running=False).verdict == "warn"


@pytest.mark.parametrize(
    ("file", "value", "verdict"),
    [
        ("sys/user/max_user_namespaces", "0", "warn"),
        ("sys/kernel/unprivileged_userns_clone", "0", "warn"),
        ("sys/kernel/apparmor_restrict_unprivileged_userns", "1", "warn"),
        ("sys/user/max_user_namespaces", "15000", "ok"),
    ],
)
def test_user_namespaces(tmp_path, file, value, verdict):
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/user").write_text("")
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(value + "\n")
    assert findings.user_namespaces(tmp_path, is_root=False).verdict == verdict
    assert findings.user_namespaces(tmp_path, is_root=True).verdict == "ok"


def test_a_kernel_without_user_namespaces(tmp_path):
    assert findings.user_namespaces(tmp_path, is_root=False).verdict == "warn"


def test_control_groups(tmp_path):
    assert findings.control_groups(tmp_path).verdict == "warn"
    (tmp_path / "memory").mkdir()
    assert findings.control_groups(tmp_path).text == "Version 1."
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert findings.control_groups(tmp_path).text == "Version 2."
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    assert "memory" in findings.control_groups(tmp_path).text


def test_programs():
    assert findings.programs(lambda name: name).verdict == "ok"
    assert "iproute2" in findings.programs(lambda name: None if name == "ip" else name).advice


def test_docker(tmp_path):
    def refuse(_):
        raise PermissionError

    def gone(_):
        raise ConnectionRefusedError

    path = str(tmp_path / "docker.sock")
    assert findings.docker([path], gone).verdict == "warn"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert findings.docker([path], lambda _: {"Version": "20.10"}).text == f"20.10 at {path}."
        assert "group" in findings.docker([path], refuse).advice
        assert findings.docker([path], gone).text == "No container engine."


def test_a_bus_that_is_open():
    assert findings.bus({}) is None
    for settings, verdict in (
        (("127.0.0.1", "none"), "ok"),
        (("0.0.0.0", "curve"), "ok"),
        (("0.0.0.0", "plain"), "warn"),
        (("0.0.0.0", "none"), "warn"),
    ):
        told = findings.bus({"bus_address": settings[0], "bus_mechanism": settings[1]})
        assert told.verdict == verdict
        assert ("bus key add" in told.advice) == (verdict == "warn")
