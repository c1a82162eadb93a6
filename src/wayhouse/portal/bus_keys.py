"""The keys of the clone as folders to walk through: which there are under a path, and what those say that stand in it.

Used by the bus pages. Rule: names come from the broker, which has them all; values are fetched only for a folder that is small.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import msgspec

from wayhouse.base.errors import UnavailableError
from wayhouse.bus.model import NoReplyError
from wayhouse.bus.service import Bus

NAMES_S = 2.0
VALUES_S = 3.0
MAX_VALUES = 1000
MAX_SHOWN = 300
TOPICS = "mmi.helper.topics"


class KeyRow(msgspec.Struct, frozen=True):
    """`text` is None where the value could not be fetched, `size` in bytes."""

    key: str
    name: str
    text: str | None = None
    size: int = 0


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """`folders` are (name, number of keys in it); `is_cut`: there are more; `is_away`: the bus did not answer."""

    path: str
    folders: list[tuple[str, int]]
    keys: list[KeyRow]
    is_cut: bool = False
    is_away: bool = False

    @property
    def names(self) -> set[str]:
        return {row.name for row in self.keys}

    @property
    def parents(self) -> list[tuple[str, str]]:
        """(name, path) of the folders above, the outermost first."""
        parts = [part for part in self.path.split("/") if part]
        return [(part, "/" + "/".join(parts[: at + 1]) + "/") for at, part in enumerate(parts)]


def folder_path(text: str | None) -> str:
    """A path with a slash before and behind, whatever was asked for."""
    inner = (text or "").strip("/")[:1000]
    return f"/{inner}/" if inner else "/"


async def browse(bus: Bus, path: str) -> Folder:
    """`path` as `folder_path` makes it."""
    names = await _names(bus, path)
    if names is None:
        return Folder(path=path, folders=[], keys=[], is_away=True)
    folders, keys = sort_out(path, names)
    values = await _values(bus, path) if keys and len(names) <= MAX_VALUES else {}
    shown = [_row(path, key, values.get(key)) for key in keys[:MAX_SHOWN]]
    return Folder(path=path, folders=folders, keys=shown, is_cut=len(keys) > MAX_SHOWN)


def sort_out(path: str, names: Iterable[str]) -> tuple[list[tuple[str, int]], list[str]]:
    """What stands under `path`: (folder, number of keys) and keys, each in order. A key need not begin with a slash."""
    folders: Counter[str] = Counter()
    keys = []
    for name in names:
        rest = name[len(path) :] if name.startswith(path) else name.lstrip("/") if path == "/" else ""
        first, slash, _ = rest.partition("/")
        if slash and first:
            folders[first] += 1
        elif rest:
            keys.append(name)
    return sorted(folders.items()), sorted(keys)


async def _names(bus: Bus, path: str) -> list[str] | None:
    try:
        answer = await bus.call(TOPICS, [b"" if path == "/" else path.encode()], timeout_s=NAMES_S)
    except (NoReplyError, UnavailableError):
        return None
    text = answer[0].decode("utf-8", "replace") if len(answer) > 1 else ""
    return [name for name in text.split("|") if name]


async def _values(bus: Bus, path: str) -> dict[str, bytes]:
    try:
        async with asyncio.timeout(VALUES_S), bus.subscriber(path) as subscriber:
            await subscriber.synchronised()
            return {key: message.body or b"" for key, message in subscriber.kvmap.items()}
    except (TimeoutError, UnavailableError):
        return {}


def _row(path: str, key: str, body: bytes | None) -> KeyRow:
    name = key.removeprefix(path)
    return KeyRow(key, name, None if body is None else frame_text(body), len(body or b""))


def frame_text(frame: bytes) -> str:
    """Bytes from the bus for people: text if they are, else hexadecimal digits; the beginning of it."""
    cut = frame[:2000]
    try:
        text = cut.decode("utf-8")
    except UnicodeDecodeError:
        return cut[:200].hex(" ") + ("…" if len(frame) > 200 else "")
    return text + ("…" if len(frame) > len(cut) else "")
