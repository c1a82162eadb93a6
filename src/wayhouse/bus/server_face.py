"""What every server on the bus answers about itself, under `<host>.<server>.mmi`. Called by the rooms that put services on the bus.

| verb | further frames | answer |
|---|---|---|
| status | | [200] if it is well, else [500] |
| directory | | [name=count of its services][services][topics][mmis][200], each list joined by a bar |
| helper.replies, helper.topics, helper.mmi | start of the names, or nothing | [the one list][200] |

The status is the last frame; whatever else is asked is [501]. `topics` are keys of the clone that it publishes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from wayhouse.bus.model import ERROR, NOT_IMPLEMENTED, OK, Frames

VERBS = ("status", "directory", "helper.replies", "helper.topics", "helper.mmi")
Names = Callable[[], Iterable[str]]


def mmi(
    is_well: Callable[[], bool], services: Names, topics: Names = tuple
) -> Callable[[Sequence[bytes]], Awaitable[Frames]]:
    """The handler for a server's worker."""
    lists: dict[bytes, Names] = {
        b"helper.replies": services,
        b"helper.topics": topics,
        b"helper.mmi": lambda: VERBS,
    }

    async def answer(body: Sequence[bytes]) -> Frames:
        verb = body[0] if body else b""
        if verb == b"status":
            return [OK if is_well() else ERROR]
        if verb == b"directory":
            counted = (f"{name}=1" for name in services())
            return [_joined(counted), _joined(services()), _joined(topics()), _joined(VERBS), OK]
        if verb in lists:
            start = body[1].decode("utf-8", "replace") if len(body) > 1 else ""
            return [_joined(name for name in lists[verb]() if name.startswith(start)), OK]
        return [NOT_IMPLEMENTED]

    return answer


def _joined(names: Iterable[str]) -> bytes:
    return "|".join(sorted(names)).encode()
