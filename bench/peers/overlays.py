"""The other overlays, each with the configuration of its manual, between the two sides of a wire (tests.parts.wire_lab).

Each function starts one program on both sides, in `folder`, and gives the two processes; the tunnel's addresses are 10.77.0.1 and .2.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.parts.wire_lab import INNER, OUTER, PORT, Keys, WireLab

Pair = tuple[subprocess.Popen[Any], subprocess.Popen[Any]]
MTU = 1420


def _start(lab: WireLab, side: int, *words: str, **more: Any) -> subprocess.Popen[Any]:
    return lab.start(side, *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def _both(start: Callable[[int], subprocess.Popen[Any]]) -> Pair:
    return start(0), start(1)


def _run(*words: str, folder: Path) -> str:
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout


def _wait_until_bound(lab: WireLab, side: int) -> None:
    until = time.monotonic() + 5
    while f":{PORT:04X} " not in lab.inside(side, "cat", "/proc/net/udp"):
        assert time.monotonic() < until, "nobody listens"
        time.sleep(0.02)


def engine(lab: WireLab, _: Path) -> Pair:
    keys = Keys()
    return _both(lambda side: lab.engine(side, keys, mtu=MTU).process)


def compiled_engine(lab: WireLab, _: Path) -> Pair:
    keys = Keys()
    return _both(lambda side: lab.engine(side, keys, mtu=MTU, kind="compiled").process)


def wireguard_go(lab: WireLab, _: Path) -> Pair:
    keys = Keys()
    return _both(lambda side: lab.wireguard_go(side, keys, mtu=MTU))


def nebula(lab: WireLab, folder: Path) -> Pair:
    _run("nebula-cert", "ca", "-name", "bench", folder=folder)

    def start(side: int) -> subprocess.Popen[Any]:
        name = "ab"[side]
        _run("nebula-cert", "sign", "-name", name, "-ip", f"{INNER[4][side]}/24", folder=folder)
        anybody = "[{port: any, proto: any, host: any}]"
        (folder / f"{name}.yml").write_text(
            f"pki: {{ca: {folder}/ca.crt, cert: {folder}/{name}.crt, key: {folder}/{name}.key}}\n"
            f"static_host_map: {{'{INNER[4][1 - side]}': ['{OUTER[4][1 - side]}:{PORT}']}}\n"
            f"lighthouse: {{am_lighthouse: {str(side == 1).lower()}, hosts: {[INNER[4][1]] if side == 0 else []}}}\n"
            f"listen: {{host: {OUTER[4][side]}, port: {PORT}}}\n"
            f"tun: {{dev: neb{name}, mtu: {MTU}}}\ncipher: aes\n"
            f"firewall: {{outbound: {anybody}, inbound: {anybody}}}\n"
        )
        return _start(lab, side, "nebula", "-config", str(folder / f"{name}.yml"))

    lighthouse = start(1)
    return start(0), lighthouse


def tinc(lab: WireLab, folder: Path) -> Pair:
    for side, name in enumerate("ab"):
        home = folder / name
        (home / "hosts").mkdir(parents=True)
        other = "" if side else "ConnectTo = b\n"
        (home / "tinc.conf").write_text(
            f"Name = {name}\nAddressFamily = ipv4\nInterface = tinc{name}\n{other}"
        )
        (home / "hosts" / name).write_text(
            f"Address = {OUTER[4][side]}\nPort = {PORT}\nSubnet = {INNER[4][side]}/32\n"
        )
        up = home / "tinc-up"
        up.write_text(
            f"#!/bin/sh\nip link set $INTERFACE mtu {MTU} up\nip addr add {INNER[4][side]}/24 dev $INTERFACE\n"
        )
        up.chmod(0o755)
        subprocess.run(["tincd", "-c", home, "-K2048"], input=b"\n\n\n\n", check=True, capture_output=True)
    for one, two in ("ab", "ba"):
        (folder / one / "hosts" / two).write_text((folder / two / "hosts" / two).read_text())

    def start(side: int) -> subprocess.Popen[Any]:
        home = folder / "ab"[side]
        return _start(lab, side, "tincd", "-c", str(home), "-D", "--pidfile", str(home / "pid"))

    return _both(start)


def openvpn(lab: WireLab, folder: Path) -> Pair:
    prints = []
    for name in "ab":
        _run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt", folder=folder,
        )  # fmt: skip
        line = _run(
            "openssl", "x509", "-in", f"{name}.crt", "-noout", "-fingerprint", "-sha256", folder=folder
        )
        prints.append(line.partition("=")[2].strip())

    def start(side: int) -> subprocess.Popen[Any]:
        name = "ab"[side]
        role = (
            ["--tls-server", "--dh", "none"] if side else ["--tls-client", "--remote", OUTER[4][1], str(PORT)]
        )
        return _start(
            lab, side, "openvpn", "--dev", f"ovpn{name}", "--dev-type", "tun", "--proto", "udp", "--local", OUTER[4][side],
            "--port", str(PORT), "--ifconfig", INNER[4][side], INNER[4][1 - side], "--cert", f"{name}.crt",
            "--key", f"{name}.key", "--peer-fingerprint", prints[1 - side], "--data-ciphers", "AES-256-GCM",
            "--tun-mtu", str(MTU), "--disable-dco", "--verb", "0", *role, cwd=folder,
        )  # fmt: skip

    return _both(start)


def fastd(lab: WireLab, folder: Path) -> Pair:
    keys = []
    for _ in range(2):
        out = _run("fastd", "--generate-key", folder=folder)
        keys.append([line.split()[-1] for line in out.splitlines() if ":" in line])

    def start(side: int) -> subprocess.Popen[Any]:
        name = "ab"[side]
        # With a remote on each side both begin, and each keeps a session that the other has dropped.
        remote = "" if side else f" remote {OUTER[4][1]}:{PORT};"
        (folder / f"{name}.conf").write_text(
            f'interface "fastd{name}";\nmode tun;\nmethod "salsa2012+umac";\nmtu {MTU};\nbind {OUTER[4][side]}:{PORT};\n'
            f'secret "{keys[side][0]}";\n'
            f'on up "ip link set $INTERFACE up; ip addr add {INNER[4][side]}/24 dev $INTERFACE";\n'
            f'peer "other" {{ key "{keys[1 - side][1]}";{remote} }}\n'
        )
        return _start(lab, side, "fastd", "--config", str(folder / f"{name}.conf"), env=dict(os.environ))

    # Who asks one that does not listen yet asks again only after 20 s.
    listening = start(1)
    _wait_until_bound(lab, 1)
    return start(0), listening


ALL: dict[str, tuple[str, Callable[[WireLab, Path], Pair]]] = {
    "Wayhouse's engine, compiled": ("ip", compiled_engine),
    "Wayhouse's engine": ("ip", engine),
    "wireguard-go": ("wireguard-go", wireguard_go),
    "nebula": ("nebula", nebula),
    "tinc": ("tincd", tinc),
    "fastd": ("fastd", fastd),
    "openvpn": ("openvpn", openvpn),
}
"""Name -> the program it needs, how to start it."""
