# covers: bus/drivers/loop.py, bus/drivers/listening.py, bus/drivers/security.py, bus/drivers/watchdog.py, bus/drivers/watch.py
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import zmq

from wayhouse.access.known_peers import KnownPeers
from wayhouse.bus import mdp
from wayhouse.bus.broker import Broker
from wayhouse.bus.drivers import listening
from wayhouse.bus.drivers.broker_socket import BrokerSocket
from wayhouse.bus.drivers.loop import Loop
from wayhouse.bus.drivers.security import KnownCredentials, Security
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.drivers.watchdog import Watchdog
from wayhouse.bus.model import BrokerSettings, EndpointError

WAIT_MS = 5000
both = pytest.mark.usefixtures("moved_by")


@contextmanager
def served(*endpoints, credentials=None, security=None, adopt=(), **wishes):
    """(BrokerSocket, its endpoints, a context for peers), with a loop in a thread of its own."""
    peers = zmq.Context()
    watch = Watch()
    router = BrokerSocket(
        Broker(BrokerSettings(**wishes), time.monotonic()), watch, (security or Security()).door(credentials)
    )
    bound = [*(router.listen(endpoint) for endpoint in endpoints), *(router.adopt(fd) for fd in adopt)]
    loop = Loop([router], watch)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield router, bound, peers
    finally:
        peers.destroy(linger=0)
        loop.stop()
        thread.join()


def peer(context, endpoint, *options):
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.LINGER, 0)
    for option, value in options:
        sock.setsockopt(option, value)
    sock.connect(endpoint)
    return sock


def got(sock):
    assert sock.poll(WAIT_MS), "nothing came"
    return sock.recv_multipart()


def nothing_comes(sock, wait_ms=300):
    return not sock.poll(wait_ms)


@both
def test_a_request_over_a_unix_socket_reaches_a_worker_on_tcp(tmp_path):
    with served(f"ipc://{tmp_path}/bus.sock", "tcp://127.0.0.1:0") as (_, (unix, tcp), context):
        worker, client = peer(context, tcp), peer(context, unix)
        worker.send_multipart(mdp.build_ready(b"echo", 2))
        client.send_multipart(mdp.build_request(b"echo", [b"hello"]))
        work = mdp.parse_at_worker(got(worker))
        worker.send_multipart(mdp.build_worker_reply(work.client, [b"world"], 2))
        assert got(client) == [b"", b"MDPC01", b"echo", b"world"]


@both
def test_a_burst_of_any_size_is_answered_before_the_next_heartbeat(tmp_path):
    """The loop sleeps on descriptors, which tell of what is new alone: nothing may be left in a socket then."""
    with served(f"ipc://{tmp_path}/bus.sock", heartbeat_s=600.0) as (_, (unix,), context):
        clients = [peer(context, unix) for _ in range(3)]
        for count in (*range(1, 40), 255, 256, 257, 600):
            for client in clients:
                for _ in range(count):
                    client.send_multipart(mdp.build_request(b"mmi.service", [b"nobody"]))
            for client in clients:
                assert [got(client)[3] for _ in range(count)] == [b"404"] * count


@both
def test_what_a_vanished_worker_held_goes_to_another(tmp_path):
    with served(f"ipc://{tmp_path}/bus.sock", heartbeat_s=0.1) as (_, (unix,), context):
        lost, client = peer(context, unix), peer(context, unix)
        lost.send_multipart(mdp.build_ready(b"echo"))
        client.send_multipart(mdp.build_request(b"echo", [b"x"]))
        assert mdp.parse_at_worker(got(lost)).body == [b"x"]
        lost.close()
        other = peer(context, unix)
        other.send_multipart(mdp.build_ready(b"echo"))
        while (work := mdp.parse_at_worker(got(other))).command != mdp.REQUEST:
            other.send_multipart(mdp.build_heartbeat())
        assert work.body == [b"x"]


@both
def test_no_bytes_end_it(tmp_path):
    with served(f"ipc://{tmp_path}/bus.sock", "tcp://127.0.0.1:0") as (_, (unix, tcp), context):
        host, port = tcp.removeprefix("tcp://").split(":")
        for junk in (
            b"GET / HTTP/1.0\r\n\r\n",
            os.urandom(200),
            b"\xff" + bytes(8) + b"\x7f" + os.urandom(80),
        ):
            with socket.create_connection((host, int(port))) as raw:
                raw.sendall(junk)
        client = peer(context, unix)
        for frames in ([b""], [b"junk"], [b"", b"MDPC01"], [b"", b"MDPW01", b"\x99"], [b"MDPC02", b"\1"]):
            client.send_multipart(frames)
        client.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert got(client)[-1] == b"200"


@both
def test_a_client_that_does_not_read_holds_up_nobody(tmp_path):
    with served(f"ipc://{tmp_path}/bus.sock") as (_router, (unix,), context):
        stuck, client = peer(context, unix, (zmq.RCVHWM, 1)), peer(context, unix)
        for _ in range(600):
            stuck.send_multipart(mdp.build_request(b"mmi.echo", [b"x" * 60_000]))
        client.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert got(client)[-1] == b"200"


@both
def test_a_defect_that_one_message_shows_costs_no_other(tmp_path, monkeypatch):
    whole = Broker.receive

    def faulty(self, frames, now):
        if frames[-1] == b"boom":
            raise ValueError("a defect")
        whole(self, frames, now)

    monkeypatch.setattr(Broker, "receive", faulty)
    with served(f"ipc://{tmp_path}/bus.sock") as (_, (unix,), context):
        client = peer(context, unix)
        for body in (b"1", b"boom", b"2", b"boom", b"3"):
            client.send_multipart(mdp.build_request(b"mmi.echo", [body]))
        assert [got(client)[3] for _ in range(3)] == [b"1", b"2", b"3"]


@both
def test_the_end_says_disconnect_to_workers(tmp_path):
    peers = zmq.Context()
    with served(f"ipc://{tmp_path}/bus.sock") as (_, (unix,), context):
        worker, client = peer(peers, unix), peer(context, unix)
        worker.send_multipart(mdp.build_ready(b"echo"))
        while True:
            client.send_multipart(mdp.build_request(b"mmi.service", [b"echo"]))
            if got(client)[-1] == b"200":
                break
    assert got(worker) == [b"", b"MDPW01", b"\5"]
    peers.destroy(linger=0)


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_a_successor_goes_on_with_the_listening_socket(tmp_path, kind):
    endpoint = "tcp://127.0.0.1:0" if kind == "tcp" else f"ipc://{tmp_path}/bus.sock"
    with served(endpoint) as (first, (bound,), _):
        copy = os.dup(first.listeners()[bound])
    with served(adopt=[copy]) as (second, (again,), context):
        assert again == bound
        assert list(second.listeners()) == [bound]
        client = peer(context, bound)
        client.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert got(client)[-1] == b"200"


def test_plain_lets_in_who_is_known_and_nobody_else(tmp_path):
    secured = {
        "credentials": KnownCredentials(KnownPeers(plain={"ann": "secret"})),
        "security": Security(mechanism="plain"),
    }
    with served(f"ipc://{tmp_path}/bus.sock", "tcp://127.0.0.1:0", **secured) as (_, (unix, tcp), context):
        known = peer(context, tcp, (zmq.PLAIN_USERNAME, b"ann"), (zmq.PLAIN_PASSWORD, b"secret"))
        wrong = peer(context, tcp, (zmq.PLAIN_USERNAME, b"ann"), (zmq.PLAIN_PASSWORD, b"other"))
        bare, local = peer(context, tcp), peer(context, unix)
        for sock in (known, wrong, bare, local):
            sock.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert got(known)[-1] == got(local)[-1] == b"200"
        assert nothing_comes(wrong)
        assert nothing_comes(bare)


def test_curve_lets_in_known_keys_and_nobody_else():
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    secured = {
        "credentials": KnownCredentials(KnownPeers(curve={public.decode(): "ann"})),
        "security": Security(mechanism="curve", secret_key=server_secret),
    }
    with served("tcp://127.0.0.1:0", **secured) as (_, (tcp,), context):
        stranger = zmq.curve_keypair()
        socks = [
            peer(
                context,
                tcp,
                (zmq.CURVE_SERVERKEY, server_public),
                (zmq.CURVE_PUBLICKEY, key),
                (zmq.CURVE_SECRETKEY, own),
            )
            for key, own in ((public, secret), stranger)
        ]
        for sock in socks:
            sock.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert got(socks[0])[-1] == b"200"
        assert nothing_comes(socks[1])


@pytest.mark.parametrize("mechanism", ["none", "plain", "curve"])
def test_libzmqs_heartbeats_are_answered_and_messages_of_any_size_come_whole(mechanism):
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    known = KnownPeers(plain={"ann": "secret"}, curve={public.decode(): "ann"})
    options = {
        "none": [],
        "plain": [(zmq.PLAIN_USERNAME, b"ann"), (zmq.PLAIN_PASSWORD, b"secret")],
        "curve": [
            (zmq.CURVE_SERVERKEY, server_public),
            (zmq.CURVE_PUBLICKEY, public),
            (zmq.CURVE_SECRETKEY, secret),
        ],
    }[mechanism]
    security = Security(mechanism=mechanism, secret_key=server_secret if mechanism == "curve" else b"")
    beats = [(zmq.HEARTBEAT_IVL, 20), (zmq.HEARTBEAT_TIMEOUT, 200)]
    with served("tcp://127.0.0.1:0", credentials=KnownCredentials(known), security=security) as (
        router,
        (tcp,),
        context,
    ):
        client = peer(context, tcp, *options, *beats)
        seen = []
        for size in (1, 230, 255, 256, 300, 60_000) * 2:
            client.send_multipart(mdp.build_request(b"mmi.echo", [b"x" * size]))
            assert got(client)[2:] == [b"mmi.echo", b"x" * size, b"200"]
            seen.append(router.router.peers())
            time.sleep(0.05)
        assert seen == [seen[0]] * 12


def test_nobody_is_known_by_default():
    for known in (KnownCredentials(), KnownCredentials(KnownPeers(plain={"ann": "secret"}))):
        for user, password in (("", ""), ("ann", ""), ("ann", "Secret"), ("bob", "secret")):
            assert known.plain(user, password) is None
        assert known.curve(bytes(32)) is None


def test_secrets_are_not_shown():
    secret = zmq.curve_keypair()[1]
    assert secret.decode() not in repr(Security(mechanism="curve", secret_key=secret))
    for wrong in ({"mechanism": "curve"}, {"mechanism": "other"}):
        with pytest.raises(ValueError, match=r"mechanism|key"):
            Security(**wrong)


def test_addresses_that_cannot_be_used_are_told(tmp_path):
    taken = listening.listen("tcp://127.0.0.1:0")
    busy = listening.listen(f"ipc://{tmp_path}/busy.sock")
    (tmp_path / "file").write_text("kept")
    endpoints = [
        listening.endpoint_of(taken),
        listening.endpoint_of(busy),
        f"ipc://{tmp_path}/file",
        "tcp://nowhere",
        "udp://x:1",
    ]
    for endpoint in [
        *endpoints,
        "tcp://127.0.0.1:99999",
        "tcp://[::1:x",
        "ipc://" + "x" * 200,
        "tcp://a\0:1",
    ]:
        with pytest.raises(EndpointError):
            listening.listen(endpoint)
    assert (tmp_path / "file").read_text() == "kept"
    taken.close()
    busy.close()
    again = listening.listen(f"ipc://{tmp_path}/busy.sock")  # the file that nobody listens on is replaced
    assert listening.endpoint_at(again.fileno()) == f"ipc://{tmp_path}/busy.sock"
    again.close()


def test_only_listening_sockets_are_adopted(tmp_path):
    file = os.open(tmp_path, os.O_RDONLY)
    plain = socket.socket()
    for fd in (file, plain.fileno(), 10_000):
        with pytest.raises(EndpointError):
            listening.adopt(fd)
    os.close(file)
    plain.close()


def test_a_defect_in_a_part_does_not_end_the_loop():
    read, write = os.pipe()
    watch, seen = Watch(), []

    class Faulty:
        def settle(self, now):
            seen.append("settled")
            raise KeyError("a defect")

        def tick(self, now):
            raise ValueError("another")

        def deadline(self):
            return None if seen else 0.0

        def close(self, now):
            os.close(read)

    def handler(what):
        seen.append(os.read(read, 1))
        if seen.count("settled") > 1:
            loop.stop()
        raise OSError("a third")

    watch.add(read, handler)
    loop = Loop([Faulty()], watch)
    thread = threading.Thread(target=loop.run)
    thread.start()
    for letter in (b"1", b"2", b"3"):
        with suppress(BrokenPipeError):  # it may have stopped by then
            os.write(write, letter)
        time.sleep(0.02)
    thread.join(10)
    loop.stop()
    os.close(write)
    assert b"1" in seen
    assert seen.count("settled") > 1


def test_the_watchdog_gives_signs_in_half_the_time(tmp_path):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(f"{tmp_path}/notify")
    dog = Watchdog({"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "4000000"}, 10.0)
    assert dog.deadline() == 10.0
    dog.tick(10.0)
    dog.tick(11.0)
    assert (dog.deadline(), manager.recv(100)) == (12.0, b"WATCHDOG=1")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)
    manager.close()
    idle = Watchdog({}, 0.0)
    idle.tick(5.0)
    assert idle.deadline() is None


@both
def test_a_peer_that_floods_and_vanishes_leaves_nothing_behind(tmp_path):
    with served("tcp://127.0.0.1:0", f"ipc://{tmp_path}/bus.sock") as (router, (tcp, unix), context):
        client = peer(context, unix)
        flood = peer(context, tcp, (zmq.SNDHWM, 0))
        for _ in range(20_000):
            flood.send(b"x" * 100)
        while not router.broker.counters.malformed:
            time.sleep(0.01)
        flood.close(linger=0)
        client.send_multipart(mdp.build_request(b"mmi.ping", []))
        assert got(client)[-1] == b"200"
        while len(router.router.peers()) > 1:
            time.sleep(0.01)
