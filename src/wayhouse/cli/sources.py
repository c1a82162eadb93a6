"""Where an app comes from: a folder, an archive, standard input, an address, or an example that ships with Wayhouse."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.chutes import examples
from wayhouse.cli import packing, specification

TAR, GZIP, ZSTD = "application/x-tar", "application/gzip", "application/zstd"
_MAGIC = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
_ADDRESS = re.compile(r"(?:https?|ssh|git)://|[\w.-]+@[\w.-]+:")
_ENDINGS = (".git", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip")


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says over the app's own specification."""

    name: str | None = None
    environment: Mapping[str, str] = {}
    checkout: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None or bool(self.environment)

    def change(self, text: bytes) -> bytes:
        return specification.changed(text, name=self.name, environment=self.environment)


class Bundle(Protocol):
    """Something that is sent as an archive."""

    def name(self) -> str | None:
        """The app's name, where it can be known before it is sent."""
        ...

    def open(self) -> contextlib.AbstractContextManager[tuple[IO[bytes] | Iterable[bytes], str]]:
        """The bytes and their media type."""
        ...


class Order(msgspec.Struct, frozen=True):
    """Something that the gateway fetches itself."""

    config: dict[str, Any]


def find(text: str, extra: Extra) -> Bundle | Order:
    """What `text` names. Raises `BadInputError`."""
    path = Path(text)
    if _ADDRESS.match(text):
        return Order(_order(text, extra))
    if extra.checkout is not None:
        raise BadInputError("--checkout is for addresses; a folder is sent as it is.")
    if text == "-":
        return _Stream(extra)
    with contextlib.suppress(OSError, ValueError):  # what no file system takes as a name names nothing
        if not path.exists() and "/" not in text:
            path = examples.folders().get(text, path)
        if path.is_dir():
            return _Folder(path, extra)
        if path.is_file():
            return _Archive(path, extra)
    raise BadInputError(f"There is no folder or file {text}. Give a folder, a tar archive or an address.")


class _Folder:
    def __init__(self, path: Path, extra: Extra) -> None:
        self._path = path
        self._extra = extra
        if packing.spec_of(path) is None:
            raise BadInputError(f"{path} holds no paradrop.yaml, so it is no app.")

    def name(self) -> str | None:
        spec = packing.spec_of(self._path)
        return self._extra.name or (specification.name_in(spec.read_bytes()) if spec else None)

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Iterable[bytes], str]]:
        yield packing.pack(self._path, self._extra.change if self._extra else None), TAR


class _Archive:
    def __init__(self, path: Path, extra: Extra) -> None:
        self._path = path
        self._extra = extra

    def name(self) -> str | None:
        if self._extra.name is not None:
            return self._extra.name
        with self._path.open("rb") as file, _plain(file) as plain:
            text = packing.find_spec(plain)
        return specification.name_in(text) if text is not None else None

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[IO[bytes] | Iterable[bytes], str]]:
        with self._path.open("rb") as file:
            if self._extra:
                with _plain(file) as plain:
                    yield packing.repack(plain, self._extra.change), TAR
            else:
                yield file, _media(file)


class _Stream:
    """Standard input: read once, so its name is not known beforehand."""

    def __init__(self, extra: Extra) -> None:
        self._extra = extra
        if sys.stdin.isatty():
            raise BadInputError(
                "Nothing comes in on standard input. Give a folder, or pipe a tar archive in."
            )

    def name(self) -> str | None:
        return self._extra.name

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[IO[bytes] | Iterable[bytes], str]]:
        source = sys.stdin.buffer
        yield (packing.repack(source, self._extra.change) if self._extra else source), TAR


def _order(address: str, extra: Extra) -> dict[str, Any]:
    if address.startswith("git://"):
        raise BadInputError("git:// is not protected against anything. Use https:// or ssh://.")
    download = {"url": address} | ({"checkout": extra.checkout} if extra.checkout else {})
    name = extra.name or name_from(address)
    return {"name": name, "download": download} | (
        {"environment": dict(extra.environment)} if extra.environment else {}
    )


def name_from(address: str) -> str:
    """The last part of an address without its ending: what repositories are called. Raises `BadInputError`."""
    last = re.split(r"[?#]", address)[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if last.lower().endswith(ending):
            last = last[: -len(ending)]
            break
    if not last:
        raise BadInputError("Say how the app is called: --name NAME.")
    return last


@contextlib.contextmanager
def _plain(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """`file` without zstd, which tarfile does not know; it sees to gzip itself."""
    if _media(file) != ZSTD:
        yield file
        return
    import zstandard

    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file) as reader:
        try:
            yield reader
        except zstandard.ZstdError as error:
            raise BadInputError("That is no tar archive, or it is damaged.") from error


def _media(file: IO[bytes]) -> str:
    start = file.read(4)
    file.seek(0)
    return next((media for magic, media in _MAGIC.items() if start.startswith(magic)), TAR)
