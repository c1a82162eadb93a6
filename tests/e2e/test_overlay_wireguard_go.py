"""Our WireGuard device and the real `wireguard-go`: either side begins, keys are renewed, addresses change, cookies are asked for."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator

import pytest

from tests.parts.wireguard_go import (
    OURS,
    PORT,
    Driver,
    WireguardGo,
    base64_key,
    echo,
    echo_6,
    echo_number,
    missing,
    udp,
)
from wayhouse.overlay.wireguard.cookies import Envelope
from wayhouse.overlay.wireguard.timing import Timing
from wayhouse.overlay.wireguard.traffic import Established

pytestmark = [pytest.mark.external, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture(scope="module")
def other() -> Iterator[WireguardGo]:
    with WireguardGo() as found:
        yield found


def answered(driver: Driver) -> set[int | None]:
    return {echo_number(packet) for packet in driver.got}


@pytest.mark.parametrize("has_psk", [False, True])
def test_we_begin(other: WireguardGo, has_psk: bool) -> None:
    psk = secrets.token_bytes(32) if has_psk else None
    with Driver(other, psk=psk) as driver:
        other.set_peer(driver.device.public_key, psk=psk)
        driver.aim()
        driver.send(echo(1))
        driver.send(echo(2, bytes(1372)))
        driver.send(echo_6(3))
        driver.until(lambda: len(driver.got) == 3)
        assert answered(driver) >= {1, 2}
        assert driver.log[:2] == [">initiation", "<response"]
        assert driver.events == [Established(other.public_key)]
        assert not driver.device.refused


@pytest.mark.parametrize("has_psk", [False, True])
def test_they_begin(other: WireguardGo, has_psk: bool) -> None:
    psk = secrets.token_bytes(32) if has_psk else None
    with Driver(other, psk=psk) as driver, other.udp() as sock:
        other.set_peer(driver.device.public_key, "endpoint", f"127.0.0.1:{driver.port}", psk=psk)
        sock.sendto(b"question", (OURS, 99))
        driver.until(lambda: driver.got)
        assert driver.log[:3] == ["<initiation", ">response", "<data"]
        assert driver.got[0].endswith(b"question")
        assert driver.peer.endpoint == ("127.0.0.1", PORT)
        driver.send(udp(99, sock.getsockname()[1], b"answer"))
        sock.settimeout(5.0)
        assert sock.recv(100) == b"answer"


def test_both_begin_at_once(other: WireguardGo) -> None:
    with Driver(other) as driver, other.udp() as sock:
        other.set_peer(driver.device.public_key, "endpoint", f"127.0.0.1:{driver.port}")
        driver.aim()
        sock.sendto(b"question", (OURS, 99))
        assert select.select([driver.sock], [], [], 5.0)[0]  # their initiation is here, and not read yet
        driver.device.encrypt(driver.peer, echo(1), driver.now)
        driver.device.tick(driver.now, time.time())
        ((endpoint, initiation),) = driver.device.outbox()
        driver.post(endpoint, initiation)
        time.sleep(0.1)
        driver.until(lambda: len(driver.got) == 2, 4.0)
        assert driver.log[:4] == [">initiation", "<initiation", ">response", "<response"]
        assert driver.events == [Established(other.public_key)]


def test_an_answer_is_not_crossed_by_an_initiation_of_our_own(other: WireguardGo) -> None:
    for _ in range(5):
        with Driver(other) as driver, other.udp() as sock:
            other.set_peer(driver.device.public_key, "endpoint", f"127.0.0.1:{driver.port}")
            driver.aim()
            sock.sendto(b"question", (OURS, 99))
            assert select.select([driver.sock], [], [], 5.0)[0]
            driver.send(echo(1))
            driver.until(lambda: len(driver.got) == 2, 4.0)
            assert driver.log[:3] == ["<initiation", ">response", "<data"]


def test_keys_are_renewed_in_the_middle_of_traffic(other: WireguardGo) -> None:
    timing = Timing(rekey_after_s=0.6, rekey_timeout_s=0.1, jitter_s=0.01)
    with Driver(other, timing=timing) as driver:
        other.set_peer(driver.device.public_key)
        driver.aim()
        for number in range(100):
            driver.send(echo(number))
            driver.step(0.02)
            driver.step(0.02)
        driver.until(lambda: len(answered(driver)) == 100)
        assert driver.log.count("<response") >= 3
        assert len(driver.got) == 100


def test_keys_that_they_lost_are_made_again(other: WireguardGo) -> None:
    """They begin anew; we still have the old keys."""
    with Driver(other) as driver, other.udp() as sock:
        key = driver.device.public_key
        other.set_peer(key)
        driver.aim()
        driver.send(echo(1))
        driver.until(lambda: 1 in answered(driver))
        other.wg("peer", base64_key(key), "remove")
        other.set_peer(key, "endpoint", f"127.0.0.1:{driver.port}")
        sock.sendto(b"question", (OURS, 99))
        driver.until(lambda: len(driver.got) == 2)
        driver.send(echo(2))
        driver.until(lambda: 2 in answered(driver))
        assert len(driver.events) == 2


def test_a_preshared_key_that_differs_makes_no_link(other: WireguardGo) -> None:
    timing = Timing(rekey_timeout_s=0.1, rekey_attempt_s=0.5)
    with Driver(other, psk=secrets.token_bytes(32), timing=timing) as driver:
        other.set_peer(driver.device.public_key, psk=secrets.token_bytes(32))
        driver.aim()
        driver.send(echo(1))
        driver.until(lambda: driver.device.refused["forged"] >= 2)
        assert not driver.got
        assert not driver.device.by_index


def test_they_follow_us_and_we_follow_them(other: WireguardGo) -> None:
    with Driver(other) as driver:
        other.set_peer(driver.device.public_key)
        driver.aim()
        driver.send(echo(1))
        driver.until(lambda: 1 in answered(driver))
        driver.move()
        driver.send(echo(2))
        driver.until(lambda: 2 in answered(driver))
        assert other.show("endpoints")[base64_key(driver.device.public_key)] == f"127.0.0.1:{driver.port}"
        with other.udp() as sock:
            other.wg("listen-port", str(PORT + 1))
            try:
                sock.sendto(b"question", (OURS, 99))
                driver.until(lambda: len(driver.got) == 3)
                assert driver.peer.endpoint == ("127.0.0.1", PORT + 1)
            finally:
                other.wg("listen-port", str(PORT))


def test_their_cookie_opens_their_door_under_load(other: WireguardGo) -> None:
    timing = Timing(rekey_timeout_s=0.3, jitter_s=0.0)
    nonsense = Envelope(other.public_key).close(b"\1\0\0\0" + bytes(112), 0.0)
    with Driver(other, timing=timing) as driver, other.udp(address=("127.0.0.1", 0)) as flood:
        other.set_peer(driver.device.public_key)
        driver.aim()
        while not select.select([flood], [], [], 0.0)[0]:  # until they ask for cookies, for a second
            for _ in range(500):
                flood.sendto(nonsense, ("127.0.0.1", PORT))
        driver.send(echo(1))
        driver.until(lambda: 1 in answered(driver))
        assert "<cookie" in driver.log
        assert driver.log[-3:] == ["<response", ">data", "<data"]


def test_they_show_the_cookie_that_we_gave(other: WireguardGo) -> None:
    with Driver(other, handshakes_per_s=0) as driver, other.udp() as sock:
        other.set_peer(driver.device.public_key, "endpoint", f"127.0.0.1:{driver.port}")
        sock.sendto(b"question", (OURS, 99))
        driver.until(lambda: driver.got)
        assert driver.log[:5] == ["<initiation", ">cookie", "<initiation", ">response", "<data"]
