"""Addresses that must be the same after a restart: our own where we had to move, and those that peers go by in our private view.

Used by `gateway_node.py`. Rule: a file that is damaged counts as empty: addresses are given anew, which breaks nothing but habits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain, place
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, UnavailableError

log = logging.getLogger(__name__)

FILE = "addresses.json"
_MOST_BYTES = 1024 * 1024


class _Kept(msgspec.Struct, frozen=True):
    own: str = ""
    given: dict[str, str] = {}


class KeptAddresses:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = _read(path)

    @property
    def own(self) -> str:
        return self._kept.own

    @property
    def given(self) -> Mapping[str, str]:
        """By uid."""
        return self._kept.given

    def keep(self, *, own: str | None = None, given: Mapping[str, str] | None = None) -> None:
        """What is left out stays. A disk that does not take it is told once in the log, and tried again with the next change."""
        wanted = _Kept(
            own=self.own if own is None else own, given=dict(self.given if given is None else given)
        )
        if wanted == self._kept:
            return
        self._kept = wanted
        try:
            place(self._path, codec.encode_json(wanted), os.rename)
        except (UnavailableError, UnsafeFileError) as error:
            log.warning("addresses are not on disk: %s", error)


def _read(path: Path) -> _Kept:
    try:
        with open_plain(path) as file:
            return codec.decode_json(file.read(_MOST_BYTES), _Kept, what=f"file {path.name}")
    except FileNotFoundError:
        return _Kept()
    except (UnsafeFileError, BadInputError) as error:
        log.warning("%s is not used: %s", path, error)
        return _Kept()
