"""Forwards requests to snapd over its UNIX socket, or through the governor's if that is there.

HTTP/1.1 by the standard library, in a thread, with a limit on time and size: snapd may stream without end.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
from pathlib import Path
from urllib.parse import quote

from wayhouse.base.clock import Clock
from wayhouse.host.model import BadSnapdRequestError, SnapdFailedError, SnapdMissingError, SnapdReply

SNAPD = Path("/run/snapd.socket")
GOVERNOR = Path("/var/run/governor.socket")
TIMEOUT_S = 60.0
MAX_REPLY = 16 * 1024 * 1024
MAX_TARGET = 4096
_CHUNK = 64 * 1024
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUERY = re.compile(r"[!-~]*")
_MEDIA = re.compile(r"[ -~]{1,256}")


class Snapd:
    def __init__(
        self, clock: Clock, *, snapd: Path = SNAPD, governor: Path = GOVERNOR, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._clock = clock
        self._snapd = snapd
        self._governor = governor
        self._timeout_s = timeout_s

    async def forward(
        self, method: str, path: str, *, query: str = "", body: bytes = b"", content_type: str | None = None
    ) -> SnapdReply:
        """Send one request; `path` is decoded text such as "/v2/users", `query` still encoded.

        The body goes along only with a content type, as ParaDrop did. Raises `BadSnapdRequestError`,
        `SnapdMissingError` (503), `SnapdFailedError` (502).
        """
        target = target_of(path, query)
        if method.upper() not in _METHODS:
            raise BadSnapdRequestError(f"Use one of the methods {', '.join(sorted(_METHODS))}.")
        if content_type is not None and not _MEDIA.fullmatch(content_type):
            raise BadSnapdRequestError("The content type has characters that no header may have.")
        return await asyncio.to_thread(self._exchange, method.upper(), target, body, content_type)

    def _exchange(self, method: str, target: str, body: bytes, content_type: str | None) -> SnapdReply:
        through_governor = self._governor.is_socket()
        path = self._governor if through_governor else self._snapd
        connection = _UnixConnection(path, self._timeout_s)
        headers = {"Content-Type": content_type} if content_type is not None else {}
        try:
            connection.request(
                method,
                f"/snapd{target}" if through_governor else target,
                body if content_type is not None else None,
                headers,
            )
            return self._read(connection)
        except (OSError, http.client.HTTPException) as error:
            raise SnapdFailedError(
                f"snapd gave no proper answer ({type(error).__name__}). Look at its log."
            ) from error
        finally:
            connection.close()

    def _read(self, connection: _UnixConnection) -> SnapdReply:
        deadline = self._clock.monotonic() + self._timeout_s
        response = connection.getresponse()
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > MAX_REPLY or self._clock.monotonic() > deadline:
                raise SnapdFailedError("The answer of snapd is too long or does not end. Ask for less.")
        if response.length:
            raise SnapdFailedError("snapd closed the connection in the middle of its answer. Try again.")
        return SnapdReply(
            response.status, bytes(body), response.headers.get("Content-Type") or "application/json"
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise SnapdMissingError(f"Nobody answers at {self._path}. Install or start snapd.") from error


def target_of(path: str, query: str) -> str:
    """The request target for a decoded path: absolute, without ways up or control characters. Raises `BadSnapdRequestError`."""
    segments = path.strip("/").split("/")
    if ".." in segments or "." in segments or not path.isprintable():
        raise BadSnapdRequestError("The path has parts that it may not have.")
    if not _QUERY.fullmatch(query):
        raise BadSnapdRequestError("The query has characters that must be percent-encoded.")
    try:
        target = (
            "/"
            + quote("/".join(part for part in segments if part), safe="/:@!$&'()*+,;=~")
            + ("?" + query) * bool(query)
        )
    except UnicodeEncodeError as error:
        raise BadSnapdRequestError("The path is no proper text.") from error
    if len(target) > MAX_TARGET:
        raise BadSnapdRequestError(f"The path and query are longer than {MAX_TARGET} characters.")
    return target
