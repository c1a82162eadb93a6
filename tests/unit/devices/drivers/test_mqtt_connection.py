import asyncio
import shutil
import subprocess

import pytest

from tests.parts.mosquitto import PROGRAM, Mosquitto, free_port
from wayhouse.devices.drivers.mqtt_connection import Message, MqttConnection
from wayhouse.devices.drivers.settings import MqttSettings
from wayhouse.devices.model import DeviceGoneError

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")


class Ear:
    def __init__(self):
        self.connected = asyncio.Event()
        self.lost = asyncio.Event()
        self.reasons = []
        self.heard_all = asyncio.Queue()

    def up(self):
        self.connected.set()

    def down(self, reason):
        self.reasons.append(reason)
        self.lost.set()

    def heard(self, message):
        self.heard_all.put_nowait(message)


@pytest.fixture
def broker(tmp_path):
    found = Mosquitto(tmp_path)
    found.start()
    yield found
    found.stop()


def settings(port, **more):
    return MqttSettings(host="127.0.0.1", port=port, **more)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 20)


async def test_a_broker_that_is_not_there_is_named_and_tried_again():
    ear = Ear()
    line = MqttConnection(settings(free_port()), ear, name="t")
    line.open()
    await soon(ear.lost.wait())
    assert "refused" in line.reason
    with pytest.raises(DeviceGoneError, match="no connection"):
        await line.publish(Message("a", b"b"))
    line.post(Message("a", b"b"))
    await line.closed()


async def test_something_that_is_no_broker():
    async def answer(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"\xff" * 100)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ear = Ear()
    line = MqttConnection(settings(server.sockets[0].getsockname()[1]), ear, name="t")
    line.open()
    await soon(ear.lost.wait())
    assert not line.is_up
    assert line.reason
    await line.closed()
    server.close()


async def test_a_password_file_that_is_not_there(tmp_path):
    ear = Ear()
    line = MqttConnection(settings(1, username="u", password_file=str(tmp_path / "none")), ear, name="t")
    line.open()
    await soon(ear.lost.wait())
    assert "password file" in line.reason
    await line.closed()


@pytest.mark.external
@needs_mosquitto
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_there_and_back(broker, version):
    ear = Ear()
    line = MqttConnection(settings(broker.port, version=version), ear, name="t")
    line.open()
    await soon(ear.connected.wait())
    line.subscribe(["a/#"])
    await line.publish(Message("a/b", b"one", qos=1))
    line.post(Message("a/c", b"two", retain=True, qos=1))
    assert [(await soon(ear.heard_all.get())).payload for _ in range(2)] == [b"one", b"two"]
    line.unsubscribe(["a/#"])
    line.subscribe(["a/c"])
    kept = await soon(ear.heard_all.get())
    assert (kept.payload, kept.retain) == (b"two", True)
    await line.closed()


@pytest.mark.external
@needs_mosquitto
async def test_a_burst_larger_than_any_buffer_arrives(broker):
    ear = Ear()
    line = MqttConnection(settings(broker.port), ear, name="t")
    line.open()
    await soon(ear.connected.wait())
    line.subscribe(["b"])
    for number in range(300):
        line.post(Message("b", b"x" * 20_000 + str(number).encode(), qos=1))
    found = [await soon(ear.heard_all.get()) for _ in range(300)]
    assert found[-1].payload.endswith(b"299")
    await line.closed()


@pytest.mark.external
@needs_mosquitto
async def test_it_comes_back_and_sends_nothing_old(broker):
    ear = Ear()
    line = MqttConnection(settings(broker.port), ear, name="t")
    line.open()
    await soon(ear.connected.wait())
    broker.stop()
    await soon(ear.lost.wait())
    line.post(Message("old", b"old", retain=True, qos=1))
    with pytest.raises(DeviceGoneError):
        await line.publish(Message("old", b"old", qos=1))
    ear.connected.clear()
    broker.start()
    await soon(ear.connected.wait())
    line.subscribe(["#"])
    await line.publish(Message("new", b"new", retain=True, qos=1))
    assert (await soon(ear.heard_all.get())).topic == "new"
    await line.closed()


@pytest.mark.external
@needs_mosquitto
async def test_the_will_is_told_when_the_connection_is_torn(broker):
    ear = Ear()
    will = Message("will", b"gone", retain=True)
    other = MqttConnection(settings(broker.port), ear, name="other")
    other.open()
    await soon(ear.connected.wait())
    other.subscribe(["will"])
    dying = Ear()
    line = MqttConnection(settings(broker.port, keepalive_s=5), dying, name="same", will=will)
    line.open()
    await soon(dying.connected.wait())
    usurper = MqttConnection(settings(broker.port), Ear(), name="same")
    usurper.open()
    assert (await soon(ear.heard_all.get())).payload == b"gone"
    for one in (usurper, line, other):
        await one.closed()


@pytest.mark.external
@needs_mosquitto
@pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="mosquitto_passwd is not installed")
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_name_and_password(tmp_path, version):
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "me", "secret word"], check=True)
    (tmp_path / "right").write_text("secret word\n")
    (tmp_path / "wrong").write_text("guess\n")
    broker = Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}\n")
    broker.start()
    try:
        for name, works in (("right", True), ("wrong", False)):
            ear = Ear()
            secret = str(tmp_path / name)
            given = settings(broker.port, username="me", password_file=secret, version=version)
            line = MqttConnection(given, ear, name="t")
            line.open()
            await soon((ear.connected if works else ear.lost).wait())
            assert line.is_up is works
            if not works:
                assert "refuses" in line.reason
                assert "guess" not in line.reason
            await line.closed()
    finally:
        broker.stop()


@pytest.mark.external
@needs_mosquitto
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_tls_with_a_certificate_that_is_checked(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    listener = f"certfile {certificate}\nkeyfile {key}\n"
    broker = Mosquitto(tmp_path, listener=listener)
    broker.start()
    try:
        for ca_file, works in ((str(certificate), True), (None, False)):
            ear = Ear()
            line = MqttConnection(settings(broker.port, tls=True, ca_file=ca_file), ear, name="t")
            line.open()
            await soon((ear.connected if works else ear.lost).wait())
            assert line.is_up is works
            if works:
                line.subscribe(["a"])
                for _ in range(50):
                    line.post(Message("a", b"x" * 5000, qos=1))
                for _ in range(50):
                    await soon(ear.heard_all.get())
            else:
                assert "not trusted" in line.reason
            await line.closed()
    finally:
        broker.stop()
