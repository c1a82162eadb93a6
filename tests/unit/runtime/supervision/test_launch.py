"""How children come into the world: what they find open, whose death they hear of, and what is told when it fails."""
# covers: runtime/supervision/forked_child.py, runtime/supervision/child_main.py, runtime/supervision/place.py

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.parts.descriptors import open_descriptors
from wayhouse.base.errors import ConflictError, UnavailableError
from wayhouse.runtime.supervision import launch
from wayhouse.runtime.supervision.child_spec import ChildSpec
from wayhouse.runtime.supervision.launch import Birth, by_exec, launcher
from wayhouse.runtime.supervision.place import Place
from wayhouse.runtime.zygote import Zygote

LOOK = """
import os
names = sorted(int(fd) for fd in os.listdir('/proc/self/fd'))
env = {k: os.environ.get(k) for k in ('LISTEN_FDS', 'LISTEN_FDNAMES', 'READY_FD', 'NOTIFY_SOCKET', 'A')}
print(names[:-1], os.environ.get('LISTEN_PID') == str(os.getpid()), env, os.getcwd(), os.getsid(0) == os.getpid())
"""


def look(*_: object) -> None:
    exec(LOOK, {})


def fail() -> None:
    raise LookupError("what is missing")


def count_fds() -> int:
    gc.collect()
    return open_descriptors()


def wait_for(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def all_of(read: int) -> str:
    with open(os.dup(read), "rb") as file:
        return file.read().decode()


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write  # each test closes the second
    os.close(read)


@pytest.fixture(scope="module")
def zygote():
    made = Zygote()
    made.start()
    yield made
    made.close()


WAYS = {
    "exec": ChildSpec(name="a", command=(sys.executable, "-c", LOOK)),
    "fork": ChildSpec(name="a", target=look, args=(1,)),
    "named": ChildSpec(name="a", target="builtins:exec", args=(LOOK,)),
    "program": ChildSpec(name="a", target="builtins:exec", args=(LOOK,), survives=True),
    "zygote": ChildSpec(name="a", target="builtins:exec", args=(LOOK,)),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_surroundings_are_the_same_each_way(way, pipe, tmp_path, monkeypatch, request) -> None:
    read, write = pipe
    monkeypatch.setenv("NOTIFY_SOCKET", "/not/for/children")
    monkeypatch.setenv("A", "before")
    spec = WAYS[way]
    start = launcher(request.getfixturevalue("zygote") if way == "zygote" else None)
    kept = [os.dup(write), os.dup(read)]
    birth = Birth(
        env={"A": "after"},
        cwd=str(tmp_path),
        stdin=0,
        stdout=write,
        stderr=write,
        ready=write,
        kept=tuple(kept),
        names=("x", "y"),
        parent=0 if spec.survives else os.getpid(),
    )
    pid, spawned = start(spec, birth)
    for fd in (*kept, write):
        os.close(fd)
    status = spawned.join(10) if spawned else wait_for(pid)
    text = all_of(read)
    assert status == 0, text
    assert text.startswith(
        "[0, 1, 2, 3, 4, 5] True {'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'x:y', 'READY_FD': '5'"
    )
    assert f"'NOTIFY_SOCKET': None, 'A': 'after'}} {tmp_path} True" in text


@pytest.mark.parametrize(
    ("command", "cwd", "text"),
    [
        (("/no/such/program",), None, "/no/such/program: No such file"),
        (("no-such-program-on-path",), None, "No such file"),
        (("/etc/passwd",), None, "Permission denied"),
        (("true",), "/no/such/folder", "/no/such/folder: No such file"),
    ],
)
def test_what_cannot_be_started_is_told(command, cwd, text) -> None:
    before = count_fds()
    with pytest.raises(UnavailableError, match=text):
        by_exec(command, Birth(cwd=cwd))
    assert count_fds() == before


def test_programs_find_signals_as_they_should_be(pipe) -> None:
    read, write = pipe
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        code = (
            "import signal;print(signal.getsignal(signal.SIGUSR2)==0, signal.pthread_sigmask(0,[]),"
            "open('/proc/self/status').read().split('SigIgn:')[1].split()[0])"
        )
        pid = by_exec((sys.executable, "-c", code), Birth(stdout=write, ignores=(signal.SIGINT,)))
    finally:
        signal.signal(signal.SIGUSR2, before)
    os.close(write)
    wait_for(pid)
    own = int(Path("/proc/self/status").read_text().split("SigIgn:")[1].split()[0], 16)
    assert all_of(read).startswith(f"True set() {own | 1 << signal.SIGINT - 1:016x}")


def test_errors_of_functions_are_written_and_counted(pipe) -> None:
    read, write = pipe
    pid, _ = launcher()(ChildSpec(name="a", target=fail), Birth(stderr=write))
    os.close(write)
    assert wait_for(pid) == 1
    assert "LookupError: what is missing" in all_of(read)


def test_with_threads_nothing_is_forked() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(UnavailableError, match="must not fork"):
            launcher()(ChildSpec(name="a", target=look), Birth())
        pid, _ = launcher()(ChildSpec(name="a", target="os:_exit", args=(4,)), Birth())
        with pytest.raises(UnavailableError, match="not JSON"):
            launcher()(ChildSpec(name="a", target="os:_exit", args=(object(),)), Birth())
    finally:
        stop.set()
        thread.join()
    assert wait_for(pid) == 4


def test_a_zygote_that_is_gone() -> None:
    gone = Zygote()
    gone.start()
    gone.close()
    with pytest.raises(UnavailableError):
        launcher(gone)(ChildSpec(name="a", target="os:_exit"), Birth())


def test_children_hear_of_their_parents_death(pipe) -> None:
    read, write = pipe
    middle = os.fork()
    if middle == 0:
        spec = ChildSpec(name="a", command=("sleep", "60"))
        pid, _ = launcher()(spec, Birth(parent=os.getpid()))
        os.write(write, b"%d\n" % pid)
        os._exit(0)
    os.close(write)
    pid = int(os.read(read, 20))
    os.waitpid(middle, 0)
    with contextlib.suppress(ProcessLookupError):  # it may be gone by now
        fd = os.pidfd_open(pid)
        assert select.select([fd], [], [], 10)[0]
        os.close(fd)


def test_the_fallback_for_memory(pipe) -> None:
    read, write = pipe
    code = "import resource;print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    pid = by_exec((sys.executable, "-c", code), Birth(stdout=write, data_bytes=1 << 29))
    os.close(write)
    wait_for(pid)
    assert all_of(read) == f"{1 << 29}\n"
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] != 1 << 29


# ---- places


def begin(spec: ChildSpec, lines: list | None = None) -> Place:
    place = Place(spec)
    place.open_lasting()
    place.begin(
        Birth(parent=os.getpid()), launcher(), lambda *line: lines.append(line) if lines is not None else None
    )
    return place


def test_a_place_closes_what_it_opened() -> None:
    before = count_fds()
    lines: list = []
    place = begin(
        ChildSpec(
            name="a",
            command=("sh", "-c", "echo out; echo err >&2; printf half; echo >&$READY_FD; exit 3"),
            readiness="pipe",
            bank=3,
        ),
        lines,
    )
    select.select([place.pidfd], [], [])
    assert place.said_ready() is True
    assert place.said_ready() is None
    assert place.reap(place.main) == 3
    assert place.reap(place.main) is None  # once is all there is
    place.end()
    place.close()
    assert [line[1:] for line in lines] == [("stdout", "out"), ("stdout", "half"), ("stderr", "err")]
    assert count_fds() == before


def test_a_place_that_could_not_begin_is_empty() -> None:
    before = count_fds()
    place = Place(ChildSpec(name="a", command=("/no",), readiness="pipe"))
    with pytest.raises(UnavailableError):
        place.begin(Birth(), launcher(), lambda *_: None)
    assert count_fds() == before
    assert place.pids == set()


def test_what_a_child_leaves_behind_is_killed() -> None:
    place = begin(ChildSpec(name="a", command=("sh", "-c", "sleep 60 & echo $!"), output="pipe"))
    select.select([place.pidfd], [], [])
    fd = os.pidfd_open(int(os.read(place.outputs[0].fileno(), 100)))
    place.kill_session()
    assert select.select([fd], [], [], 10)[0]
    os.close(fd)
    place.reap(place.main)
    place.end()


def test_one_that_cannot_survive_is_not_packed() -> None:
    place = begin(ChildSpec(name="a", command=("sleep", "60")))
    with pytest.raises(ConflictError, match="survives"):
        place.pack()
    place.signal(9)
    place.reap(place.main)
    place.end()
    place.close()


def test_birth_knows_its_descriptors() -> None:
    birth = Birth(stdin=1, ready=4, kept=(7, 8))
    assert birth.fds() == [1, -1, -1, 4, 7, 8]
    assert birth.with_fds(birth.fds()) == birth
    assert launch.python_command("a:b", (1,))[-2:] == ("a:b", "[1]")


def test_sockets_come_through() -> None:
    ours, theirs = socket.socketpair()
    code = "import socket;socket.socket(fileno=3).sendall(b'hello')"
    pid = by_exec((sys.executable, "-c", code), Birth(kept=(theirs.fileno(),), names=("s",)))
    theirs.close()
    assert ours.recv(10) == b"hello"
    assert wait_for(pid) == 0
    ours.close()
