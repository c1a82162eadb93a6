# covers: bus/server_options.py
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import zmq

from wayhouse.bus import mdp, server
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.kvmsg import Form, KVMsg
from wayhouse.bus.publisher import KvPublisherClient, KvSubscriberClient

WAIT_MS = 5000


class Bus:
    """The process, with a service manager that listens."""

    def __init__(self, folder, *arguments, env=None):
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(20)
        self.context = zmq.Context()
        command = [
            sys.executable,
            "-m",
            "wayhouse.bus.server",
            "--port",
            "0",
            "--runtime",
            str(folder / "run"),
            *arguments,
        ]
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), **(env or {})}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        ready = self.manager.recv(4096).decode()
        assert ready.startswith("READY=1\nSTATUS=listening on ")
        self.endpoints = ready.split(" on ")[1].split()

    def peer(self, endpoint, *options):
        sock = self.context.socket(zmq.DEALER)
        for option, value in options:
            sock.setsockopt(option, value)
        sock.connect(endpoint)
        return sock

    def ask(self, sock, name, *body):
        sock.send_multipart(mdp.build_request(name, body))
        assert sock.poll(WAIT_MS)
        return mdp.parse_reply(sock.recv_multipart()).body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)
        self.manager.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def test_it_serves_and_ends_in_order(tmp_path):
    with Bus(tmp_path) as bus:
        unix, tcp, *clone = bus.endpoints
        assert unix == f"ipc://{tmp_path}/run/bus.sock"
        assert tcp.startswith("tcp://127.0.0.1:")
        assert len(clone) == 6
        assert bus.ask(bus.peer(tcp), b"mmi.ping") == [b"200"]
        client, worker = bus.peer(unix), bus.peer(unix)
        worker.send_multipart(mdp.build_ready(b"echo"))
        while bus.ask(client, b"mmi.service", b"echo") != [b"200"]:
            pass
        bus.process.send_signal(signal.SIGTERM)
        assert worker.poll(WAIT_MS)
        assert mdp.parse_at_worker(worker.recv_multipart()).command == mdp.DISCONNECT
        assert bus.process.wait(10) == 0
        assert bus.manager.recv(100) == b"STOPPING=1"
        assert not (tmp_path / "run" / "bus.sock").exists()


def test_security_comes_from_files(tmp_path):
    known = tmp_path / "known.json"
    known.write_text(json.dumps({"plain": {"ann": "secret"}}))
    known.chmod(0o600)
    with Bus(tmp_path, "--mechanism", "plain", "--credentials", str(known), "--no-clone") as bus:
        unix, tcp = bus.endpoints
        options = ((zmq.PLAIN_USERNAME, b"ann"), (zmq.PLAIN_PASSWORD, b"secret"))
        assert (
            bus.ask(bus.peer(tcp, *options), b"mmi.ping") == bus.ask(bus.peer(unix), b"mmi.ping") == [b"200"]
        )
        stranger = bus.peer(tcp)
        stranger.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert not stranger.poll(300)


def test_the_settings_hold(tmp_path):
    with Bus(
        tmp_path, "--no-clone", "--heartbeat", "1", "--liveness", "5", "--credit-max", "7", "--fixed-credit"
    ) as bus:
        told = json.loads(bus.ask(bus.peer(bus.endpoints[0]), b"mmi.info")[0])["settings"]
        assert (told["heartbeat_s"], told["liveness"], told["credit_max"], told["adaptive_credit"]) == (
            1,
            5,
            7,
            False,
        )


def test_keys_survive_a_restart_and_are_told_of(tmp_path):
    arguments = ("--data", str(tmp_path / "data"), "--save-every", "0.1")
    with Bus(tmp_path, *arguments) as bus:
        publisher = KvPublisherClient(endpoints=Endpoints(*bus.endpoints[2:5]))
        publisher.send("device", "lamp", "on")
        publisher.send("device", "passing", "x", ttl_s=60)
        client = bus.peer(bus.endpoints[0])
        while bus.ask(client, b"mmi.helper.topics", b"/device/p") != [b"/device/passing", b"200"]:
            pass
        publisher.destroy()
        bus.process.kill() if _is_written(tmp_path / "data") else pytest.fail("not on disk")
    (tmp_path / "notify").unlink()
    with Bus(tmp_path, *arguments) as bus:
        client = bus.peer(bus.endpoints[0])
        assert bus.ask(client, b"mmi.helper.topics") == [b"/device/lamp", b"200"]
        subscriber = KvSubscriberClient(subtree="device", endpoints=Endpoints(*bus.endpoints[2:5]), speed=5.0)
        assert {key: one.body for key, one in subscriber.kvmap.items()} == {"/device/lamp": b"on"}
        clone = json.loads(bus.ask(client, b"mmi.stats")[0])["clone"]
        assert (clone["keys"], clone["subscribers"]) == (1, 1)
        subscriber.destroy()


def _is_written(folder):
    """Whether something is on disk, within some seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if any(b"/device/lamp" in path.read_bytes() for path in folder.iterdir()):
            return True
        time.sleep(0.02)
    return False


def test_other_forms_of_the_clone(tmp_path):
    with Bus(tmp_path, "--clone-form", "raspy", "--subscribed", "0") as bus:
        *_, updates, _, subscribed = bus.endpoints
        publisher = bus.context.socket(zmq.PUB)
        publisher.connect(subscribed)
        follower = bus.context.socket(zmq.SUB)
        follower.subscribe(b"/a/")
        follower.connect(updates)
        end = time.monotonic() + 10
        while not follower.poll(20):
            assert time.monotonic() < end
            publisher.send_multipart(KVMsg(0, "/a/b", b"1").to_frames(Form.SIMPLE))
        key, sequence, body = follower.recv_multipart()
        assert (key, len(sequence), body) == (b"/a/b", 4, b"1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--save-every", "0"),
        ("--address", "nowhere.invalid"),
        ("--mechanism", "curve"),
        ("--mechanism", "plain", "--credentials", "/nonexistent"),
        ("--heartbeat", "-1"),
        ("--runtime", "/proc/none"),
    ],
)
def test_what_cannot_be_is_told(arguments, caplog):
    assert server.main(["--port", "0", "--no-clone", *arguments]) == 1
    assert caplog.records


def test_files_that_others_can_read_are_refused(tmp_path, caplog):
    known = tmp_path / "known.json"
    known.write_text("{}")
    known.chmod(0o644)
    assert server.main(["--port", "0", "--mechanism", "plain", "--credentials", str(known)]) == 1
    assert "chmod 600" in caplog.text


def test_arguments_that_are_not_understood(capsys):
    for arguments in (["--port", "65535"], ["--port", "x"], ["--other"]):
        with pytest.raises(SystemExit) as ended:
            server.main(arguments)
        assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_sockets_that_were_handed_over_are_gone_on_with(tmp_path):
    given = socket.create_server(("127.0.0.1", 0))
    saved = os.dup(3) if _is_open(3) else None
    try:
        os.dup2(given.fileno(), 3)
        env = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "bus"}
        bus = server.BusServer(server.ServerSettings(port=0, clone=False), env)
        assert list(bus.listeners()) == [f"tcp://127.0.0.1:{given.getsockname()[1]}"]
        assert not env
        bus.destroy()
    finally:
        given.close()
        if saved is not None:
            os.dup2(saved, 3)
            os.close(saved)


def _is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
