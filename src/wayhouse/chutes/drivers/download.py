"""Bundles from elsewhere: repositories by git, archives by HTTP. Implements `Downloader` of `ports.py`.

A password is sent to the place it was given for and to no other, whatever redirects say; it is in no argument, message
or log. Archives are stored with a limit and then unpacked by the rules for uploads.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from wayhouse.base.errors import NotFoundError, OutsideError, UnavailableError
from wayhouse.chutes import bundle
from wayhouse.chutes.bundle import ArchiveLimits
from wayhouse.chutes.drivers.git import Git
from wayhouse.chutes.model import BadArchiveError
from wayhouse.chutes.origin import Origin, is_same_place, origin, shown
from wayhouse.ledger.task import Say

if TYPE_CHECKING:
    import aiohttp

SCHEMES = frozenset({"http", "https", "ssh"})
REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 5
CHUNK = 256 * 1024
ARCHIVE = ".download"


class SourceDownloader:
    """`schemes` may be widened by `file`, for repositories on this machine. `github` and `github_api` are where
    GitHub's tarballs are: the API is asked when there is a secret, since only it takes one."""

    def __init__(
        self,
        *,
        limits: ArchiveLimits,
        schemes: frozenset[str] = SCHEMES,
        timeout_s: float = 900.0,
        idle_timeout_s: float = 60.0,
        ssh_key: Path | None = None,
        known_hosts: Path | None = None,
        github: str = "https://github.com",
        github_api: str = "https://api.github.com/repos",
    ) -> None:
        self._limits = limits
        self._schemes = schemes
        self._timeout_s = timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._github = github
        self._github_api = github_api
        self._git = Git(
            limits=limits, schemes=schemes, timeout_s=timeout_s, ssh_key=ssh_key, known_hosts=known_hosts
        )

    async def fetch(
        self, url: str, into: Path, *, checkout: str | None, user: str | None, secret: str | None, say: Say
    ) -> Path:
        """Put the source into the empty or missing directory `into` and return the directory in it that holds the
        bundle. After a failure `into` is empty.

        Raises `BadInputError` for an order that makes no sense, `OutsideError` or `NotFoundError` when the other side
        does not give it, `BadArchiveError` for what it gives.
        """
        source = origin(url, checkout=checkout, user=user, secret=secret, schemes=self._schemes)
        await asyncio.to_thread(into.mkdir, parents=True, exist_ok=True)
        say(f"Fetching {shown(source.url)}")
        try:
            if source.is_git:
                await self._git.checkout(source, into)
            else:
                await self._archive(source, into)
            return await asyncio.to_thread(bundle.find_bundle, into)
        except BaseException:
            bundle.clear(into)
            raise

    async def _archive(self, source: Origin, into: Path) -> None:
        archive = into.with_name(into.name + ARCHIVE)
        try:
            await self._store(source, archive)
            await asyncio.to_thread(bundle.unpack, archive, into, self._limits)
        finally:
            archive.unlink(missing_ok=True)

    async def _store(self, source: Origin, archive: Path) -> None:
        """The first of the source's addresses that exists."""
        addresses = self._addresses(source)
        for address in addresses:
            try:
                await self._get(address, source, archive)
            except NotFoundError:
                if address == addresses[-1]:
                    raise
            else:
                return

    def _addresses(self, source: Origin) -> list[str]:
        if source.github is None:
            return [source.url]
        base = self._github_api if source.secret else self._github
        wanted = [source.checkout] if source.checkout else ["master", "HEAD"]
        owner, name = source.github
        return [f"{base}/{owner}/{name}/tarball/{urllib.parse.quote(one)}" for one in wanted]

    async def _get(self, address: str, source: Origin, archive: Path) -> None:
        import aiohttp

        limit = aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=20, sock_read=self._idle_timeout_s)
        try:
            async with aiohttp.ClientSession(timeout=limit, auto_decompress=False) as session:
                await self._follow(session, address, source, archive)
        except TimeoutError as error:
            raise OutsideError(f"{shown(address)} does not answer in time.") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise OutsideError(f"{shown(address)} cannot be fetched ({type(error).__name__}).") from error
        except OSError as error:
            raise UnavailableError(f"The download cannot be stored: {error.strerror}.") from error

    async def _follow(
        self, session: aiohttp.ClientSession, address: str, source: Origin, archive: Path
    ) -> None:
        here = address
        for _ in range(MAX_REDIRECTS + 1):
            headers = _headers(source if is_same_place(here, address) else None)
            async with session.get(here, headers=headers, allow_redirects=False) as response:
                if response.status not in REDIRECTS:
                    await self._keep(response, here, archive)
                    return
                here = self._next(here, response.headers.get("Location", ""))
        raise OutsideError(f"{shown(address)} sends from one place to the next without end.")

    def _next(self, here: str, location: str) -> str:
        target = urllib.parse.urljoin(here, location)
        scheme = urllib.parse.urlsplit(target).scheme
        is_worse = here.startswith("https:") and scheme != "https"
        if not location or scheme not in {"http", "https"} or scheme not in self._schemes or is_worse:
            raise OutsideError(f"{shown(here)} sends to a place that is not safe to follow.")
        return target

    async def _keep(self, response: aiohttp.ClientResponse, here: str, archive: Path) -> None:
        if response.status in {404, 410}:
            raise NotFoundError(f"{shown(here)} is not there. Check the address and the checkout.")
        if response.status in {401, 403}:
            raise OutsideError(f"{shown(here)} wants another user or secret ({response.status}).")
        if response.status != 200:
            raise OutsideError(f"{shown(here)} answers {response.status}.")
        if (response.content_length or 0) > self._limits.archive_bytes:
            raise self._too_large(here)
        await self._write(response.content.iter_chunked(CHUNK), here, archive)

    async def _write(self, chunks: AsyncIterator[bytes], here: str, archive: Path) -> None:
        received = 0
        with archive.open("wb") as file:
            async for chunk in chunks:
                received += len(chunk)
                if received > self._limits.archive_bytes:
                    raise self._too_large(here)
                await asyncio.to_thread(file.write, chunk)

    def _too_large(self, here: str) -> BadArchiveError:
        return BadArchiveError(f"{shown(here)} is larger than {self._limits.archive_bytes // 2**20} MiB.")


def _headers(source: Origin | None) -> dict[str, str]:
    """With the secret of `source`, if it has one; the archive is wanted as it is, not packed once more for the way."""
    headers = {"Accept-Encoding": "identity"}
    if source is not None and source.basic:
        headers["Authorization"] = source.basic
    return headers
