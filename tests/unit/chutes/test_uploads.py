"""What was sent and acknowledged is there when its change runs, also after a power cut."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.chute_lab import SETTINGS, ChuteLab, Shelf, app, archive, chunks
from wayhouse.base import codec
from wayhouse.base.errors import TooLargeError, UnavailableError
from wayhouse.base.settings import Paths
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.model import BadArchiveError, ChuteSettings
from wayhouse.chutes.uploads import Uploads
from wayhouse.chutes.wishes import Download
from wayhouse.ledger.model import State


def quiet(_: str) -> None:
    """Nobody reads along."""


class Desk:
    def __init__(self, base: Path, settings: ChuteSettings = SETTINGS) -> None:
        self.directories = Directories(Paths.under(base), container_uid=999, min_free_bytes=0)
        self.shelf = Shelf()
        self.settings = settings

    def uploads(self) -> Uploads:
        """Those of one process."""
        return Uploads(self.directories, self.shelf, self.settings)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_an_archive_is_unpacked_as_it_comes(desk: Desk) -> None:
    uploads = desk.uploads()
    upload = await uploads.take(chunks(archive(app()), size=7))
    assert await uploads.bundle_of(upload, quiet) == uploads.source(upload)
    assert (uploads.source(upload) / "main.py").read_text() == "print(1)\n"
    uploads.drop(upload)
    assert desk.directories.uploads() == set()


async def test_the_next_process_does_not_trust_the_tree(desk: Desk) -> None:
    """Only the archive was synced; of the tree, a power cut may have left empty files."""
    upload = await desk.uploads().take(chunks(archive(app())))
    source = desk.uploads().source(upload)
    (source / "main.py").write_text("")
    (source / "half").write_text("")
    uploads = desk.uploads()
    await uploads.bundle_of(upload, quiet)
    assert (source / "main.py").read_text() == "print(1)\n"
    assert not (source / "half").exists()
    (source / "main.py").write_text("mine now")
    await uploads.bundle_of(upload, quiet)
    assert (source / "main.py").read_text() == "mine now", "it unpacks once"


async def test_an_archive_that_is_gone_is_told(desk: Desk) -> None:
    upload = await desk.uploads().take(chunks(archive(app())))
    shutil.rmtree(desk.directories.upload(upload))
    with pytest.raises(BadArchiveError, match="Send it again"):
        await desk.uploads().bundle_of(upload, quiet)


async def test_an_empty_body_is_refused(desk: Desk) -> None:
    with pytest.raises(BadArchiveError, match="empty"):
        await desk.uploads().take(chunks(b""))
    assert desk.directories.uploads() == set()


async def test_a_large_one_is_refused_before_it_is_all_there(tmp_path: Path) -> None:
    small = codec.convert({**codec.to_builtins(SETTINGS), "max_archive_bytes": 2**20}, ChuteSettings)
    desk = Desk(tmp_path, small)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**16
            yield b"x" * 2**16

    with pytest.raises(TooLargeError, match="1 MiB"):
        await desk.uploads().take(endless())
    assert sent <= 2**20 + 2**17
    assert desk.directories.uploads() == set()


async def test_a_sender_that_goes_away_leaves_nothing(desk: Desk) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await desk.uploads().take(broken())
    assert desk.directories.uploads() == set()


async def test_a_full_disk_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        await desk.uploads().take(chunks(archive(app())))
    with pytest.raises(UnavailableError, match="No space left on device"):
        await desk.uploads().order(Download(url="https://x", secret="s"))
    assert desk.directories.uploads() == set()


async def test_an_order_is_fetched_when_it_is_wanted(desk: Desk) -> None:
    desk.shelf.bundles["https://x"] = {"paradrop.yaml": "a", "main.py": "b"}
    upload = await desk.uploads().order(Download(url="https://x", secret="s"))
    assert (desk.directories.upload(upload) / "download.json").stat().st_mode & 0o777 == 0o600
    for _ in range(2):  # again after a crash
        found = await desk.uploads().bundle_of(upload, quiet)
        assert (found / "main.py").read_text() == "b"
        (found / "left-over").write_text("x")
    assert desk.shelf.secrets == ["s", "s"]
    assert not (await desk.uploads().bundle_of(upload, quiet) / "left-over").exists()


async def test_a_queued_install_survives_a_restart(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path, width=0) as lab:  # nothing runs before the restart
        change = await lab.send(app())
        [upload] = lab.directories.uploads()
        (lab.uploads.source(upload) / "main.py").write_text("")
        lab.width = 4
        await lab.restart()
        await lab.reconciler.sweep()
        ended = await lab.ended(change)
        assert ended.state == State.SUCCEEDED, await lab.lines(change)
        assert (lab.directories.source("hello/1") / "main.py").read_text() == "print(1)\n"
        assert lab.directories.uploads() == set()
