"""The built-in engine with real traffic: two of them, and one against wireguard-go, over a wire between two network namespaces.

The pure twin and the compiled part take turns, and meet each other.
"""

# covers: overlay/engine/tun.py, overlay/engine/tunnel.py, overlay/engine/loop.py

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.parts.native_engine import BOTH
from tests.parts.wire_lab import INNER, ROOT, Engine, Keys, WireLab, needs_lab

pytestmark = pytest.mark.external
SECONDS = int(os.environ.get("WAYHOUSE_SECONDS", "6"))
"""Of mixed traffic with wireguard-go; with 600 keys are renewed by both at the times that WireGuard has for it."""
QUICK = {"rekey_after_s": 1.0, "reject_after_s": 6.0, "rekey_timeout_s": 0.5, "keepalive_s": 0.5}


def echo(lab: WireLab, size: int, count: int, *, version: int = 4, timeout_s: float = 1.0) -> int:
    """How many of `count` datagrams of `size` bytes came back from the other side of the tunnel."""
    server = lab.start(
        1, sys.executable, "-m", "tests.parts.echo", "serve", INNER[version][1],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    words = [sys.executable, "-m", "tests.parts.echo", "ask", INNER[version][1], str(size), str(count)]
    good = int(lab.inside(0, *words, str(timeout_s), cwd=ROOT))
    lab.stop(server)
    return good


def transfer(lab: WireLab, *words: str, version: int = 4, size: int = 8) -> bool:
    """Whether `size` MB of TCP got through; what the receiver counts ends with the sender's last word, a window before the end."""
    with lab.iperf_server(1):
        end = lab.iperf(0, INNER[version][1], "-n", f"{size}M", *words)
    return end["sum_sent"]["bytes"] >= size * 1_000_000 and end["sum_received"]["bytes"] > size * 100_000


@pytest.fixture(scope="module")
def lab() -> Iterator[WireLab]:
    needs_lab("iperf3")
    with WireLab() as made:
        yield made


@pytest.fixture(scope="module", params=BOTH)
def pair(lab, request) -> Iterator[tuple[Engine, Engine]]:
    keys = Keys()
    made = lab.engine(0, keys, kind=request.param), lab.engine(1, keys, kind=request.param)
    yield made
    for engine in made:
        lab.stop(engine.process)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("words", [[], ["-R"], ["-P", "8"]])
def test_tcp(lab, pair, version, words) -> None:
    assert transfer(lab, *words, version=version)


@pytest.mark.parametrize("version", [4, 6])
def test_udp_of_all_sizes(lab, pair, version) -> None:
    for size in (1, 64, 1000, 1372, 4000, 60000):
        assert echo(lab, size, 4, version=version) >= 3, size


def test_packets_are_joined_and_counted(lab, pair) -> None:
    before = pair[1].ask("figures")
    transfer(lab)
    after = pair[1].ask("figures")
    assert after["received_bytes"] - before["received_bytes"] > 1 << 20
    assert after["received_packets"] - before["received_packets"] > 800
    dropped = pair[1].ask("dropped")
    assert set(dropped) <= {"multicast", "refused"}, dropped


@pytest.mark.parametrize("version", [4, 6])
def test_udp_in_bulk(lab, pair, version) -> None:
    """Datagrams of one size that are joined on their way are apart again where they arrive, each whole: iperf3 numbers and counts them."""
    with lab.iperf_server(1):
        total = lab.iperf(0, INNER[version][1], "-u", "-b", "20M", "-l", "700", "-t", "1")["sum"]
    assert total["packets"] > 1000
    assert total["lost_percent"] < 50
    assert pair[1].ask("dropped").get("not-written", 0) == 0


def test_stun_goes_to_its_owner(lab, pair) -> None:
    stun = "000100002112a442" + "00" * 12
    pair[0].ask(f"send {stun} 10.99.0.2 5000")
    assert stun in pair[1].wait_for("other", bool)


def test_hostile_datagrams_change_nothing(lab, pair) -> None:
    for data in (
        "00",
        "04000000",
        "04000000" + "00" * 28,
        "01000000" + "00" * 144,
        "ff" * 200,
        "04000000" + "ab" * 1400,
    ):
        pair[0].ask(f"send {data} 10.99.0.2 5000")
    assert pair[1].wait_for("dropped", lambda dropped: dropped.get("no-key", 0) >= 2)
    assert echo(lab, 100, 3) >= 2


def test_unroutable_is_told(lab, pair) -> None:
    card = pair[0].interface
    lab.inside(0, "ip", "route", "add", "10.78.0.0/24", "dev", card)
    for host in range(1, 30):
        with_code = f"import socket; socket.socket(2, 2).sendto(b'x', ('10.78.0.{host}', 9))"
        if host < 3:
            lab.inside(0, sys.executable, "-c", with_code)
    assert "unroutable" in pair[0].wait_for("events", lambda events: "unroutable" in events)


def test_a_new_mtu(lab, pair) -> None:
    for mtu in (1280, 1400):
        for engine in pair:
            engine.ask(f"mtu {mtu}")
        assert f"mtu {mtu}" in lab.inside(0, "ip", "link", "show", pair[0].interface)
        assert transfer(lab, size=4)


def test_a_deleted_interface_comes_back(lab, pair) -> None:
    lab.inside(0, "ip", "link", "set", pair[0].interface, "down")
    lab.inside(0, "ip", "link", "set", pair[0].interface, "up")
    lab.inside(0, "ip", "addr", "replace", "fd77::1/64", "dev", pair[0].interface)
    assert echo(lab, 100, 3) >= 2
    lab.inside(0, "ip", "link", "del", pair[0].interface)
    assert any(echo(lab, 100, 1) for _ in range(10))


def test_over_ipv6(lab) -> None:
    needs_lab("iperf3")
    with WireLab() as other:
        keys = Keys()
        for side, kind in enumerate(BOTH):
            other.engine(side, keys, outer=6, kind=kind)
        for version, words in ((4, []), (6, []), (4, ["-R"])):
            assert transfer(other, *words, version=version)


@pytest.mark.parametrize(("offload", "kind"), [("off", "pure"), ("off", "compiled"), ("virtual", "compiled")])
def test_other_offloads(offload, kind) -> None:
    needs_lab("iperf3")
    with WireLab(offload) as lab:
        keys = Keys()
        for side in (0, 1):
            lab.engine(side, keys, kind=kind)
        assert transfer(lab)
        assert transfer(lab, "-P", "4", version=6)


def test_loss_reordering_and_a_small_wire() -> None:
    needs_lab("iperf3", "nft")
    with WireLab(loss=10, mtu=1300) as lab:
        keys = Keys()
        lab.engine(0, keys, kind="compiled")
        two = lab.engine(1, keys, kind="compiled")
        assert transfer(lab, size=2)
        lab.shuffle(0, "wa")
        assert transfer(lab, size=1)
        assert two.ask("figures")["received_packets"] > 100


def test_a_peer_is_followed_to_where_it_is() -> None:
    needs_lab()
    with WireLab() as lab:
        keys = Keys()
        lab.engine(1, keys, remote=["10.99.0.1", 5999], keepalive_s=0, kind="compiled")
        lab.engine(0, keys)
        assert echo(lab, 100, 5) >= 4


@pytest.mark.parametrize(("outer", "kind"), [(4, "compiled"), (6, "pure")])
def test_with_wireguard_go(outer, kind) -> None:
    needs_lab("iperf3", "wireguard-go", "wg")
    with WireLab() as lab:
        keys = Keys()
        engine = lab.engine(0, keys, outer=outer, kind=kind)
        lab.wireguard_go(1, keys, outer=outer)
        assert engine.wait_for("events", bool)[0] == "established"
        for version in (4, 6):
            assert transfer(lab, version=version)
            assert transfer(lab, "-R", version=version)
        assert echo(lab, 1372, 4) >= 3


@pytest.mark.parametrize("kind", BOTH)
def test_mixed_traffic_with_wireguard_go_under_loss(kind) -> None:
    """Long and short streams both ways over both families, and datagrams of all sizes, while one in a hundred outer ones is lost."""
    needs_lab("iperf3", "wireguard-go", "wg", "nft")
    piece_s = max(1, SECONDS // 6)
    with WireLab(loss=10) as lab:
        keys = Keys()
        engine = lab.engine(0, keys, kind=kind)
        lab.wireguard_go(1, keys)
        engine.wait_for("events", bool)
        for words in (["--bidir", "-P", "2"], ["-R", "-P", "4"], ["--bidir", "-M", "400"]):
            for version in (4, 6):
                with lab.iperf_server(1):
                    end = lab.iperf(0, INNER[version][1], "-t", str(piece_s), *words)
                assert end["sum_received"]["bytes"] > 100_000 * piece_s
        assert sum(echo(lab, size, 10) for size in (1, 600, 1372)) >= 24
        assert engine.ask("events").count("established") >= 1 + SECONDS // 300


def test_keys_are_renewed_while_traffic_flows() -> None:
    needs_lab("iperf3")
    with WireLab() as lab:
        keys = Keys()
        one = lab.engine(0, keys, timing=QUICK)
        lab.engine(1, keys, timing=QUICK, kind="compiled")
        with lab.iperf_server(1):
            end = lab.iperf(0, INNER[4][1], "-t", "4")
        assert end["sum_received"]["bytes"] > 1 << 20
        assert one.ask("events").count("established") >= 3, json.dumps(one.ask("events"))


def test_over_turn_channels() -> None:
    """Both ends frame everything as ChannelData of one channel, as if each were the other's TURN server."""
    needs_lab("iperf3")
    with WireLab() as lab:
        keys = Keys()
        one, two = (
            lab.engine(side, keys, channel=0x4001, mtu=1380, kind=kind) for side, kind in enumerate(BOTH)
        )
        assert transfer(lab)
        assert transfer(lab, "-R")
        assert two.ask("figures")["received_packets"] > 800
        one.ask("send 4001000400112233 10.99.0.2 5000")
        assert "4001000400112233" in two.wait_for("other", bool)
