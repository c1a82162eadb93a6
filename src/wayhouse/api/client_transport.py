"""Where a gateway is and how to get a connection to it: TCP, TLS with or without a pinned certificate, UNIX socket.

Used by `api.client`. A connection is whole (certificate checked) before the first byte of a request, and with it any
token, is sent. Environment variables for proxies are not heeded: a gateway is a neighbour.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from wayhouse.api.client_errors import StrangeAnswerError, UnreachableError, UntrustedError
from wayhouse.base.errors import BadInputError

CONNECT_S = 10.0
UNIX = "unix:"
PORTS = {"http": 80, "https": 443}
OWN_PORT = 8080
"""Where a gateway listens unless told otherwise; taken for an address without a scheme."""


class Place(msgspec.Struct, frozen=True):
    """Where a gateway answers. `socket` is set for a UNIX socket, `host` and `port` otherwise."""

    scheme: Literal["unix", "http", "https"]
    host: str = ""
    port: int = 0
    socket: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """`http://HOST:PORT`, `https://HOST:PORT`, `HOST[:PORT]` or `unix:PATH`. Raises `BadInputError`."""
        if text.startswith(UNIX):
            return cls.at(Path(text.removeprefix(UNIX).removeprefix("//")))
        return _parse_url(text.strip())

    @classmethod
    def at(cls, path: Path) -> Place:
        if not path.name:
            raise BadInputError(
                "`unix:` needs the path of the gateway's socket, as in unix:/run/wayhouse/wayhouse.sock."
            )
        return cls("unix", socket=str(path.absolute()))

    def __str__(self) -> str:
        if self.scheme == "unix":
            return UNIX + self.socket
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"


class Trust(msgspec.Struct, frozen=True):
    """How a certificate is judged: by the system's authorities, by its SHA-256 (`fingerprint`, 64 hex digits in lower
    case), or not at all (`insecure`)."""

    fingerprint: str | None = None
    insecure: bool = False


def read_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as people write it (colons, upper case, `sha256:` before it). Raises `BadInputError`."""
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if len(digits) != 64 or not all(digit in "0123456789abcdef" for digit in digits):
        raise BadInputError(
            "A fingerprint is the SHA-256 of the certificate: 64 hexadecimal digits, with or without colons."
        )
    return digits


def show_fingerprint(digits: str) -> str:
    return ":".join(digits[at : at + 2].upper() for at in range(0, len(digits), 2))


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def connect(place: Place, trust: Trust, *, wait_s: float) -> http.client.HTTPConnection:
    """An open connection whose reads wait for at most `wait_s`. Raises `UnreachableError`, `UntrustedError`."""
    with reaching(place):
        connection = _connection(place, trust)
        connection.connect()
        connection.sock.settimeout(wait_s)
        return connection


def fingerprint_of(place: Place) -> str:
    """The SHA-256 of the certificate that the place shows, whatever it is worth. Raises `UnreachableError`."""
    connection = _Tls(place.host, place.port, _open_context(), None)
    with reaching(place), contextlib.closing(connection):
        connection.connect()
        return connection.shown()


@contextlib.contextmanager
def reaching(place: Place) -> Iterator[None]:
    """Turns what sockets raise into errors that say what to do next."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        reason = (error.verify_message or "not valid").rstrip(".")
        raise UntrustedError(f"The certificate of {place} is not trusted ({reason}).") from error
    except ssl.SSLError as error:
        raise UnreachableError(
            f"{place} does not speak TLS there; try http:// instead of https://."
        ) from error
    except TimeoutError as error:
        raise UnreachableError(f"{place} does not answer in time.") from error
    except http.client.RemoteDisconnected as error:
        raise UnreachableError(
            f"{place} closed the connection without an answer. If it uses TLS, write https://."
        ) from error
    except http.client.IncompleteRead as error:
        raise UnreachableError(f"The connection to {place} was lost.") from error
    except http.client.HTTPException as error:
        raise StrangeAnswerError(f"What answers at {place} is no gateway.") from error
    except OSError as error:
        raise UnreachableError(_why(place, error)) from error


def _parse_url(text: str) -> Place:
    is_bare = "://" not in text
    if is_bare:
        text = "http://" + text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, parts, port = None, urlsplit(""), None
    if parts.username is not None or parts.password is not None:
        raise BadInputError("Leave user and password out of the address; `wayhouse login` asks for them.")
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise BadInputError(
            "That is no address of a gateway. Write http://HOST:PORT, https://HOST:PORT or unix:PATH."
        )
    if any(ord(char) <= 32 or ord(char) == 127 for char in host):
        raise BadInputError("The host's name holds a character that no name has.")
    usual = OWN_PORT if is_bare else PORTS[parts.scheme]
    return Place("https" if parts.scheme == "https" else "http", host, port or usual)


def _connection(place: Place, trust: Trust) -> http.client.HTTPConnection:
    if place.scheme == "unix":
        return _Unix(place.socket)
    if place.scheme == "http":
        return http.client.HTTPConnection(place.host, place.port, timeout=CONNECT_S)
    checks_itself = trust.insecure or trust.fingerprint is not None
    context = _open_context() if checks_itself else ssl.create_default_context()
    return _Tls(place.host, place.port, context, None if trust.insecure else trust.fingerprint)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


class _Tls(http.client.HTTPSConnection):
    """With `pinned`, the certificate must be that one and nothing else counts."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, pinned: str | None) -> None:
        super().__init__(host, port, timeout=CONNECT_S, context=context)
        self._pinned = pinned

    def connect(self) -> None:
        super().connect()
        if self._pinned is not None and not hmac.compare_digest(self._pinned, self.shown()):
            shown = show_fingerprint(self.shown())
            self.close()
            raise UntrustedError(
                f"{bracketed(self.host)}:{self.port} does not show the certificate that was trusted before; it shows {shown}. "
                "If you know why it is new, sign in again with `wayhouse login`; if not, somebody may be listening in."
            )

    def shown(self) -> str:
        certificate = self.sock.getpeercert(binary_form=True)
        return hashlib.sha256(certificate or b"").hexdigest()


def _open_context() -> ssl.SSLContext:
    """Takes any certificate; the caller compares its fingerprint or was told not to care."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _why(place: Place, error: OSError) -> str:
    if place.scheme == "unix" and isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"No gateway runs at {place}. Start one with `wayhouse up`."
    if isinstance(error, PermissionError):
        return f"You may not use {place}. Use sudo, or sign in with `wayhouse login URL`."
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {place}. Start the gateway there with `wayhouse up`, or check the port."
    if isinstance(error, socket.gaierror):
        return f"No host called {place.host} is known. Check the address."
    if isinstance(error, ConnectionError):
        return f"The connection to {place} was lost."
    return f"{place} cannot be reached: {error.strerror or error}."
