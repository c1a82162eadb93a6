"""Random identifiers and secrets, all from the operating system's generator."""

from __future__ import annotations

import secrets

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def token_hex(bits: int = 128) -> str:
    """A secret of `bits` random bits, in lower-case hexadecimal."""
    return secrets.token_hex(bits // 8)


def token_urlsafe(bits: int = 256) -> str:
    return secrets.token_urlsafe(bits // 8)


def short_id(length: int = 10) -> str:
    """An identifier that is easy to read aloud; unique, not secret."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def readable_password(groups: int = 4) -> str:
    """A password that is easy to copy by hand, 20 bits a group (`groups=4`: 80 bits)."""
    return "-".join(short_id(4) for _ in range(groups))
