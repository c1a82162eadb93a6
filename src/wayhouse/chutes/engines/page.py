"""A web page that says one sentence: what a demo app answers on its port. Used by the fake engine only."""

from __future__ import annotations

import asyncio
import html
from typing import Self

from wayhouse.chutes.model import EngineError

MAX_HEAD_BYTES = 64 * 1024
PATIENCE_S = 10.0


class Page:
    def __init__(self, sentence: str) -> None:
        self._body = f"<!doctype html><title>Demo</title><p>{html.escape(sentence)}</p>".encode()
        self._server: asyncio.Server | None = None

    @classmethod
    async def open(cls, port: int, sentence: str) -> Self:
        """Listen on 127.0.0.1. Raises `EngineError` if the port is taken."""
        page = cls(sentence)
        try:
            page._server = await asyncio.start_server(page._answer, "127.0.0.1", port, limit=MAX_HEAD_BYTES)
        except OSError as error:
            raise EngineError(f"Port {port} of this machine is already in use.", port=port) from error
        return page

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
        try:
            async with asyncio.timeout(PATIENCE_S):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(self._body) + self._body)
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
