"""The real daemon on the fake engine, for measurements of the gateway alone. `SAY_LINES=n`: every build says n lines."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.ports import BuildRequest
from wayhouse.gateway import assemble
from wayhouse.gateway.__main__ import main
from wayhouse.ledger.task import Say


class ChattyEngine(FakeEngine):
    async def build(self, request: BuildRequest, say: Say) -> None:
        lines = int(os.environ.get("SAY_LINES", "0"))
        if lines:
            await asyncio.sleep(float(os.environ.get("SAY_AFTER_S", "1")))
        for number in range(lines):
            say(f"Step {number} of {lines}: something like a line of a build")
            if number % 10 == 9:
                await asyncio.sleep(0)
        await super().build(request, say)


async def choose(*_arguments: Any, **_options: Any) -> FakeEngine:
    return ChattyEngine()


assemble.choose = choose

if __name__ == "__main__":
    sys.exit(main())
