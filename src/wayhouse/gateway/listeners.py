"""The sockets the gateway listens on, and how uvicorn serves them.

TCP for people and programs; a UNIX socket where the kernel tells who is calling (peer credentials), for the machine's own
commands; another UNIX socket for apps in the sandbox, where a caller is nobody until its token says otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from wayhouse.api.http import PEER
from wayhouse.base.errors import BadInputError, PermanentError

BACKLOG = 512
PING_S = 10.0
PONG_S = 5.0
MAX_FRAME = 1024 * 1024
CLOSE_S = 1
MAX_HEAD = 512 * 1024
"""Bytes that a sender may send without finishing a head or a part of a body; more than one read of the loop's."""
HEAD_S = 20.0
"""How long a sender may take for the head of a request."""
APPS = "apps.sock"


def bind_tcp(host: str, port: int) -> socket.socket:
    """Raises `PermanentError` that says what to do when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)  # with its number asyncio turns Nagle's delay off
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError as error:
        raise PermanentError(_cannot_listen(host, port, error)) from error
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise PermanentError(_cannot_listen(host, port, error)) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def bind_unix(path: Path, mode: int) -> socket.socket:
    """A fresh socket at `path`; the caller holds the lock that says that no other gateway uses it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise PermanentError(
            f"The socket {path} cannot be made: {error.strerror or error}. A shorter --data path may help."
        ) from error
    path.chmod(mode)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or :PORT (all addresses). Raises `BadInputError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise BadInputError(
            f"`{text}` is no address to listen on. Write HOST:PORT, for example 127.0.0.1:8080."
        )
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - asked for by leaving the host out


class _Http(HttpToolsProtocol):
    """Fills in who is calling where a UNIX socket knows it, and bounds what a sender can leave unfinished: the parser
    itself would collect a head without end, for as long as it takes."""

    _unfinished = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = _client(transport) or self.client
        self._deadline = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The request does not come to an end.")
        elif self._unfinished == 0:
            self._set_deadline(None)
        elif self._deadline is None:
            self._set_deadline(self.loop.call_later(HEAD_S, self.transport.close))

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()

    def shutdown(self) -> None:
        """A stream would not end by itself: it hears that the client is gone."""
        super().shutdown()
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            self.transport.close()

    def _set_deadline(self, deadline: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = deadline


class _WebSocket(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = _client(transport) or self.client

    def keepalive_timeout(self) -> None:
        """Closing in good order would wait for a client that reads nothing to take what is still to be sent."""
        super().keepalive_timeout()
        self.transport.abort()


def _client(transport: asyncio.Transport) -> tuple[str, int] | None:
    """(`unix:<uid>`, pid) on the gateway's own socket, ("apps", 0) on that of the apps, None on TCP."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    name = sock.getsockname()
    if not isinstance(name, str) or name.endswith(APPS):
        return "apps", 0
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return f"{PEER}{uid}", pid


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, *, certificate: Path | None = None, key: Path | None = None) -> Server:
    """Raises `BadInputError` if certificate and key are none or do not fit together."""
    config = uvicorn.Config(
        app,
        http=_Http,
        ws=_WebSocket,
        lifespan="off",
        loop="none",
        interface="asgi3",
        log_config=None,
        log_level="warning",  # at DEBUG it would log every header and frame: secrets, and the log's own stream
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=CLOSE_S,
        backlog=BACKLOG,
        ws_max_size=MAX_FRAME,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PONG_S,
        ssl_certfile=str(certificate) if certificate else None,
        ssl_keyfile=str(key) if key else None,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError, ValueError) as error:
        raise BadInputError(
            f"TLS cannot be served with {certificate} and {key}: {error}. Give a PEM certificate and its own key."
        ) from error
    return Server(config)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    shown = f"[{host}]" if ":" in host else host
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return (
            f"Port {port} of {host} is in use. Stop the program that has it (`ss -ltnp` names it), "
            f"or choose another: --listen {shown}:{other}"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs root. Choose one above 1023: --listen {shown}:8080"
    return f"The gateway cannot listen on {host}:{port}: {error.strerror or error}."
