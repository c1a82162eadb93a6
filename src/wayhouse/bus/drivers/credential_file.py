"""The file of credentials as it is now: it is looked at each second, and before anybody is refused or let in.

Made by `server`, as one of the loop's parts. Rules: whoever was taken out of it is told to the server, which closes the connections; a file
that is damaged, unsafe or gone changes nothing, and is told in the log once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from wayhouse.access.known_peers import KnownPeers
from wayhouse.base.codec import decode_json
from wayhouse.base.errors import BadInputError
from wayhouse.bus.drivers.security import KnownCredentials
from wayhouse.bus.keys import read_secret

log = logging.getLogger(__name__)

LOOK_S = 1.0


def read(path: str | Path) -> KnownPeers:
    """Raises `BadInputError`."""
    return decode_json(read_secret(path), KnownPeers, what="file of credentials")


class CredentialFile:
    """`on_removed` is called when somebody may not connect any more. Raises `BadInputError` for a file that cannot be used from the start."""

    def __init__(self, path: str | Path, now: float, *, on_removed: Callable[[], object]) -> None:
        self._path = path
        self._on_removed = on_removed
        self._at = now + LOOK_S
        self._sign = _sign(path)
        self._peers = read(path)
        self._known = KnownCredentials(self._peers)

    def plain(self, user: str, password: str) -> str | None:
        self._look()
        return self._known.plain(user, password)

    def curve(self, key: bytes) -> str | None:
        self._look()
        return self._known.curve(key)

    def tick(self, now: float) -> None:
        self._at = now + LOOK_S
        self._look()

    def deadline(self) -> float:
        return self._at

    def close(self, now: float) -> None:
        """Nothing is open."""

    def _look(self) -> None:
        sign = _sign(self._path)
        if sign == self._sign:
            return
        self._sign = sign
        try:
            peers = read(self._path)
        except BadInputError as error:
            log.warning("%s Those who could connect before still can.", error)
            return
        before, self._peers, self._known = self._peers, peers, KnownCredentials(peers)
        log.info("%d peers may connect", len(peers))
        if _entries(before) - _entries(peers):
            self._on_removed()


def _sign(path: str | Path) -> tuple[int, ...]:
    """Another one after each change."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _entries(peers: KnownPeers) -> set[tuple[str, str, str]]:
    kinds = {"curve": peers.curve, "plain": peers.plain, "plain_sha256": peers.plain_sha256}
    return {(kind, *pair) for kind, entries in kinds.items() for pair in entries.items()}
