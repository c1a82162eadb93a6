"""Services as daemons: every action, on real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import ClassVar

import pytest

from wayhouse.runtime.exceptions import ProcessError
from wayhouse.runtime.executive import Executive
from wayhouse.runtime.runner import (
    Runner,
    RunnerInvalidActionError,
    RunnerStartFailureError,
    RunnerStopFailureError,
)


class Service(Runner):
    """Writes what happens to it into its log."""

    stopped = False

    def app_run(self) -> None:
        os.write(1, b"runs\n")
        while not self.stopped:
            time.sleep(0.01)
        os.write(1, b"ends\n")

    def app_shutdown(self) -> None:
        self.stopped = True

    def app_reload(self) -> None:
        os.write(1, b"reloads\n")


class Stubborn(Service):
    def app_shutdown(self) -> None:
        os.write(1, b"thinks about it\n")


class Broken(Runner):
    def become_user(self) -> None:
        raise ProcessError("no such user")


class Sleeper(Executive):
    speed = 0.05


class Supervised(Runner):
    executives: ClassVar = {"one": Sleeper}


@pytest.fixture
def places(tmp_path):
    for name in ("log", "conf", "run"):
        (tmp_path / name).mkdir()
    return {f"{name}_dir": str(tmp_path / name) for name in ("log", "conf", "run")}


@pytest.fixture
def make(places):
    made: list[Runner] = []

    def build(kind: type[Runner] = Service) -> Runner:
        made.append(kind("host", "svc", "", **places))
        return made[-1]

    yield build
    for one in made:
        if one._running() not in {0, os.getpid()}:
            os.kill(one._running(), signal.SIGKILL)


def log_of(runner: Runner, *words: str) -> str:
    for _ in range(1000):
        with open(runner.options.log_path("out")) as file:
            text = file.read()
        if all(word in text for word in words):
            return text
        time.sleep(0.01)
    raise AssertionError(text)


def do(runner: Runner, action: str) -> int:
    return runner.main(["prog", action])


def test_a_life(make, capsys) -> None:
    runner = make()
    assert do(runner, "status") == 1
    assert do(runner, "start") == 0
    log_of(runner, "runs")
    pid = runner._running()
    assert do(runner, "status") == 0
    assert f"svc runs as {pid}." in capsys.readouterr().out
    assert do(runner, "start") == 1
    assert "runs already" in capsys.readouterr().err
    assert do(runner, "reload") == 0
    log_of(runner, "reloads")
    assert do(runner, "restart") == 0
    assert runner._running() not in {0, pid}
    assert do(runner, "stop") == 0  # maybe before it has begun
    log_of(runner, "ends")
    assert not os.path.exists(runner.options.pid_path)


@pytest.mark.parametrize("action", ["stop", "kill", "restart", "reload"])
def test_what_does_not_run_cannot_be_ended(make, action) -> None:
    runner = make()
    assert do(runner, action) == 1
    with pytest.raises(RunnerStopFailureError):
        runner.do_action(["prog", action])


def test_usage(make, capsys) -> None:
    runner = make()
    for argv in (["prog"], ["prog", "dance"], ["prog", "start", "now"], []):
        assert runner.main(argv) == 2
    assert "usage: prog start|stop|restart|reload|kill|status|front" in capsys.readouterr().err
    with pytest.raises(RunnerInvalidActionError):
        runner.do_action(["prog", "main"])


def test_kill_and_stale_files(make) -> None:
    runner = make()
    do(runner, "start")
    log_of(runner, "runs")
    pid = runner._running()
    os.kill(pid, signal.SIGKILL)
    while runner._running():
        time.sleep(0.01)
    assert os.path.exists(runner.options.pid_path)
    assert do(runner, "stop") == 1
    assert do(runner, "start") == 0  # the stale file is broken
    second = runner._running()
    assert second not in {0, pid}
    assert do(runner, "kill") == 0
    assert not os.path.exists(runner.options.pid_path)


def test_a_pid_that_is_anothers_gets_no_signal(make) -> None:
    runner = make()
    with open(runner.options.pid_path, "w") as file:
        file.write(f"{os.getpid()}\n")
    assert do(runner, "kill") == do(runner, "stop") == do(runner, "status") == 1


def test_one_that_does_not_return_ends_all_the_same(make, monkeypatch) -> None:
    monkeypatch.setattr("wayhouse.runtime.runner.SHUTDOWN_S", 1)
    runner = make(Stubborn)
    do(runner, "start")
    log_of(runner, "runs")
    assert do(runner, "stop") == 0
    assert log_of(runner).count("thinks about it") == 1


def test_starts_that_fail(make, places) -> None:
    with pytest.raises(RunnerStartFailureError, match="no such user"):
        make(Broken).start()
    os.rmdir(places["run_dir"])
    assert do(make(), "start") == 1
    assert do(make(), "front") == 1
    os.rename(places["log_dir"], places["log_dir"] + "2")
    with pytest.raises(RunnerStartFailureError, match="cannot be written"):
        make().start()


def test_the_file_has_the_last_word(places) -> None:
    with open(f"{places['conf_dir']}/svc.ini", "w") as file:
        file.write(
            "[Service]\nhostname=other\nlog_dir=/l\nrun_dir=/r\nuser=nobody\nurl_autoconf=u\n[svc]\nexecutives=a"
        )
    options = Runner("host", "svc", **places).options
    assert (options.hostname, options.user, options.url_autoconf) == ("other", "nobody", "u")
    assert options.executives == ["a"]
    assert options.pid_path == "/r/svc.pid"
    assert options.log_path("err") == "/l/svc_err.log"


def test_supervised_executives(make, places) -> None:
    with open(f"{places['conf_dir']}/svc.ini", "w") as file:
        file.write("[svc]\nexecutives = one\n")
    runner = make(Supervised)
    assert do(runner, "start") == 0
    pid = runner._running()
    children = f"/proc/{pid}/task/{pid}/children"

    def child() -> int:
        for _ in range(1000):
            with open(children) as file:
                found = file.read().split()
            if found:
                return int(found[0])
            time.sleep(0.01)
        raise AssertionError("no executive")

    first = child()
    os.kill(first, signal.SIGKILL)
    while (second := child()) == first:
        time.sleep(0.01)
    do(runner, "reload")
    while (third := child()) == second:
        time.sleep(0.01)
    assert do(runner, "stop") == 0
    assert not os.path.exists(f"/proc/{third}")


FRONT = """
import sys, time
from wayhouse.runtime.runner import Runner
class Service(Runner):
    stopped = False
    def app_run(self):
        print("runs", flush=True)
        while not self.stopped: time.sleep(0.01)
    def app_shutdown(self):
        self.stopped = True
sys.exit(Service("host", "svc", "", *sys.argv[2:]).main(sys.argv[:2]))
"""


def test_in_the_foreground(make, places, tmp_path) -> None:
    import subprocess

    script = tmp_path / "service.py"
    script.write_text(FRONT)
    child = subprocess.Popen([sys.executable, script, "front", *places.values()], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"runs\n"
    runner = make()
    assert runner._running() == child.pid
    assert do(runner, "front") == 1
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    assert not os.path.exists(runner.options.pid_path)
    child.stdout.close()
