"""What was sent and is not installed yet: an archive, or the order to download one.

The archive (one file, synced) is what an acknowledged change relies on. The tree unpacked from it serves the process
that unpacked it; after a restart, which may have been a power cut, it is unpacked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from wayhouse.base import codec
from wayhouse.base.errors import TooLargeError, UnavailableError
from wayhouse.base.ids import short_id
from wayhouse.chutes import bundle
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.model import BadArchiveError, ChuteSettings
from wayhouse.chutes.ports import Downloader
from wayhouse.chutes.wishes import Download
from wayhouse.ledger.task import Say

ARCHIVE = "archive"
SOURCE = "source"
ORDER = "download.json"
UNPACKED_BY = "unpacked-by"


class Uploads:
    def __init__(self, directories: Directories, downloader: Downloader, settings: ChuteSettings) -> None:
        self._directories = directories
        self._downloader = downloader
        self._max_bytes = settings.max_archive_bytes
        self._limits = bundle.ArchiveLimits(
            archive_bytes=settings.max_archive_bytes, unpacked_bytes=settings.max_unpacked_bytes
        )
        self._process = short_id()

    async def take(self, chunks: AsyncIterator[bytes]) -> str:
        """Store an archive as it comes in and unpack it.

        Raises `BadArchiveError`, `TooLargeError` or `UnavailableError` (a full disk), leaving nothing."""
        upload = self._directories.new_upload()
        try:
            with _storing():
                await self._store(self._directories.upload(upload) / ARCHIVE, chunks)
            await asyncio.to_thread(self._unpack, self._directories.upload(upload))
        except BaseException:
            self.drop(upload)
            raise
        return upload

    async def order(self, download: Download) -> str:
        """Store the order to download a bundle when its change runs."""
        upload = self._directories.new_upload()
        try:
            with _storing():
                await asyncio.to_thread(
                    _write, self._directories.upload(upload) / ORDER, codec.encode_json(download)
                )
        except BaseException:
            self.drop(upload)
            raise
        return upload

    async def bundle_of(self, upload: str, say: Say) -> Path:
        """The directory that holds the bundle: unpacked or downloaded now, if that is still to be done."""
        folder = self._directories.upload(upload)
        order = folder / ORDER
        if order.exists():
            return await self._download(folder, codec.decode_json(order.read_bytes(), Download), say)
        if not (folder / ARCHIVE).exists():
            raise BadArchiveError("The archive that was sent is gone. Send it again.")
        if not self._is_unpacked(folder):
            await asyncio.to_thread(self._unpack, folder)
        return folder / SOURCE

    def source(self, upload: str) -> Path:
        """Where the bundle of an archive that `take` has just taken is."""
        return self._directories.upload(upload) / SOURCE

    def drop(self, upload: str) -> None:
        self._directories.drop_upload(upload)

    async def _store(self, path: Path, chunks: AsyncIterator[bytes]) -> None:
        received = 0
        with path.open("xb") as file:
            async for chunk in chunks:
                received += len(chunk)
                if received > self._max_bytes:
                    raise TooLargeError(
                        f"The archive is larger than {self._max_bytes // 2**20} MiB (chutes.max_archive_bytes)."
                    )
                file.write(chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if not received:
            raise BadArchiveError("The body is empty; send a tar archive of the chute's directory.")

    def _is_unpacked(self, folder: Path) -> bool:
        note = folder / UNPACKED_BY
        return note.exists() and note.read_text(encoding="ascii") == self._process

    def _unpack(self, folder: Path) -> None:
        shutil.rmtree(folder / SOURCE, ignore_errors=True)
        bundle.unpack(folder / ARCHIVE, folder / SOURCE, self._limits)
        (folder / UNPACKED_BY).write_text(self._process, encoding="ascii")

    async def _download(self, folder: Path, download: Download, say: Say) -> Path:
        await asyncio.to_thread(shutil.rmtree, folder / SOURCE, ignore_errors=True)
        say("Downloading the bundle")
        return await self._downloader.fetch(
            download.url,
            folder / SOURCE,
            checkout=download.checkout,
            user=download.user,
            secret=download.secret,
            say=say,
        )


@contextlib.contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"What was sent cannot be stored: {error.strerror}. Remove an app or free some space."
        ) from error


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
