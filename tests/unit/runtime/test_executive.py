"""RasPy's executives: threads that end, processes that are reached, jobs that do not hold up a stop."""
# covers: runtime/supervision/executives.py

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.runtime.executive import Executive, ExecutiveProcess, Jobs, StopEvent
from wayhouse.runtime.supervision.executives import read, specs_of
from wayhouse.runtime.supervisor import Supervisor


class Counting(Executive):
    speed = 0.05

    def __init__(self, *where) -> None:
        super().__init__(*where)
        self.add_worker(lambda stop: stop.wait())


class Blocking:
    """A worker that is stopped by its own shutdown alone."""

    def __init__(self) -> None:
        self.turn = threading.Event()

    def run(self) -> None:
        self.turn.wait()

    def shutdown(self) -> None:
        self.turn.set()


def test_the_event() -> None:
    event = StopEvent()
    assert not event.is_set()
    assert not event.wait(0.01)
    event.set()
    event.set()
    assert event.is_set()
    assert event.wait()


def test_threads_run_until_the_shutdown_and_destroy_joins_them() -> None:
    executive = Counting("host", "core")
    assert executive.get_instance_id() == "host.core"
    assert (executive.broker_ip, executive.broker_port) == ("127.0.0.1", 5514)
    executive.add_worker(Blocking())
    running = threading.Thread(target=executive.run)
    running.start()
    while len(executive._active_threads) < 2:
        time.sleep(0.005)
    threads = list(executive._active_threads)
    executive.shutdown()
    running.join(10)
    executive.destroy()
    assert not running.is_alive()
    assert not any(thread.is_alive() for thread in threads)
    assert executive._active_threads == executive._active_workers == []


def test_it_stops_while_jobs_are_queued() -> None:
    executive = Counting("host", "core")
    begun, go_on, done = threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        go_on.wait()
        done.append("first")

    executive.submit(first)
    for _ in range(100):
        executive.submit(lambda: done.append("late"))
    running = threading.Thread(target=executive.run)
    running.start()
    begun.wait()
    jobs = executive._jobs
    executive.shutdown()
    go_on.set()
    running.join(10)
    executive.destroy()
    assert done == ["first"]
    assert jobs.dropped == 100
    with pytest.raises(UnavailableError):
        executive.submit(first)


def test_jobs_that_fail_do_not_end_the_others(capfd) -> None:
    jobs, done = Jobs(), threading.Event()
    jobs.submit(lambda: 1 / 0)
    jobs.submit(done.set)
    thread = threading.Thread(target=jobs.run)
    thread.start()
    assert done.wait(10)
    jobs.shutdown()
    thread.join(10)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_jobs_may_come_while_it_runs() -> None:
    executive, done = Counting("h", "s"), threading.Event()
    running = threading.Thread(target=executive.run)
    running.start()
    while not executive._active_threads:
        time.sleep(0.005)
    executive.submit(done.set)
    assert done.wait(10)
    executive.shutdown()
    running.join(10)
    executive.destroy()


def test_fix_the_shutdown_reaches_the_child() -> None:
    process = ExecutiveProcess(Counting("host", "core"), "core-process")
    process.shutdown()  # not started: nothing happens
    process.start(synchronize=True)
    assert process.executive_name == "core-process"
    process.shutdown()
    assert process.join(10) in {0, 15}  # 15: it came before the executive ran
    process = ExecutiveProcess(Counting("host", "core"), "core-process")
    process.start(synchronize=True)
    while len(os.listdir(f"/proc/{process.pid}/task")) < 2:
        time.sleep(0.01)
    process.shutdown()
    assert process.join(10) == 0
    process.shutdown()


# ---- RasPy's Supervisor

INI = "[Service]\nurl_autoconf = http://x\nbroker_port = 6000\n[svc]\nexecutives = a, b ,a,\n"


class Reporting(Executive):
    speed = 0.05

    def run(self) -> None:
        with open(os.environ["REPORT"], "a") as file:
            file.write(f"{self.get_instance_id()} {self.broker_port} {os.getpid()}\n")
        super().run()


@pytest.fixture
def runner(tmp_path, monkeypatch):
    path = tmp_path / "svc.ini"
    path.write_text(INI)
    monkeypatch.setenv("REPORT", str(tmp_path / "report"))
    options = SimpleNamespace(
        service="svc", hostname="host", conffile_path=str(path), url_autoconf="", executives=[]
    )
    return SimpleNamespace(options=options)


def report(count: int) -> list[list[str]]:
    for _ in range(1000):
        try:
            with open(os.environ["REPORT"]) as file:
                lines = [line.split() for line in file]
        except FileNotFoundError:
            lines = []
        if len(lines) >= count:
            return lines
        time.sleep(0.01)
    raise AssertionError("they do not start")


def test_fix_the_executives_of_the_file_are_really_started(runner) -> None:
    with Supervisor(runner, executives={"a": Reporting, "b": Reporting, "c": Reporting}) as it:
        assert it.get_instance_id() == "svc#host"
        it.reload()
        assert runner.options.executives == ["a", "b"]
        assert runner.options.url_autoconf == "http://x"
        lines = report(2)
        assert sorted(line[:2] for line in lines) == [["host.a", "6000"], ["host.b", "6000"]]
        with open(runner.options.conffile_path, "a") as file:
            file.write("[other]\n")
        with open(runner.options.conffile_path, "w") as file:
            file.write(INI.replace("a, b ,a,", "c"))
        it.reload()
        assert not any(os.path.exists(f"/proc/{line[2]}") for line in lines)
        last = report(3)[2]
        assert last[0] == "host.c"
        it.stop_executives()
        assert not os.path.exists(f"/proc/{last[2]}")


def test_run_until_the_signal(runner) -> None:
    it = Supervisor(runner, executives={"a": Reporting, "b": Reporting})
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    it.reload()
    timer.start()
    assert not it.run().failed
    timer.join()


def test_names_that_nobody_knows(runner) -> None:
    with pytest.raises(BadInputError, match="known: z"):
        specs_of(runner.options, {"z": Reporting})
    (spec,) = specs_of_file(runner, "[svc]\nexecutives = wayhouse.runtime.executive:Executive\n")
    assert spec.name == "wayhouse.runtime.executive:Executive"
    with pytest.raises(BadInputError, match="broker_port"):
        specs_of_file(runner, "[Service]\nbroker_port = 99999\n")
    with pytest.raises(BadInputError, match="cannot be read"):
        specs_of_file(runner, "no section\n")
    assert read("/no/such/file", "x") == ({}, [])


def specs_of_file(runner, text: str):
    with open(runner.options.conffile_path, "w") as file:
        file.write(text)
    return specs_of(runner.options, {})
