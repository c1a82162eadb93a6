"""What may be the name of something in a specification: pure checks, called by `fields.py` and its users.

Names of chutes and services become names of containers, images, networks and directories, so only letters, digits,
`_`, `.` and `-` are taken, 63 characters at the most, and, as Docker wants it for images, a letter or digit at both
ends and no two of `.` and `_` side by side (`__` is fine). Packages, images and languages
end up in a Dockerfile and get patterns that leave no room for anything else.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re

NAME = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]+(?:(?:[._]|__|-+)[A-Za-z0-9]+)*")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:~=-]{0,127}")
LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}")
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE_NAME = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*")
IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
IMAGE = re.compile(
    rf"{IMAGE_NAME.pattern}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)
VARIABLE = re.compile(r"[^=\s\x00-\x1f\x7f]{1,256}")
LEASE = re.compile(r"[0-9]{1,9}[dhmsw]?|infinite")
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252})")

TAKEN_BY_DOCKER = frozenset({"bridge", "host", "none", "default"})
"""A chute's network bears its name; these networks are the engine's own."""

MAX_REFERENCE = 512

NAME_RULE = "letters and digits, with single `.`, `_` or `-` between them, at most 63 in all"


def is_chute_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None and text not in TAKEN_BY_DOCKER


def is_image(text: str) -> bool:
    """A container image reference such as `nginx`, `ghcr.io/me/app:1.2` or `redis@sha256:...`."""
    return len(text) <= MAX_REFERENCE and IMAGE.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address without a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def safe_folder(text: str) -> str | None:
    """`text` as a normal path below the bundle (`.` is the bundle itself), or None if it would leave it."""
    if (
        not text
        or text.startswith("/")
        or "\\" in text
        or any(ord(char) < 32 or ord(char) == 127 for char in text)
    ):
        return None
    normal = posixpath.normpath(text)
    return None if normal == ".." or normal.startswith("../") else normal
