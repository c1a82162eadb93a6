from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from tests.parts.small_disk import on_a_small_disk
from wayhouse.access import known_peers
from wayhouse.access.known_peers import KnownPeers, is_key
from wayhouse.access.model import UnsafeFileError
from wayhouse.base.errors import UnavailableError

PUBLIC = zmq.curve_keypair()[0].decode()
PEERS = KnownPeers(curve={PUBLIC: "ann"}, plain={"bob": "tell-nobody"}, plain_sha256={"eve": "ab" * 32})


def test_what_is_written_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "bus-peers"
    known_peers.write(path, PEERS)
    assert known_peers.read(path) == PEERS
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    known_peers.write(path, KnownPeers())
    assert known_peers.read(path) == KnownPeers()
    assert os.listdir(path.parent) == ["bus-peers"]


def test_without_a_file_there_is_nobody(tmp_path: Path) -> None:
    assert len(known_peers.read(tmp_path / "none")) == 0


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnsafeFileError, match="Nothing was changed"):
        known_peers.write(tmp_path / "file" / "peers", PEERS)
    (tmp_path / "folder" / "x").mkdir(parents=True)
    with pytest.raises(UnsafeFileError, match="Nothing was changed"):
        known_peers.write(tmp_path / "folder", PEERS)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"curve": {"tell-nobody": "ann"}}', b'{"plain_sha256": {"ann": "tell-nobody"}}', b'{"plain": {"a": 5}}',
     b'{"other": {}}', b"\xff", b" " * (known_peers.MOST_BYTES + 1)],
)  # fmt: skip
def test_a_damaged_file_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "peers"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UnsafeFileError, match="ove it away") as caught:
        known_peers.read(path)
    assert "tell-nobody" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_that_others_can_read_and_a_link_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    path.write_text("{}")
    path.chmod(0o640)
    with pytest.raises(UnsafeFileError, match="chmod 600"):
        known_peers.read(path)
    (tmp_path / "link").symlink_to("peers")
    with pytest.raises(UnsafeFileError):
        known_peers.read(tmp_path / "link")


def test_nothing_secret_is_in_a_repr() -> None:
    assert repr(PEERS) == "KnownPeers(1 of curve, 2 of plain)"


@pytest.mark.parametrize(
    "text", ["", "x", "a" * 39, "a" * 41, "#" * 40, "%" * 40, " " * 40, "é" * 40, "\0" * 40]
)
def test_what_is_no_key(text: str) -> None:
    assert not is_key(text)


@given(
    st.text(min_size=38, max_size=42)
    | st.binary(min_size=32, max_size=32).map(lambda key: zmq.utils.z85.encode(key).decode())
)
def test_any_text_is_a_key_or_not(text: str) -> None:
    assert is_key(text) in {True, False}
    if len(text) != 40:
        assert not is_key(text)


def test_made_keys_are_keys() -> None:
    assert all(is_key(half.decode()) for _ in range(20) for half in zmq.curve_keypair())


def full(*_args: object, **_named: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", ["os.open", "os.fsync", "pathlib.Path.rename"])
def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    path = tmp_path / "peers"
    known_peers.write(path, PEERS)
    with monkeypatch.context() as patch:
        patch.setattr(at, full)
        with pytest.raises(UnavailableError, match=r"No space left.*Free some space.*Nothing was changed"):
            known_peers.write(path, KnownPeers())
    assert known_peers.read(path) == PEERS
    assert os.listdir(tmp_path) == ["peers"]


def test_what_is_in_force_is_not_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The new file is in its place already when the folder is synced."""
    real = os.fsync

    def full_for_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            full()
        real(fd)

    monkeypatch.setattr(os, "fsync", full_for_folders)
    known_peers.write(tmp_path / "peers", PEERS)
    assert known_peers.read(tmp_path / "peers") == PEERS
    assert "power" in caplog.text


def test_a_disk_that_really_is_full(tmp_path: Path) -> None:
    said = on_a_small_disk(
        """
from wayhouse.access import known_peers
from wayhouse.access.known_peers import KnownPeers
known_peers.write(disk / "peers", KnownPeers(plain={"ann": "x"}))
fill()
try: known_peers.write(disk / "peers", KnownPeers(plain={"ann": "x" * 9000}))
except Exception as error: print(type(error).__name__, error)
print(known_peers.read(disk / "peers").plain, names(disk))
filler.unlink()
known_peers.write(disk / "peers", KnownPeers())
print(known_peers.read(disk / "peers").plain, names(disk))
""",
        str(tmp_path),
    )
    first, *rest = said.splitlines()
    assert first.startswith("UnavailableError")
    assert rest == ["{'ann': 'x'} ['peers']", "{} ['peers']"]
