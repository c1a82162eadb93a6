"""Knocks on ports: is a service there (health checks), is a port of this machine free (port allocation)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import urllib.parse

CONNECT_S = 2.0
LINGER_S = 0.05
ANSWER_S = 10.0
_PLAIN = "/?#[]@!$&'()*+,;=:%"


class SocketProber:
    """A forwarder may accept before the app does and then hang up, so a connection counts only if it stays open."""

    async def tcp(self, host: str, port: int) -> str:
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            return f"port {port}: {_words(error)}"
        try:
            async with asyncio.timeout(LINGER_S):
                if not await reader.read(1):
                    return f"port {port}: the connection is closed at once"
        except TimeoutError:
            return ""
        except OSError as error:
            return f"port {port}: {_words(error)}"
        finally:
            await _close(writer)
        return ""

    async def http(self, host: str, port: int, path: str) -> str:
        """Healthy is any status from 200 to 399."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._get(host, port, path)
        except (OSError, TimeoutError) as error:
            return f"GET {path}: {_words(error)}"
        except ValueError:  # a first line without end
            return f"GET {path}: answered no HTTP"

    async def _get(self, host: str, port: int, path: str) -> str:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            target = urllib.parse.quote(path, safe=_PLAIN)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            line = (await reader.readline()).split()
        finally:
            await _close(writer)
        is_http = len(line) > 1 and line[0].startswith(b"HTTP/") and line[1].isdigit()
        status = int(line[1]) if is_http else 0
        return "" if 200 <= status < 400 else f"GET {path}: answered {status or 'no HTTP'}"


class SocketPorts:
    def is_free(self, port: int, protocol: str) -> bool:
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as trial:
            if kind == socket.SOCK_STREAM:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("0.0.0.0", port))  # noqa: S104 - only to ask, closed at once
            except OSError as error:  # a port that only the engine may open is for the engine to refuse
                return error.errno != errno.EADDRINUSE
        return True


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await writer.wait_closed()


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)  # asyncio puts an address in the place of the reason
    return getattr(error, "strerror", None) or type(error).__name__
