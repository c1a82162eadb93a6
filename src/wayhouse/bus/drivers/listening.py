"""Listening sockets that are made here, or come from a predecessor.

Called by the drivers of the bus. Rule: a UNIX socket's stale file is removed, one that somebody listens on is not.
"""

from __future__ import annotations

import socket
from pathlib import Path

from wayhouse.bus.model import EndpointError

BACKLOG = 512


def listen(endpoint: str) -> socket.socket:
    """Bind `tcp://<address>:<port>` (port 0: any free one) or `ipc://<path>`. Raises `EndpointError`."""
    try:
        sock = _listen_unix(_path(endpoint)) if endpoint.startswith("ipc://") else _listen_tcp(endpoint)
    except (OSError, ValueError, TypeError, OverflowError) as error:  # TypeError: a NUL in the name
        raise EndpointError(f"{endpoint} cannot be listened on: {error}", endpoint=endpoint) from error
    return sock


def endpoint_of(listener: socket.socket) -> str:
    """What a peer connects to."""
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"ipc://{address}"
    host = f"[{address[0]}]" if listener.family == socket.AF_INET6 else address[0]
    return f"tcp://{host}:{address[1]}"


def adopt(fd: int) -> socket.socket:
    """The listening socket behind a descriptor that was handed over; it belongs to the caller then. Raises `EndpointError`."""
    try:
        sock = socket.socket(fileno=fd)
        accepts = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        raise EndpointError(f"descriptor {fd} is no socket: {error}") from error
    if not accepts:
        sock.detach()
        raise EndpointError(f"descriptor {fd} does not listen.")
    return sock


def endpoint_at(fd: int) -> str:
    """The endpoint of a listening descriptor, which is left as it is. Raises `EndpointError`."""
    sock = adopt(fd)
    endpoint = endpoint_of(sock)
    sock.detach()
    return endpoint


def remove_stale(path: Path) -> None:
    """Remove the file of a UNIX socket that nobody listens on."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


def _listen_tcp(endpoint: str) -> socket.socket:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not endpoint.startswith("tcp://"):
        raise ValueError("an endpoint is tcp://<address>:<port> or ipc://<path>")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)


def _listen_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        remove_stale(path)
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _path(endpoint: str) -> Path:
    return Path(endpoint.removeprefix("ipc://"))
