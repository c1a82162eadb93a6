"""One line of an `authorized_keys` file, read and checked: pure.

The shape is that of sshd(8): type, base64, comment. Options before the type (`command=...`) are refused, since a key
that comes over the API must not bring commands along.
"""

from __future__ import annotations

import base64
import binascii
import itertools

import msgspec

from wayhouse.access.model import BadKeyError

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
MAX_LINE = 16_384


class PublicKey(msgspec.Struct, frozen=True):
    type: str
    blob: str
    comment: str = ""

    @property
    def line(self) -> str:
        return " ".join(part for part in (self.type, self.blob, self.comment) if part)


def parse(text: str) -> PublicKey:
    """Raises `BadKeyError` that says what is wrong."""
    line = text.strip()
    if not line or len(line) > MAX_LINE or not line.isprintable():
        raise BadKeyError(
            "Send one public key: the one line of a file such as ~/.ssh/id_ed25519.pub.", path="key"
        )
    type_, _, rest = line.partition(" ")
    blob, _, comment = rest.strip().partition(" ")
    if type_ not in TYPES:
        raise BadKeyError(f"The key must begin with its type, one of: {', '.join(TYPES)}.", path="key")
    if not _is_blob_of(blob, type_):
        raise BadKeyError(
            f"This is no {type_} key, or part of it is missing. Copy the whole line.", path="key"
        )
    return PublicKey(type_, blob, " ".join(comment.split()))


def same_key(line: str, key: PublicKey) -> bool:
    """Whether a line of the file, which may have options and another comment, holds this key."""
    words = line.split()
    return any(pair == (key.type, key.blob) for pair in itertools.pairwise(words))


def _is_blob_of(blob: str, type_: str) -> bool:
    """The decoded key begins with its own type as a string (RFC 4253 section 6.6), and goes on."""
    try:
        data = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    head = len(type_).to_bytes(4, "big") + type_.encode()
    return data.startswith(head) and len(data) > len(head)
