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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from wayhouse.base.errors import BadInputError, PermanentError
from wayhouse.gateway.http_connection import APPS as APPS  # noqa: PLC0414 - named here with the other sockets
from wayhouse.gateway.http_connection import HttpConnection
from wayhouse.gateway.traffic import State
from wayhouse.gateway.websocket_connection import WebSocketConnection

BACKLOG = 512
PING_S = 10.0
PONG_S = 5.0
MAX_FRAME = 1024 * 1024
CLOSE_S = 1


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


class Server(uvicorn.Server):
    """uvicorn without its own signal handling, since the gateway owns the signals, and able to rest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.traffic = self.server_state = State()

    def rest(self) -> None:
        """Accept nothing, and begin no request on what was accepted; the sockets go on listening."""
        self.traffic.is_resting = True
        loop = asyncio.get_running_loop()
        for sock in self._listening():
            loop.remove_reader(sock)

    def carry_on(self) -> None:
        if not self.traffic.is_resting:
            return
        self.traffic.is_resting = False
        for one in self.servers if self.started else ():
            if one.sockets:
                one._serving = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio can only begin to accept
                one._start_serving()  # type: ignore[attr-defined]  # noqa: SLF001 - the same without await

    def _listening(self) -> list[Any]:
        return [sock for one in self.servers for sock in one.sockets] if self.started else []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, *, certificate: Path | None = None, key: Path | None = None) -> Server:
    """Raises `BadInputError` if certificate and key are none or do not fit together."""
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws=WebSocketConnection,
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
        ws_per_message_deflate=False,  # its state takes memory for each watcher, and cannot move
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
