"""What the changes of this room carry, as stored in the ledger, and the kinds they come under."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from wayhouse.chutes.model import Environment


class Kind(enum.StrEnum):
    """Kinds of change; the part after the dot is the seed's `updateType`."""

    CREATE = "chute.create"
    UPDATE = "chute.update"
    DELETE = "chute.delete"
    START = "chute.start"
    STOP = "chute.stop"
    RESTART = "chute.restart"

    @property
    def update_type(self) -> str:
        return self.value.partition(".")[2]


class Install(msgspec.Struct, frozen=True, kw_only=True):
    """Of CREATE and UPDATE. `upload` is the place of what was sent (a bundle, or the order to download one);
    `fields` are merged over the bundle's own specification, or are all of it when there is no bundle."""

    upload: str | None = None
    fields: dict[str, Any] = {}


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """Of START and RESTART. `environment` replaces the chute's; `fields` are those of `PUT .../config`."""

    environment: Environment | None = None
    fields: dict[str, Any] = {}


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """An order to fetch a bundle, kept in the upload's own private file, since it may hold a secret."""

    url: str
    checkout: str | None = None
    user: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Download({self.url!r})"
