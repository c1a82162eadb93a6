"""Where a reader of logs is: in one service's (`LogPlace`) and in an app's (`LogCursor`), so that it can come back.

The engines tell lines apart by their timestamps alone. Several lines may share one (an app may write them in one go), so a
place counts how many of them were read. Used by `chutes.logs`, the engines and the API, which hands cursors to its clients.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.chutes.model import LogLine
from wayhouse.chutes.names import NAME

MOST_CHARS = 8000
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_COUNT = re.compile(r"[1-9][0-9]{0,8}")


class LogPlace(NamedTuple):
    """After the first `lines` lines of the moment `stamp`; with 0, before them."""

    stamp: str = ""
    lines: int = 0

    def after(self, line: LogLine) -> LogPlace:
        """The place once `line` was read too; a line without a timestamp moves nobody."""
        if line.timestamp == self.stamp:
            return LogPlace(self.stamp, self.lines + 1)
        return LogPlace(line.timestamp, 1) if line.timestamp else self

    async def beyond(self, lines: AsyncIterator[LogLine]) -> AsyncIterator[LogLine]:
        """Those of `lines`, which are in order, that come after this place."""
        known = self.lines
        async with aclosing(lines):  # type: ignore[type-var]
            async for line in lines:
                if line.timestamp == self.stamp and known:
                    known -= 1
                elif line.timestamp >= self.stamp:
                    yield line


class LogCursor(msgspec.Struct, frozen=True):
    """A place in each service's log. `begun` is when the reading began: of a service without a place, what came before is
    history, of which the last lines do, and what came later must not be missed.

    As a text: `<service>@<timestamp>` of the last line, with `*<n>` if it was the n-th of that timestamp, separated by
    commas; before them `@<timestamp>`, when it began.
    """

    begun: str = ""
    places: Mapping[str, LogPlace] = {}

    @classmethod
    def parse(cls, text: str) -> LogCursor:
        """Raises `BadInputError`."""
        if len(text) > MOST_CHARS:
            raise _bad_cursor()
        begun, places = "", dict[str, LogPlace]()
        for part in text.split(","):
            service, _, rest = part.partition("@")
            stamp, star, count = rest.partition("*")
            if not _STAMP.fullmatch(stamp) or (star and not _COUNT.fullmatch(count)):
                raise _bad_cursor()
            if service:
                places[_service(service)] = LogPlace(stamp, int(count or 1))
            else:
                begun = stamp
        return cls(begun, places)

    def __str__(self) -> str:
        parts = [f"@{self.begun}"] if self.begun else []
        for service, (stamp, count) in self.places.items():
            parts.append(f"{service}@{stamp}*{count}" if count > 1 else f"{service}@{stamp}")
        return ",".join(parts)

    def after(self, line: LogLine) -> LogCursor:
        """The cursor of whoever has had `line` too."""
        place = self.places.get(line.service, LogPlace()).after(line)
        return LogCursor(self.begun, {**self.places, line.service: place} if place.stamp else self.places)


def moment(wall: float) -> str:
    """Unix seconds as a log's timestamp; down to the millisecond, as the clocks of engines and gateway go together."""
    whole, millis = divmod(int(wall * 1000), 1000)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{millis:03d}000000Z"


def _service(name: str) -> str:
    if not NAME.fullmatch(name):
        raise _bad_cursor()
    return name


def _bad_cursor() -> BadInputError:
    return BadInputError(
        "That is no cursor of a log: write SERVICE@TIMESTAMP of the last line of each service, with commas between. "
        "Leave it out to begin with the last lines.",
        path="resume",
    )
