"""The static files: read and compressed when first asked for, cached by browsers for ever.

The URL holds a hash over all files, so that a new version of the gateway has new URLs and modules that import each
other always fit together.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from pathlib import Path

from wayhouse.portal.model import Answer

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static/"
FOR_EVER = "public, max-age=31536000, immutable"
_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


class Assets:
    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    @functools.cached_property
    def base(self) -> str:
        """What the URLs of all files begin with: "/static/<hash>"."""
        digest = hashlib.sha256()
        for name, path in sorted(self._files.items()):
            digest.update(name.encode() + b"\0" + path.read_bytes())
        return PREFIX + digest.hexdigest()[:16]

    @functools.cached_property
    def _files(self) -> dict[str, Path]:
        return {
            path.relative_to(self._folder).as_posix(): path
            for path in self._folder.rglob("*")
            if path.is_file() and path.suffix in _MEDIA
        }

    def answer(self, path: str, accept_encoding: str = "") -> Answer | None:
        """The file under a URL path; None: no such file. Only names found at the start are served."""
        version, _, name = path.removeprefix(PREFIX).partition("/")
        if name not in self._files:
            return None
        caching = FOR_EVER if PREFIX + version == self.base else "no-cache"
        plain, packed = self._bytes(name)
        headers: tuple[tuple[str, str], ...] = (("cache-control", caching), ("vary", "Accept-Encoding"))
        if "gzip" in accept_encoding:
            return Answer(packed, 200, _media(name), (*headers, ("content-encoding", "gzip")))
        return Answer(plain, 200, _media(name), headers)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - there is one Assets, and it lives as long as the process
    def _bytes(self, name: str) -> tuple[bytes, bytes]:
        data = self._files[name].read_bytes()
        return data, gzip.compress(data, 9, mtime=0)


def _media(name: str) -> str:
    return _MEDIA[Path(name).suffix]
