"""Reads an `Authorization` header: pure, never raises anything but `UnauthenticatedError`, for any text.

`Basic` comes as base64 (RFC 7617) or, as ParaDrop documents, in plain text (`Basic admin:password`). It is split at the
first colon, so passwords may hold colons; without a colon it is a user with an empty password.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from wayhouse.base.errors import UnauthenticatedError

MAX_HEADER = 8192


class Basic(msgspec.Struct, frozen=True):
    username: str
    password: str

    def __repr__(self) -> str:
        return "Basic(...)"


class Bearer(msgspec.Struct, frozen=True):
    token: str

    def __repr__(self) -> str:
        return "Bearer(...)"


def parse(header: str) -> Basic | Bearer:
    """The credentials in the value of an `Authorization` header. Raises `UnauthenticatedError`."""
    if len(header) > MAX_HEADER:
        raise UnauthenticatedError("The Authorization header is too long.")
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if not value:
        raise UnauthenticatedError("The Authorization header has no value. Send `Basic ...` or `Bearer ...`.")
    match scheme.lower():
        case "basic":
            username, _, password = _user_and_password(value).partition(":")
            return Basic(username, password)
        case "bearer":
            return Bearer(value)
    raise UnauthenticatedError("This Authorization scheme is not known here. Use Basic or Bearer.")


def _user_and_password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return value
