from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import zmq

from wayhouse.access import bus_keys
from wayhouse.access.bus_keys import BusPeers, NoSuchPeerError, PeerExistsError
from wayhouse.access.model import INTERNAL, UnsafeFileError
from wayhouse.access.service import Access
from wayhouse.base.errors import BadInputError, ConflictError, UnavailableError

Flush = Callable[[], Awaitable[None]]
PUBLIC = zmq.curve_keypair()[0].decode()


@pytest.fixture
def peers(access: Access, tmp_path: Path) -> BusPeers:
    return BusPeers(tmp_path / "keys", access.audit)


def kept(peers: BusPeers) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(peers.credentials.read_text())
    return found


async def test_the_key_of_the_bus_is_made_once_and_for_the_daemon_alone(
    peers: BusPeers, tmp_path: Path
) -> None:
    key = await peers.server_key()
    path = tmp_path / "keys" / "bus-secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert zmq.curve_public(path.read_bytes().strip()).decode() == key == await peers.server_key()


async def test_both_files_are_there_before_the_bus_reads_them(peers: BusPeers) -> None:
    peers.prepare()
    assert kept(peers) == {"curve": {}, "plain": {}, "plain_sha256": {}}
    await peers.add(INTERNAL, "ann")
    before = peers.credentials.read_bytes(), peers.secret_key.read_bytes()
    peers.prepare()
    assert (peers.credentials.read_bytes(), peers.secret_key.read_bytes()) == before
    assert {path.stat().st_mode & 0o777 for path in (peers.credentials, peers.secret_key)} == {0o600}


async def test_a_pair_is_made_and_its_secret_is_not_kept(
    peers: BusPeers, access: Access, flush: Flush
) -> None:
    made = await peers.add(INTERNAL, "ann")
    assert made.secret is not None
    assert made.server == await peers.server_key()
    assert zmq.curve_public(made.secret.encode()).decode() == made.peer.public
    assert kept(peers)["curve"] == {made.peer.public: "ann"}
    written = b"".join(path.read_bytes() for path in peers.credentials.parent.iterdir())
    assert made.secret.encode() not in written
    assert made.secret not in repr(made) + repr(await peers.all()) + repr(access.audit.entries())
    await flush()
    lines = [(one.action, one.target) for one in access.audit.entries()]
    assert lines[0] == ("bus-peer.add", "ann (curve)")


async def test_a_key_of_its_own_stays_its_own(peers: BusPeers) -> None:
    made = await peers.add(INTERNAL, "ann", public=PUBLIC)
    assert (made.secret, made.peer.public) == (None, PUBLIC)
    with pytest.raises(PeerExistsError, match="'ann'"):
        await peers.add(INTERNAL, "bob", public=PUBLIC)


async def test_of_a_password_only_the_sha256_is_kept(peers: BusPeers) -> None:
    made = await peers.add(INTERNAL, "ann", kind="plain")
    assert made.secret is not None
    assert (made.server, made.peer.public, len(made.secret)) == (None, None, 43)
    assert kept(peers)["plain_sha256"] == {"ann": hashlib.sha256(made.secret.encode()).hexdigest()}


async def test_a_peer_is_listed_and_removed(peers: BusPeers, access: Access, flush: Flush) -> None:
    for name, kind in (("bob", "plain"), ("ann", "curve")):
        await peers.add(INTERNAL, name, kind=kind)  # type: ignore[arg-type]
    assert [(one.name, one.kind) for one in await peers.all()] == [("ann", "curve"), ("bob", "plain")]
    for name in ("ann", "bob"):
        with pytest.raises(PeerExistsError):
            await peers.add(INTERNAL, name)
        await peers.remove(INTERNAL, name)
        with pytest.raises(NoSuchPeerError):
            await peers.remove(INTERNAL, name)
    assert await peers.all() == []
    await flush()
    assert access.audit.entries()[0].action == "bus-peer.remove"


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "é", "x" * 65, "a\n", "\0"])
async def test_names_that_cannot_be(peers: BusPeers, name: str) -> None:
    with pytest.raises(BadInputError):
        await peers.add(INTERNAL, name)
    assert not peers.credentials.exists()


async def test_keys_that_cannot_be(peers: BusPeers) -> None:
    for public in ("", "short", "#" * 40, PUBLIC + "0"):
        with pytest.raises(BadInputError, match="Z85"):
            await peers.add(INTERNAL, "ann", public=public)
    with pytest.raises(BadInputError, match="password"):
        await peers.add(INTERNAL, "ann", kind="plain", public=PUBLIC)


async def test_there_is_room_for_so_many(peers: BusPeers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_keys, "MOST", 3)
    await asyncio.gather(*(peers.add(INTERNAL, f"p{number}") for number in range(3)))
    assert len(await peers.all()) == 3
    with pytest.raises(ConflictError, match="Remove some"):
        await peers.add(INTERNAL, "one-more")


async def test_a_damaged_file_is_left_as_it_is(peers: BusPeers) -> None:
    peers.prepare()
    peers.credentials.write_text("{")
    for step in (peers.all(), peers.add(INTERNAL, "ann"), peers.remove(INTERNAL, "ann")):
        with pytest.raises(UnsafeFileError):
            await step
    assert peers.credentials.read_text() == "{"


@pytest.mark.parametrize("content", ["short", "#" * 40, " " * 40])
async def test_a_damaged_key_of_the_bus_is_not_replaced(peers: BusPeers, content: str) -> None:
    peers.secret_key.parent.mkdir(exist_ok=True)
    peers.secret_key.write_text(content)
    peers.secret_key.chmod(0o600)
    with pytest.raises(UnsafeFileError, match="Move it away"):
        await peers.server_key()
    assert peers.secret_key.read_text() == content


async def test_files_of_the_settings_are_used_but_not_made(access: Access, tmp_path: Path) -> None:
    secret, known = tmp_path / "own-secret", tmp_path / "own-known"
    peers = BusPeers(tmp_path / "keys", access.audit, secret_key=str(secret), credentials=str(known))
    with pytest.raises(UnsafeFileError, match="own-secret, which the settings"):
        peers.prepare()
    public, half = zmq.curve_keypair()
    secret.write_bytes(half)
    secret.chmod(0o600)
    assert await peers.server_key() == public.decode()
    with pytest.raises(UnsafeFileError, match="own-known, which the settings"):
        peers.prepare()
    known.write_text(json.dumps({"plain": {"ann": "by hand"}}))
    known.chmod(0o600)
    peers.prepare()
    await peers.add(INTERNAL, "bob")
    assert kept(peers)["plain"] == {"ann": "by hand"}
    assert "own-known" in os.listdir(tmp_path)
    await peers.remove(INTERNAL, "ann")
    assert [one.name for one in await peers.all()] == ["bob"]


async def test_a_full_disk_lets_nobody_in_or_out(
    peers: BusPeers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UnavailableError, match="Free some space"):
            peers.prepare()
        with pytest.raises(UnavailableError, match="Free some space"):
            await peers.server_key()
    await peers.add(INTERNAL, "ann")
    before = peers.credentials.read_bytes(), peers.secret_key.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UnavailableError, match="Nothing was changed"):
            await peers.add(INTERNAL, "bob")
        with pytest.raises(UnavailableError, match="Nothing was changed"):
            await peers.remove(INTERNAL, "ann")
        await peers.server_key()
    assert (peers.credentials.read_bytes(), peers.secret_key.read_bytes()) == before
    assert sorted(os.listdir(tmp_path / "keys")) == ["bus-peers", "bus-secret", "jwt-secret"]
