"""Paths between real sites: through every kind of NAT, with relays, over IPv6, and what happens when something changes.

The times that are printed are what this machine needed; the asserted ones leave room for a busy one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from tests.parts.certificates import Authority
from tests.parts.natlab import SERVER, SERVER_6, NatLab, Site, needs_lab
from tests.parts.path_ends import End, TwoEnds, lab_settings
from wayhouse.overlay.model import PathPolicy, PathSettings
from wayhouse.overlay.netcheck import NetReport

pytestmark = pytest.mark.external

UDP = lab_settings("udp")
SITES = {
    "a": Site("cone", hosts=2),
    "b": Site("cone"),
    "c": Site("symmetric", hosts=2),
    "d": Site("symmetric"),
    "u": Site("block-udp"),
    "v": Site("block-udp"),
    "x": Site(has_ipv4=False, has_ipv6=True),
    "y": Site(has_ipv4=False, has_ipv6=True),
    "n": Site("none", has_ipv6=True),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[NatLab]:
    needs_lab("turnserver")
    with NatLab(SITES) as lab:
        lab.start_turn()
        yield lab


def tell(text: str) -> None:
    sys.stdout.write(f"measured: {text}\n")


@pytest.mark.parametrize(
    ("hosts", "settings", "kind"),
    [
        (("b", "a"), lab_settings(), "direct srflx"),
        (("a", "d"), UDP, "relayed"),
        (("c", "d"), UDP, "relayed"),
        (("c", "n"), lab_settings(), "direct"),
        (("c", "c2"), lab_settings(), "direct host"),
        (("x", "y"), lab_settings("udp", server=SERVER_6), "direct host 2001:db8:"),
        (("u", "b"), lab_settings("udp", "tcp"), "relayed"),
        (("u", "v"), lab_settings("udp", "tls"), "relayed"),
        (("a", "b"), lab_settings("udp", policy=PathPolicy.RELAY), "relayed relay"),
        (("b", "a"), lab_settings("udp", policy=PathPolicy.DIRECT), "direct"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_path(lab: NatLab, hosts: tuple[str, str], settings: PathSettings, kind: str) -> None:
    with TwoEnds(lab, *hosts, settings) as ends:
        took = ends.until_up(kind)
        ends.until(lambda: bool(ends.a.heard and ends.b.heard))
        reports = ends.reports()
    tell(f"{hosts} {settings.policy}: {kind} after {took:.2f} s")
    for report in reports:
        assert any(pair["state"] == "succeeded" for pair in report["pairs"])
        assert report["last_error"] == ""
    if settings.policy is PathPolicy.RELAY:
        assert {one["type"] for one in ends.a.candidates} == {"relay"}
    if settings.policy is PathPolicy.DIRECT:
        assert {one["type"] for one in ends.a.candidates} == {"host", "srflx"}


def test_what_is_told_of_the_nat(lab: NatLab) -> None:
    with TwoEnds(lab, "b", "d", lab_settings(policy=PathPolicy.DIRECT)) as ends:
        ends.until(lambda: ends.a.is_gathered and ends.b.is_gathered)
        cone, symmetric = ends.reports()
    assert (cone["nat"], symmetric["nat"]) == ("cone", "symmetric")
    assert ends.a.told == []


def test_a_direct_path_comes_back_when_a_block_is_lifted(lab: NatLab) -> None:
    with TwoEnds(lab, "a", "b", UDP) as ends:
        ends.until_up("direct")
        ends.until(lambda: bool(ends.a.heard and ends.b.heard))
        lab.block_direct()
        try:
            relayed = ends.until_up("relayed")
            time.sleep(1.0)
        finally:
            lab.unblock()
        direct = ends.until_up("direct")
    assert "lost" not in [what for _, what in ends.a.told]
    tell(
        f"block: on the relay after {relayed:.2f} s; lifted: direct after {direct:.2f} s; gaps {ends.a.gaps}"
    )
    assert relayed < 10
    assert direct < 20


def test_a_cut_is_noticed_and_survived(lab: NatLab) -> None:
    """A direct path, one over TURN and UDP, and one over TURN and TLS, all at once."""
    kinds = {("a", "b"): lab_settings(), ("c", "d"): UDP, ("u", "v"): lab_settings("udp", "tls")}
    with ExitStack() as stack:
        paths = [stack.enter_context(TwoEnds(lab, *hosts, settings)) for hosts, settings in kinds.items()]
        for path in paths:
            path.until_up()
        time.sleep(1.0)
        lost, back = _cut(lab, paths, ("a", "c", "u"))
    tell(f"cut: noticed after {lost} s; healed: back after {back} s (direct, TURN over UDP, TURN over TLS)")
    assert max(lost) < 12
    assert max(back) < 12


def _cut(lab: NatLab, paths: list[TwoEnds], sites: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Seconds until each noticed, and until each was back."""
    begun = time.monotonic()
    for site in sites:
        lab.cut(site)
    try:
        for path in paths:
            path.until_lost()
        lost = [round(max(end.told[-1][0] for end in (path.a, path.b)) - begun, 2) for path in paths]
        time.sleep(2.0)
    finally:
        for site in sites:
            lab.heal(site)
    begun = time.monotonic()
    for path in paths:
        path.until_up()
    back = [round(max(end.told[-1][0] for end in (path.a, path.b)) - begun, 2) for path in paths]
    return lost, back


def test_a_change_of_address_is_survived(lab: NatLab) -> None:
    with ExitStack() as stack:
        paths = [
            stack.enter_context(TwoEnds(lab, "a2", "b", lab_settings())),
            stack.enter_context(TwoEnds(lab, "u", "d", lab_settings("tcp"))),
        ]
        for path in paths:
            path.until(lambda path=path: path.a.heard and path.b.heard)  # type: ignore[misc]
        for host, address in (("a2", "192.168.1.77"), ("u", "192.168.5.77")):
            lab.move(host, address)
        for path, address in zip(paths, ("192.168.1.77", "192.168.5.77"), strict=True):
            path.until(
                lambda path=path, address=address: any(c["host"] == address for c in path.a.candidates)
            )  # type: ignore[misc]
        time.sleep(2.0)
        for path in paths:
            path.until_up()
        gaps = [[round(gap, 2) for _, gap in end.gaps] for path in paths for end in (path.a, path.b)]
    tell(f"another address: nothing came for {gaps} s (direct, TURN over TCP)")
    assert max((gap for end in gaps for gap in end), default=0.0) < 10


@pytest.mark.parametrize("is_controlling", [True, False])
def test_a_tincan_of_old_with_its_fixed_credentials(lab: NatLab, *, is_controlling: bool) -> None:
    """The peer is aioice, an agent of the regular kind; both ends use the constants."""
    fixed = ("ufrag", "pwd")
    ours = End(lab, "a", lab_settings(), is_controlling=is_controlling, credentials=fixed)
    program = ("tests.parts.aioice_process", SERVER, str(int(not is_controlling)), *fixed)
    theirs = End(lab, "b", UDP, is_controlling=not is_controlling, program=program)
    with TwoEnds(lab, ours, theirs, UDP) as ends:
        ends.until_up("direct")
        ends.until(lambda: bool(ours.heard and theirs.heard))
        time.sleep(1.5)
        assert ours.is_up("direct")


_NETCHECK = """
import asyncio, json, sys, msgspec
from wayhouse.overlay.drivers.netcheck import check_net
from wayhouse.overlay.model import PathSettings
settings = msgspec.convert(json.loads(sys.argv[1]), PathSettings)
report = asyncio.run(check_net(settings))
print(json.dumps(msgspec.to_builtins(report)))
"""


def test_a_relay_is_recognised_by_its_authority_and_never_unchecked(lab: NatLab, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other.pem", "somebody else")
    mine = lab.authority.certificate.read_text()
    asked = [
        msgspec.structs.replace(lab_settings("tls"), relay_ca=pem)
        for pem in (mine, "", other.certificate.read_text(), other.certificate.read_text() + mine)
    ]
    processes = [
        lab.python("pub", "-c", _NETCHECK, json.dumps(msgspec.to_builtins(one)), stdout=subprocess.PIPE)
        for one in asked
    ]
    errors = []
    for process in processes:
        report = msgspec.json.decode(process.communicate(timeout=60)[0], type=NetReport)
        errors.append(next(one for one in report.servers if one.kind == "turn tls").error)
    assert errors[0] == errors[3] == ""
    for error in (errors[1], errors[2]):
        assert "is not trusted" in error
        assert "--relay-ca" in error


def test_netcheck(lab: NatLab) -> None:
    asked = lab_settings("udp", "tcp", "tls")
    asked = msgspec.structs.replace(asked, stun=(*asked.stun, (SERVER_6, 3478)))
    asked = msgspec.structs.replace(asked, relay_ca=lab.authority.certificate.read_text())
    settings = json.dumps(msgspec.to_builtins(asked))
    processes = {
        host: lab.python(host, "-c", _NETCHECK, settings, stdout=subprocess.PIPE)
        for host in ("b", "d", "n", "v")
    }
    reports = {
        host: msgspec.json.decode(process.communicate(timeout=60)[0], type=NetReport)
        for host, process in processes.items()
    }
    assert {host: report.nat for host, report in reports.items()} == {
        "b": "cone",
        "d": "symmetric",
        "n": "none",
        "v": "blocked",
    }
    assert reports["b"].mapping == "endpoint-independent"
    assert reports["b"].filtering == "address-and-port-dependent"
    assert reports["d"].mapping == "address-and-port-dependent"
    assert reports["n"].filtering == "endpoint-independent"
    assert reports["n"].has_ipv6
    assert not reports["b"].has_ipv6
    assert reports["b"].public_ipv4 == lab.public("b")
    took = {server.kind: server.rtt_ms is not None for server in reports["v"].servers}
    assert took == {"stun": False, "turn udp": False, "turn tcp": True, "turn tls": True}
    assert not reports["v"].has_udp
    assert all(report.advice for report in reports.values())
