import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.parts.overlay_nodes import UIDS, House
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import link_process
from wayhouse.overlay.drivers.outside import RealOutside
from wayhouse.overlay.link_options import LinkOptions
from wayhouse.overlay.model import TurnServer
from wayhouse.overlay.stanzas import Services


@pytest.fixture
def notified(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.bind(str(tmp_path / "notify"))
        yield sock


@pytest.fixture
def start(tmp_path, notified):
    started = []

    def one(*arguments):
        command = [
            sys.executable,
            "-m",
            "wayhouse.overlay.link_process",
            "--data",
            tmp_path / "data",
            *arguments,
        ]
        env = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        started.append(subprocess.Popen(list(map(str, command)), env=env, stderr=subprocess.PIPE))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait(10)
        process.stderr.close()


def ready_port(notified) -> int:
    message = notified.recv(4096).decode()
    assert message.startswith("READY=1")
    return int(message.rstrip().rpartition(" ")[2])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_can_be_heard_and_ends_in_order(start, notified, tmp_path, number):
    process = start("--no-tun", "--control-port", "0", "--traces", tmp_path / "traces")
    port = ready_port(notified)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b'{"m":"get_state"}', ("127.0.0.1", port))
        assert json.loads(sock.recv(4096))["type"] == "local_state"
        request = {"m": "set_local_ip", "uid": UIDS[0], "ip4": "172.31.0.100", "ip6": "fd50::1"}
        sock.sendto(json.dumps(request).encode(), ("127.0.0.1", port))
        sock.sendto(b'{"m":"get_state"}', ("127.0.0.1", port))
        own = json.loads(sock.recv(4096))
        assert (own["_uid"], len(own["_fpr"])) == (UIDS[0], 59)
    assert [path.name for path in (tmp_path / "traces").iterdir()] == [str(process.pid)]
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "identity.key").stat().st_mode & 0o777 == 0o600
    process.send_signal(number)
    assert process.wait(10) == 0
    assert notified.recv(4096) == b"STOPPING=1"
    assert list((tmp_path / "traces").iterdir()) == []


def test_a_port_in_use_is_told(start, notified):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        process = start("--no-tun", "--control-port", sock.getsockname()[1])
        assert process.wait(20) == 1
    said = process.stderr.read().decode()
    assert "--control-port" in said
    assert "Traceback" not in said


def test_a_damaged_list_of_peers_is_told(start, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "known-peers.json").write_text("{")
    process = start("--no-tun", "--control-port", "0")
    assert process.wait(20) == 1
    assert b"trusted anew" in process.stderr.read()


def test_it_ends_with_who_started_it(start, notified, tmp_path):
    import fcntl

    lifeline = tmp_path / "lifeline"
    with lifeline.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start("--no-tun", "--control-port", "0", "--lifeline", lifeline)
        ready_port(notified)
        assert process.poll() is None
    assert process.wait(10) == 0


def test_arguments_that_are_not_understood(capsys):
    with pytest.raises(SystemExit) as end:
        link_process.main(["--nothing"])
    assert end.value.code == 2
    assert "--data" in capsys.readouterr().err


def test_asking_for_help_loads_nothing_heavy():
    program = (
        "import sys, wayhouse.overlay.link_process as p\n"
        "print([n for n in ('numpy', 'slixmpp', 'aioice', 'zeroconf', 'pyroute2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_servers_on_offer_are_used_unless_others_are_given(tmp_path):
    """By links whose controller names none."""
    turn = TurnServer(host="turn.example.org", username="u", password="p")
    for given, expected in ((), (("stun.example.org", 3478),)), ((("mine", 1),), (("mine", 1),)):
        house = House()
        async with Tasks() as tasks, house.node(UIDS[0]) as node:

            async def services():
                return Services(stun=(("stun.example.org", 3478),), turn=(turn,))

            node.signaller.services = services
            options = LinkOptions(data=tmp_path, stun=given)
            node.path_settings = options.path_settings()
            outside = RealOutside(house.clock, tasks)
            tasks.spawn(link_process._ask_for_servers(node, outside, house.clock, options), name="asking")
            for _ in range(20):
                await asyncio.sleep(0)
            assert node.path_settings.stun == expected
            assert node.path_settings.turn == (turn,)
