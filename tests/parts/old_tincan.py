"""A node of 2013, as far as its links go, made of parts that are not ours: aioice for the path, the program openssl for DTLS, frames by hand.

python -m tests.parts.old_tincan '{"server":, "ca":, "jid":, "password":, "uid":, "folder":, ...}'; writes JSON lines. It links to everybody whom it sees, and
answers echo requests over IPv4 and IPv6, as somebody at 172.31.0.100 would who calls the other end 172.31.0.101. `version` is `dtls1` or `dtls1_2`; `is_forged`: it
tells another fingerprint than that of its certificate; `is_clear`: no DTLS; `is_noisy`: everything that it says stands among nonsense.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aioice
import msgspec

from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.xmpp import XmppSignaller
from wayhouse.overlay.model import Heard, PeerSeen

OWN, OTHER = socket.inet_aton("172.31.0.100"), socket.inet_aton("172.31.0.101")
_TYPES = {"local": "host", "stun": "srflx", "relay": "relay", "prflx": "prflx"}
_NAMES = {ours: theirs for theirs, ours in _TYPES.items()}


class Wish(msgspec.Struct):
    server: str
    ca: str
    jid: str
    password: str
    uid: str
    folder: str
    version: str = "dtls1_2"
    is_forged: bool = False
    is_clear: bool = False
    is_noisy: bool = False


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data + b'0') // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer(frame: bytes) -> bytes | None:
    """To an echo request."""
    packet = frame[14:]
    if frame[12:14] == b"\x08\x00" and packet[9] == 1 and packet[20] == 8:
        icmp = b"\x00" + packet[21:22] + b"\x00\x00" + packet[24:]
        icmp = icmp[:2] + checksum(icmp).to_bytes(2, "big") + icmp[4:]
        head = packet[:10] + b"\x00\x00" + OWN + OTHER
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
        return frame[:14] + head + icmp
    if frame[12:14] == b"\x86\xdd" and packet[6] == 58 and packet[40] == 128:
        source, destination = packet[24:40], packet[8:24]
        icmp = b"\x81" + packet[41:42] + b"\x00\x00" + packet[44:]
        pseudo = source + destination + struct.pack("!II", len(icmp), 58)
        icmp = icmp[:2] + checksum(pseudo + icmp).to_bytes(2, "big") + icmp[4:]
        return frame[:14] + packet[:8] + source + destination + icmp
    return None


class OldTincan:
    def __init__(self, wish: Wish, tasks: Tasks) -> None:
        self.wish, self.tasks = wish, tasks
        self.peer = ""
        self.ice: aioice.Connection | None = None
        self.secured: asyncio.subprocess.Process | None = None
        self.folder = Path(wish.folder)
        self.folder.mkdir(parents=True)
        self.fingerprint = self._certify()
        account = XmppAccount(jid=wish.jid, password=wish.password, host=wish.server, ca_file=wish.ca)
        self.signaller = XmppSignaller(account, tasks)

    def _certify(self) -> str:
        command = f"openssl req -x509 -newkey rsa:1024 -sha1 -nodes -days 30 -subj /CN={self.wish.uid}"
        files = ["-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")]
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
        der = ssl.PEM_cert_to_DER_cert((self.folder / "cert.pem").read_text())
        digest = hashlib.sha1(der if not self.wish.is_forged else der + b"!").digest()
        return digest.hex(":").upper()

    def hear(self, event: Any) -> None:
        if isinstance(event, PeerSeen) and not self.peer:
            self.peer = event.uid
            say(seen=event.uid, status=event.status)
            self.tasks.spawn(self.gather(), name="gather")
        elif isinstance(event, Heard) and event.kind == "con_resp":
            say(con_resp=event.data)
            self.tasks.spawn(self.connect(event.data), name="connect")

    async def gather(self) -> None:
        ice = aioice.Connection(
            ice_controlling=self.wish.uid > self.peer, stun_server=(self.wish.server, 3478), use_ipv6=False
        )
        ice._local_username, ice._local_password = "ufrag", "pwd"
        await ice.gather_candidates()
        words = [
            f"c{number}:1:udp:{one.host}:{one.port}:{one.priority}:ufrag:pwd:{_NAMES[one.type]}:eth0:0:{one.foundation}"
            for number, one in enumerate(ice.local_candidates)
        ]
        self.ice = ice
        self.signaller.send(self.peer, "con_resp", " ".join([self.fingerprint, *words]))

    async def connect(self, told: str) -> None:
        fingerprint, *words = told.split()
        while self.ice is None:
            await asyncio.sleep(0.02)
        if self.ice.remote_candidates:
            return
        for word in words:
            fields = word.split(":")
            if len(fields) >= 12:
                assert (fields[6], fields[7]) == ("ufrag", "pwd"), word
                candidate = aioice.Candidate(
                    foundation=fields[11], component=1, transport="udp", priority=int(fields[5]), host=fields[3],
                    port=int(fields[4]), type=_TYPES[fields[8]],
                )  # fmt: skip
                await self.ice.add_remote_candidate(candidate)
        await self.ice.add_remote_candidate(None)
        self.ice.remote_username, self.ice.remote_password = "ufrag", "pwd"
        await self.ice.connect()
        say(connected=True, fingerprint=fingerprint)
        await (self.run_clear() if self.wish.is_clear else self.run_dtls())

    # In the clear.

    async def run_clear(self) -> None:
        while True:
            self.take(await self.ice.recv(), self.tell_clear)

    def tell_clear(self, record: bytes) -> None:
        self.tasks.spawn(self.ice.send(record), name="send")

    # With openssl between.

    async def run_dtls(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bridge:
            bridge.bind(("127.0.0.1", 0))
            await self.start_openssl(bridge)
            self.tasks.spawn(self.from_openssl(bridge), name="openssl to the path")
            self.tasks.spawn(self.from_path(bridge), name="the path to openssl")
            await self.read_frames()

    async def start_openssl(self, bridge: socket.socket) -> None:
        """The smaller uid is the client."""
        files = ["-cert", self.folder / "cert.pem", "-key", self.folder / "key.pem", "-mtu", "1200", "-quiet"]
        files += [f"-{self.wish.version}", "-cipher", "AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0"]
        if self.wish.uid < self.peer:
            command = ["s_client", "-connect", f"127.0.0.1:{bridge.getsockname()[1]}"]
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            bridge.connect(("127.0.0.1", port))
            command = ["s_server", "-accept", f"127.0.0.1:{port}", "-verify", "1"]
        pipe = asyncio.subprocess.PIPE
        with (self.folder / "openssl.log").open("wb") as log:
            self.secured = await asyncio.create_subprocess_exec(
                "openssl", *command, *files, stdin=pipe, stdout=pipe, stderr=log
            )
        await asyncio.sleep(0.3)

    async def from_openssl(self, bridge: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                data, source = await loop.sock_recvfrom(bridge, 65536)
                if self.wish.uid < self.peer:
                    self.client = source
                if self.wish.is_noisy:
                    for noise in (
                        b"\x16\xfe\xff" + os.urandom(60),
                        b"\x17" + data[1:5] + os.urandom(50),
                        b"\x80x",
                    ):
                        await self.ice.send(noise)
                await self.ice.send(data)

    async def from_path(self, bridge: socket.socket) -> None:
        while True:
            data = await self.ice.recv()
            with contextlib.suppress(OSError):
                if self.wish.uid < self.peer:
                    bridge.sendto(data, self.client)
                else:
                    bridge.send(data)

    async def read_frames(self) -> None:
        """Out of a stream in which only the frames' own lengths tell where they end."""
        while True:
            head = await self.secured.stdout.readexactly(54)
            if head[52:54] == b"\x08\x00":
                start = await self.secured.stdout.readexactly(4)
                rest = start + await self.secured.stdout.readexactly(int.from_bytes(start[2:4], "big") - 4)
            else:
                start = await self.secured.stdout.readexactly(40)
                rest = start + await self.secured.stdout.readexactly(int.from_bytes(start[4:6], "big"))
            self.take(head + rest, self.tell_openssl)

    def tell_openssl(self, record: bytes) -> None:
        self.secured.stdin.write(record)
        time.sleep(0.02)  # it reads what there is, and makes one record of it

    # Frames.

    def take(self, record: bytes, tell: Any) -> None:
        source, destination, frame = record[:20].hex(), record[20:40].hex(), record[40:]
        say(source=source, destination=destination, frame=frame[:54].hex())
        found = answer(frame)
        if found is None:
            return
        own, other = bytes.fromhex(self.wish.uid), bytes.fromhex(self.peer)
        if self.wish.is_noisy:
            foreign = found[:26] + socket.inet_aton("192.0.2.7") + found[30:]
            for noise in (
                b"",
                b"short",
                other + own + found,
                own + own + found,
                own + other + foreign,
                os.urandom(900),
            ):
                if noise:
                    tell(noise)
        tell(own + other + found)


async def main(wish: Wish) -> None:
    async with Tasks() as tasks:
        node = OldTincan(wish, tasks)
        node.signaller.start(wish.uid, node.fingerprint, node.hear)
        say(ready=node.fingerprint)
        try:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        finally:
            if node.secured is not None:
                node.secured.kill()
                await node.secured.wait()
            await node.signaller.stop()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Wish)))
