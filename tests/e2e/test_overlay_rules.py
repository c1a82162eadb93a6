"""The overlay's rules in a real kernel: what `policy.decide` says is what becomes of a packet."""
# covers: overlay/ruleset.py, overlay/drivers/nftables.py

from __future__ import annotations

import itertools
import json
import random
import shutil
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from wayhouse.overlay.drivers.nftables import Nftables
from wayhouse.overlay.policy import (
    ICMP6_NUMBER,
    ICMP_NUMBER,
    TCP_NUMBER,
    UDP_NUMBER,
    Action,
    Member,
    Packet,
    Protocol,
    Rule,
    decide,
    resolve,
)
from wayhouse.overlay.ruleset import compile_rules, removal

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not (shutil.which("nft") and shutil.which("ip")), reason="needs nft and ip"),
    pytest.mark.skipif(
        subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0,
        reason="needs namespaces",
    ),
]

UIDS = [f"{number:040x}" for number in range(1, 5)]
ME = Member(UIDS[0], frozenset({"server"}), (ip_network("172.16.0.1/32"), ip_network("fd50::1/128")))
PEERS = {
    uid: Member(
        uid,
        frozenset(tags),
        (ip_network(f"172.16.0.{number}/32"), ip_network(f"fd50::{number}/128")),
    )
    for uid, number, tags in zip(UIDS[1:], (2, 3, 4), (("family",), ("family", "cameras"), ()), strict=True)
}
BEHIND = ("192.168.7.9", "192.168.8.9", "fd51::9", "fd52::9")
PASSED = """\
add table inet passed
delete table inet passed
table inet passed {
  set four { typeof ip id; flags dynamic; size 65535; }
  set six { typeof ip6 flowlabel; flags dynamic; size 65535; }
  chain input { type filter hook input priority 20; iifname "wh0" jump note; }
  chain forward { type filter hook forward priority 20; iifname "wh0" jump note; }
  chain note { add @four { ip id }; add @six { ip6 flowlabel }; }
}
"""


def run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Gateway:
    """A namespace with an interface `wh0` that leads to a peer's, where `inject` puts packets on the wire, and one to hosts behind."""

    def __init__(self, name: str) -> None:
        self.peer, self.here = f"{name}p", f"{name}g"
        run("ip", "netns", "add", self.peer)
        run("ip", "netns", "add", self.here)
        self.inside = ("ip", "netns", "exec", self.here)
        run(
            "ip",
            "link",
            "add",
            "wh0",
            "netns",
            self.here,
            "type",
            "veth",
            "peer",
            "name",
            "out",
            "netns",
            self.peer,
        )
        run(
            "ip",
            "link",
            "add",
            "lan",
            "netns",
            self.here,
            "type",
            "veth",
            "peer",
            "name",
            "lan",
            "netns",
            self.peer,
        )
        for place, link in (
            (self.here, "lo"),
            (self.here, "wh0"),
            (self.here, "lan"),
            (self.peer, "out"),
            (self.peer, "lan"),
        ):
            run("ip", "-n", place, "link", "set", link, "up")
        for link, addresses in (
            ("wh0", ("172.16.0.1/24", "fd50::1/64")),
            ("lan", ("192.168.7.1/24", "192.168.8.1/24", "fd51::1/64", "fd52::1/64")),
        ):
            for address in addresses:
                run(
                    "ip",
                    "-n",
                    self.here,
                    "address",
                    "add",
                    address,
                    "dev",
                    link,
                    *(("nodad",) if ":" in address else ()),
                )
        for key in (
            "ipv4.ip_forward=1",
            "ipv6.conf.all.forwarding=1",
            "ipv4.conf.all.rp_filter=0",
            "ipv4.conf.wh0.rp_filter=0",
        ):
            path, value = key.split("=")
            run(*self.inside, "sh", "-c", f"echo {value} > /proc/sys/net/{path.replace('.', '/')}")
        run(
            "ip",
            "-n",
            self.here,
            "neighbour",
            "add",
            "172.16.0.2",
            "lladdr",
            "02:00:00:00:00:01",
            "dev",
            "wh0",
        )
        links = json.loads(run("ip", "-n", self.here, "-j", "link", "show", "wh0"))
        self.address = bytes.fromhex(links[0]["address"].replace(":", ""))
        self.wire = self._socket_in_peer()

    def _socket_in_peer(self) -> socket.socket:
        """Made by a child in the namespace, which hands it over."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        script = (
            "import socket,array;s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,0x0300);s.bind(('out',0));"
            f"u=socket.socket(fileno={theirs.fileno()});socket.send_fds(u,[b'x'],[s.fileno()])"
        )
        with ours, theirs:
            subprocess.run(
                ["ip", "netns", "exec", self.peer, shutil.which("python3") or "python3", "-c", script],
                pass_fds=[theirs.fileno()],
                check=True,
                timeout=20,
            )
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        found = socket.socket(fileno=fds[0])
        found.settimeout(5)
        return found

    def inject(self, datagram: bytes) -> None:
        kind = b"\x08\x00" if datagram[0] >> 4 == 4 else b"\x86\xdd"
        self.wire.send(self.address + b"\x02\x00\x00\x00\x00\x01" + kind + datagram)

    def passed(self) -> tuple[set[int], set[int]]:
        """Numbers of the packets that got past the rules, of IPv4 and of IPv6."""
        found = []
        for name in ("four", "six"):
            listed = json.loads(run(*self.inside, "nft", "-j", "list", "set", "inet", "passed", name))
            found.append(set(next(one["set"] for one in listed["nftables"] if "set" in one).get("elem", [])))
        return found[0], found[1]

    def close(self) -> None:
        self.wire.close()
        for name in (self.peer, self.here):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    made = Gateway(f"whr{uuid.uuid4().hex[:6]}")
    try:
        yield made
    finally:
        made.close()


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(packet: Packet, number: int, source_port: int) -> bytes:
    source, target = packet.source.packed, packet.destination.packed
    if packet.protocol == TCP_NUMBER:
        body = struct.pack("!HHIIBBHHH", source_port, packet.port, number, 0, 0x50, 2, 1024, 0, 0)
        place = 16
    elif packet.protocol == UDP_NUMBER:
        body = struct.pack("!HHHH", source_port, packet.port, 12, 0) + b"data"
        place = 6
    else:
        body = struct.pack("!BBHHH", packet.icmp_type, 0, 0, source_port, number) + b"data"
        if packet.icmp_type in (3, 1, 2):
            body = struct.pack("!BBHI", packet.icmp_type, 0, 0, 1280) + bytes(48)
        place = 2
    has_pseudo = packet.protocol != ICMP_NUMBER
    pseudo = source + target + struct.pack("!II", len(body), packet.protocol) if has_pseudo else b""
    body = body[:place] + struct.pack("!H", checksum(pseudo + body)) + body[place + 2 :]
    if packet.source.version == 6:
        return struct.pack("!IHBB", 6 << 28 | number, len(body), packet.protocol, 64) + source + target + body
    head = (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, packet.protocol, 0) + source + target
    )
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def random_rule(dice: random.Random) -> Rule:
    protocol = dice.choice(list(Protocol))
    return Rule(
        source=dice.choice(["any", "tag:family", "tag:cameras", "tag:nobody", *UIDS[1:]]),
        target=dice.choice(["self", "any", "tag:server", UIDS[0], UIDS[1]]),
        protocol=protocol,
        ports=()
        if protocol is Protocol.ICMP
        else tuple(dice.sample(["22", "80", "20-30", "79-81"], dice.randrange(3))),
        networks=tuple(dice.sample(["192.168.7.0/24", "fd51::/64", "192.168.8.9/32"], dice.randrange(3))),
        action=dice.choice(list(Action)),
    )


def random_packet(dice: random.Random) -> Packet:
    peer = dice.choice(list(PEERS.values()))
    source = dice.choice(peer.networks).network_address
    is_four = source.version == 4
    is_forwarded = dice.random() < 0.4
    behind = [one for one in map(ip_address, BEHIND) if one.version == source.version]
    own = [net.network_address for net in ME.networks if net.version == source.version]
    protocol = dice.choice([TCP_NUMBER, UDP_NUMBER, ICMP_NUMBER if is_four else ICMP6_NUMBER])
    return Packet(
        source=source,
        destination=dice.choice(behind if is_forwarded else own),
        protocol=protocol,
        port=0 if protocol in (ICMP_NUMBER, ICMP6_NUMBER) else dice.choice([22, 23, 80, 82, 443]),
        icmp_type=0
        if protocol in (TCP_NUMBER, UDP_NUMBER)
        else dice.choice((3, 8, 13) if is_four else (1, 2, 128, 139)),
        is_forwarded=is_forwarded,
    )


async def test_the_kernel_does_what_the_evaluator_says(gateway: Gateway) -> None:
    dice = random.Random(21)
    firewall = Nftables(gateway.inside)
    numbers = itertools.count(1)
    ports = itertools.count(20_000)
    accepted = dropped = 0
    for _ in range(12):
        rules = resolve([random_rule(dice) for _ in range(dice.randrange(7))], ME, PEERS)
        await firewall.apply(compile_rules("wh0", rules))
        run(*gateway.inside, "nft", "-f", "-", text=PASSED)
        sent: dict[int, Packet] = {}
        for _ in range(40):
            number = next(numbers)
            sent[number] = random_packet(dice)
            gateway.inject(datagram(sent[number], number, next(ports)))
        last = Packet(
            source=IPv4Address("172.16.0.2"),
            destination=IPv4Address("172.16.0.1"),
            protocol=ICMP_NUMBER,
            icmp_type=8,
        )
        sent[number := next(numbers)] = last
        gateway.inject(datagram(last, number, next(ports)))
        four, six = until_passed(gateway, number)
        for one, packet in sent.items():
            verdict = decide(rules, packet)
            assert (one in (four if packet.source.version == 4 else six)) == verdict.is_accepted, (
                packet,
                verdict,
                rules,
            )
            accepted, dropped = accepted + verdict.is_accepted, dropped + (not verdict.is_accepted)
    assert min(accepted, dropped) > 100
    await firewall.apply(removal("wh0"))


def until_passed(gateway: Gateway, number: int) -> tuple[set[int], set[int]]:
    """What passed once the last one, an echo, has."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        four, six = gateway.passed()
        if number in four:
            return four, six
    raise AssertionError("an echo did not pass")


LISTEN = "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('172.16.0.1',{port}));s.settimeout(5);print('up',flush=True);print(s.recv(99).decode(),flush=True)"
ASK = (
    "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('172.16.0.1',0));s.settimeout(5);"
    "s.sendto(b'ask',('172.16.0.2',9));print(s.getsockname()[1],flush=True);print(s.recv(99).decode(),flush=True)"
)


def udp(source: str, source_port: int, port: int) -> Packet:
    return Packet(
        source=ip_address(source), destination=ip_address("172.16.0.1"), protocol=UDP_NUMBER, port=port
    )


async def test_a_program_hears_what_is_allowed_and_nothing_else(gateway: Gateway) -> None:
    firewall = Nftables(gateway.inside)
    rules = resolve([Rule(source="tag:family", protocol=Protocol.UDP, ports=("4000",))], ME, PEERS)
    await firewall.apply(compile_rules("wh0", rules))
    await firewall.apply(compile_rules("wh0", rules))
    listener = subprocess.Popen(
        [*gateway.inside, "python3", "-c", LISTEN.format(port=4000)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "up\n"
        gateway.inject(datagram(udp("172.16.0.4", 1, 4000), 1, 5001))
        gateway.inject(datagram(udp("172.16.0.2", 1, 4000), 2, 5002))
        assert listener.stdout.readline() == "data\n"
    finally:
        listener.kill()
        listener.wait()
    assert (
        "packets 1 "
        in run(*gateway.inside, "nft", "list", "chain", "inet", "wayhouse_wh0", "here")
        .rpartition("drop")[0]
        .rpartition("counter")[2]
    )
    asker = subprocess.Popen([*gateway.inside, "python3", "-c", ASK], stdout=subprocess.PIPE, text=True)
    try:
        assert asker.stdout is not None
        port = int(asker.stdout.readline())
        gateway.inject(datagram(udp("172.16.0.2", 9, port), 3, 9))
        assert asker.stdout.readline() == "data\n", "an answer needs no rule"
    finally:
        asker.kill()
        asker.wait()
    await firewall.apply(removal("wh0"))
    assert "wayhouse_wh0" not in run(*gateway.inside, "nft", "list", "tables")
