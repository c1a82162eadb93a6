"""Sites behind NATs of every kind, in network namespaces with names of their own: for tests of paths, tunnels and whole overlays.

    pub: 203.0.113.10 and .11, 2001:db8::10 (coturn, XMPP) -- bridge -- one router a site -- hosts "a", "a2", ...

`with NatLab({"a": Site("cone"), "b": Site("symmetric", hosts=2)}) as lab:` makes it, and removes everything: the programs that were started in
it, the namespaces, the folder. Two labs can stand at the same time. Needs root, `ip` and `nft`; `start_turn` needs coturn.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.parts import nat_rules
from tests.parts.certificates import Authority
from tests.parts.namespaces import PATH, missing, needs_lab, until_stun
from tests.parts.prosody import Prosody

ROOT = Path(__file__).resolve().parents[2]
SERVER, SERVER_2, SERVER_6 = "203.0.113.10", "203.0.113.11", "2001:db8::10"
TURN_USER, TURN_PASSWORD, TURN_REALM = "wayhouse", "lab-secret", "overlay.test"
__all__ = ["SERVER", "SERVER_2", "SERVER_6", "NatLab", "Site", "missing", "needs_lab"]
_LONG_S = 15.0


@dataclasses.dataclass(frozen=True)
class Site:
    """`nat`: none (public addresses), cone (port-restricted), symmetric, or block-udp (a cone that lets no UDP out)."""

    nat: str = "cone"
    hosts: int = 1
    has_ipv4: bool = True
    has_ipv6: bool = False


class NatLab:
    """Host names are the site's name for its first host, then the name and a number: `a`, `a2`. `pub` is where the servers are."""

    def __init__(self, sites: Mapping[str, Site | str], *, has_udp_offload: bool = False) -> None:
        self.sites = {name: Site(site) if isinstance(site, str) else site for name, site in sites.items()}
        self.folder = Path(tempfile.mkdtemp(prefix="natlab"))
        self.server_certificate = self.folder / "server.pem"
        """What coturn shows."""
        self.authority = Authority(self.folder / "authority.pem")
        self.key = self.folder / "server.key"
        self._prefix = f"natlab-{secrets.token_hex(3)}"
        self._has_udp_offload = has_udp_offload
        self._spaces: list[str] = []
        self._processes: list[subprocess.Popen[Any]] = []
        self._prosody: Prosody | None = None
        self._tables: dict[str, set[str]] = {name: set() for name in self.sites}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    # names and addresses

    def namespace(self, host: str) -> str:
        """The name for `ip netns exec`; routers are `router-<site>`."""
        return f"{self._prefix}-{host}"

    def hosts(self) -> list[str]:
        return [
            f"{name}{n or ''}" for name, site in self.sites.items() for n in (0, *range(2, site.hosts + 1))
        ]

    def address(self, host: str) -> str:
        """IPv4 of a host in its site, as the lab gave it."""
        name, number = self._split(host)
        index, is_public = self._index(name), self.sites[name].nat == "none"
        return f"198.51.100.{16 * index + 1 + number}" if is_public else f"192.168.{index}.{9 + number}"

    def address6(self, host: str) -> str:
        name, number = self._split(host)
        return f"2001:db8:{self._index(name)}::{9 + number:x}"

    def public(self, site: str) -> str:
        """The address of the site's router, which its NAT shows."""
        return f"203.0.113.{self._index(site)}"

    # programs

    def start(self, host: str, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        """Starts a program in the host's namespace; the lab ends it if it still runs."""
        full = ["ip", "netns", "exec", self.namespace(host), *map(str, command)]
        process = subprocess.Popen(full, env=options.pop("env", self.environment()), **options)
        self._processes.append(process)
        return process

    def run(self, host: str, command: Sequence[str | Path], **options: Any) -> str:
        """Runs a program to its end and gives what it printed; it must succeed."""
        full = ["ip", "netns", "exec", self.namespace(host), *map(str, command)]
        options = {"env": self.environment(), "timeout": 120} | options
        done = subprocess.run(full, capture_output=True, text=True, **options)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def python(self, host: str, *arguments: str | Path, **options: Any) -> subprocess.Popen[Any]:
        """Starts this Python with the repository's packages, `tests` among them."""
        return self.start(host, [sys.executable, *arguments], **options)

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{PATH}:{os.environ.get('PATH', '')}",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        }

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """The calling thread is in the host's namespace: sockets made here stay there."""
        from pyroute2 import netns

        netns.pushns(self.namespace(host))
        try:
            yield
        finally:
            netns.popns()

    # what happens to the net

    def cut(self, site: str) -> None:
        """Nothing gets in or out of the site."""
        self._table(site, "cut", nat_rules.CUT)

    def heal(self, site: str) -> None:
        self._drop_table(site, "cut")

    def block_direct(self) -> None:
        """Sites reach the servers, but not each other."""
        for site in self.sites:
            self._table(site, "blocked", nat_rules.only_to((SERVER, SERVER_2), SERVER_6))

    def unblock(self) -> None:
        for site in self.sites:
            self._drop_table(site, "blocked")

    def lose(self, site: str, permille: int) -> None:
        """So many of 1000 UDP datagrams through the site's router are lost, in each direction."""
        self._drop_table(site, "loss")
        if permille:
            self._table(site, "loss", nat_rules.loss(permille))

    def set_nat(self, site: str, nat: str) -> None:
        """Another kind of NAT, not from or to `none`; flows that are known go on as they were."""
        self._nft(site, f"flush ruleset\n{nat_rules.router(nat)}")
        self._tables[site].clear()

    def move(self, host: str, address: str) -> None:
        """The host has another IPv4 address from now on, of the same network."""
        name, _ = self._split(host)
        length = 28 if self.sites[name].nat == "none" else 24
        self._ip(
            host,
            f"addr flush dev eth0 scope global\naddr add {address}/{length} dev eth0\nroute add default via {self._gateway(name)}",
        )
        if self.sites[name].has_ipv6:
            self._give_ipv6(host)

    # servers

    def start_turn(self) -> None:
        """coturn: UDP and TCP on 3478, TLS on 5349, on all addresses of `pub`; user and password are in this module."""
        command = [
            "turnserver",
            "-n",
            "-L",
            SERVER,
            "-L",
            SERVER_2,
            "-L",
            SERVER_6,
            "-E",
            SERVER,
            "-E",
            SERVER_6,
        ]
        command += [
            "-r",
            TURN_REALM,
            "--lt-cred-mech",
            "-u",
            f"{TURN_USER}:{TURN_PASSWORD}",
            "--no-cli",
            "--no-dtls",
        ]
        command += [
            "--cert",
            str(self.server_certificate),
            "--pkey",
            str(self.key),
            "--log-file",
            "stdout",
            "--simple-log",
            "-v",
        ]
        command += ["--pidfile", str(self.folder / "turn.pid"), "-b", str(self.folder / "turn.db")]
        log = (self.folder / "turn.log").open("wb")
        with log:
            self.start("pub", command, stdout=log, stderr=log)
        self.until_listening("pub", SERVER, 5349)
        with self.inside("pub"):
            for address in (SERVER, SERVER_2, SERVER_6):
                until_stun(address)

    def start_xmpp(self, accounts: Mapping[str, str], group: Sequence[str] = ()) -> Prosody:
        """prosody at `SERVER`, on its `port`; its certificate is its own. The lab stops it."""
        self._prosody = Prosody(
            self.folder / "xmpp", accounts, group, address=SERVER, netns=self.namespace("pub")
        )
        self._prosody.start()
        return self._prosody

    def until_listening(self, host: str, address: str, port: int) -> None:
        """Returns when a TCP server answers there, as seen in the host's namespace."""
        deadline = time.monotonic() + _LONG_S
        with self.inside(host):
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection((address, port), 0.5):
                    return
                time.sleep(0.02)
        raise AssertionError(f"nothing listens at {address} port {port}")

    # inside

    def _split(self, host: str) -> tuple[str, int]:
        if host in self.sites:
            return host, 1
        name = host.rstrip("0123456789")
        return name, int(host[len(name) :])

    def _index(self, site: str) -> int:
        return list(self.sites).index(site) + 1

    def _gateway(self, site: str) -> str:
        index = self._index(site)
        return f"198.51.100.{16 * index + 1}" if self.sites[site].nat == "none" else f"192.168.{index}.1"

    def _ip(self, host: str, lines: str) -> None:
        space = ["-n", self.namespace(host)] if host else []
        self._run(["ip", *space, "-batch", "-"], lines)

    def _nft(self, site: str, rules: str) -> None:
        self._run(["ip", "netns", "exec", self.namespace(f"router-{site}"), "nft", "-f", "-"], rules)

    def _run(self, command: list[str], text: str) -> None:
        done = subprocess.run(command, input=text, text=True, capture_output=True, env={"PATH": PATH})
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def _table(self, site: str, name: str, rules: str) -> None:
        if name not in self._tables[site]:
            self._nft(site, rules)
            self._tables[site].add(name)

    def _drop_table(self, site: str, name: str) -> None:
        if name in self._tables[site]:
            self._nft(site, f"delete table inet {name}\n")
            self._tables[site].discard(name)

    def _build(self) -> None:
        routers = [f"router-{name}" for name in self.sites]
        spaces = [self.namespace(name) for name in ("pub", *routers, *self.hosts())]
        self._spaces = spaces
        self._ip("", "".join(f"netns add {space}\n" for space in spaces))
        self.authority.issue(self.server_certificate, self.key, TURN_REALM, (SERVER, SERVER_2, SERVER_6))
        for name in ("pub", *routers, *self.hosts()):
            self._prepare(name)
        links = ["link add dead0 netns {0} type veth peer name dead1 netns {0}".format(self.namespace("pub"))]
        for name in self.sites:
            router = self.namespace(f"router-{name}")
            links.append(
                f"link add wan netns {router} type veth peer name to-{name} netns {self.namespace('pub')}"
            )
            for number, host in enumerate(h for h in self.hosts() if self._split(h)[0] == name):
                links.append(
                    f"link add port{number} netns {router} type veth peer name eth0 netns {self.namespace(host)}"
                )
        self._ip("", "\n".join(links))
        self._build_public()
        for name in self.sites:
            self._build_router(name)
        for host in self.hosts():
            self._build_host(host)

    def _prepare(self, host: str) -> None:
        """Addresses are used at once, not after a second of looking for doubles; routers forward."""
        with self.inside(host):
            for setting in ("default/accept_dad", "all/accept_dad"):
                Path(f"/proc/sys/net/ipv6/conf/{setting}").write_text("0")
            if host.startswith("router-"):
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
                Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")

    def _build_public(self) -> None:
        lines = [
            "link set lo up",
            "link add br0 type bridge",
            "link set br0 up",
            "link set dead0 up",
            "link set dead1 up",
        ]
        lines += [
            f"addr add {SERVER}/24 dev br0",
            f"addr add {SERVER_2}/24 dev br0",
            f"addr add {SERVER_6}/64 dev br0 nodad",
        ]
        lines += [f"link set to-{name} master br0 up" for name in self.sites]
        # coturn closes an allocation when a private candidate of a peer is "unreachable": it goes to a dead end instead.
        lines += ["route add default dev dead0"]
        self._ip("pub", "\n".join(lines + self._routes("")))

    def _build_router(self, name: str) -> None:
        index, ports = self._index(name), self.sites[name].hosts
        lines = ["link set lo up", "link set wan up", "link add lan type bridge", "link set lan up"]
        lines += [f"link set port{number} master lan up" for number in range(ports)]
        lines += [
            f"addr add {self.public(name)}/24 dev wan",
            f"addr add 2001:db8::{index:x}/64 dev wan nodad",
        ]
        lines += [f"addr add {self._gateway(name)}/{28 if self.sites[name].nat == 'none' else 24} dev lan"]
        lines += [f"addr add 2001:db8:{index}::1/64 dev lan nodad"]
        self._ip(f"router-{name}", "\n".join(lines + self._routes(name)))
        self._nft(name, nat_rules.router(self.sites[name].nat))

    def _routes(self, but: str) -> list[str]:
        """To the networks behind the routers, as the Internet knows them: private ones are not among them."""
        lines = []
        for name, site in self.sites.items():
            if name != but:
                index = self._index(name)
                lines.append(f"route add 2001:db8:{index}::/64 via 2001:db8::{index:x}")
                if site.nat == "none":
                    lines.append(f"route add 198.51.100.{16 * index}/28 via {self.public(name)}")
        return lines

    def _build_host(self, host: str) -> None:
        name, _ = self._split(host)
        site = self.sites[name]
        self._ip(host, "link set lo up\nlink set eth0 up")
        if site.has_ipv4:
            length = 28 if site.nat == "none" else 24
            self._ip(
                host,
                f"addr add {self.address(host)}/{length} dev eth0\nroute add default via {self._gateway(name)}",
            )
        if site.has_ipv6:
            self._give_ipv6(host)
        if not self._has_udp_offload:
            self._switch_offload_off(host)

    def _give_ipv6(self, host: str) -> None:
        index = self._index(self._split(host)[0])
        self._ip(
            host,
            f"addr replace {self.address6(host)}/64 dev eth0 nodad\nroute replace default via 2001:db8:{index}::1",
        )

    def _switch_offload_off(self, host: str) -> None:
        """A real network card has no UDP segmentation of its own: with it, figures would look too good."""
        from pyroute2.ethtool.ioctl import IoctlEthtool

        with self.inside(host), contextlib.suppress(OSError):
            card = IoctlEthtool("eth0")
            features = card.get_features()
            features["tx-udp-segmentation"] = False
            card.set_features(features)
            card.close()

    def _remove(self) -> None:
        if self._prosody is not None:
            self._prosody.stop()
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for space in self._spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, env={"PATH": PATH})
        shutil.rmtree(self.folder, ignore_errors=True)
