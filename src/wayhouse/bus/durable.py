"""Durable requests of this process through Titanic, by ids of its own choice: asked twice, done once.

Called by `service`. Rules: Titanic and the broker may be away for a while at any step, which is waited for; a request with an id that
Titanic knows is not stored again, so whoever died in between asks again with the same id and gets the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.model import OK, PENDING, Frames, NoReplyError, ServerError, refusal_of
from wayhouse.bus.titanic_book import accepted, build_order
from wayhouse.bus.titanic_model import CLOSE, REPLY, REQUEST

FIRST_LOOK_S = 0.002
LONGEST_LOOK_S = 0.25
AGAIN_S = 0.2
ATTEMPT_S = 2.5


async def ask(
    client: AsyncMajorDomoClient,
    service: str,
    body: Sequence[bytes],
    *,
    uuid: bytes,
    once: bool = False,
    ttl_s: float | None = None,
) -> Frames:
    """The reply's body. `once`: rather fail than be done twice. Put a timeout around it; the request goes on without.

    Raises `ServerError` when there will be no reply, `ClientError` when the request is not taken.
    """
    await _hand_in(client, build_order("", service, list(body), once=once, ttl_s=ttl_s, uuid=uuid), uuid)
    pause_s = FIRST_LOOK_S
    while True:
        await asyncio.sleep(pause_s)
        answer = await _call(client, REPLY, [uuid.hex().encode()])
        status = answer[0][:3] if answer else b""
        if status == OK:
            return answer[1:]
        if status not in {PENDING, b""}:
            raise ServerError(b" ".join(answer[1:]).decode("utf-8", "replace") or status.decode())
        pause_s = min(LONGEST_LOOK_S, pause_s * 1.5)


async def close(client: AsyncMajorDomoClient, uuid: bytes) -> None:
    """The answer is not wanted any more. One that cannot be told so now expires by itself."""
    await _call(client, CLOSE, [uuid.hex().encode()])


async def _hand_in(client: AsyncMajorDomoClient, order: Frames, uuid: bytes) -> None:
    while True:
        answer = await _call(client, REQUEST, order)
        if answer and accepted(answer) == uuid:
            return
        await asyncio.sleep(AGAIN_S)


async def _call(client: AsyncMajorDomoClient, service: bytes, body: Frames) -> Frames:
    """Empty when nobody answers, or the broker answers in Titanic's stead."""
    try:
        answer = await client.call(service, body, timeout_s=ATTEMPT_S, attempt_s=ATTEMPT_S)
    except NoReplyError:
        return []
    return [] if refusal_of(answer) else answer
