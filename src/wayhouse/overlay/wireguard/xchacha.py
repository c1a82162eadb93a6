"""XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), with which a cookie is sealed.

Used by `cookies.py`. Rule: HChaCha20 is taken from the library's ChaCha20: its block is the permutation plus the initial state, so the
initial words that are known - the constants and the nonce - are subtracted again.
"""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

_FOUR = struct.Struct("<4I")
_CONSTANTS = _FOUR.unpack(b"expand 32-byte k")


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """32 bytes, from a key of 32 bytes and a nonce of 16."""
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    first = zip(_FOUR.unpack_from(block), _CONSTANTS, strict=True)
    last = zip(_FOUR.unpack_from(block, 48), _FOUR.unpack(nonce), strict=True)
    words = [(word - known) & 0xFFFFFFFF for known_half in (first, last) for word, known in known_half]
    return struct.pack("<8I", *words)


def _cipher(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def xseal(key: bytes, nonce: bytes, plain: bytes, extra: bytes) -> bytes:
    """`nonce` has 24 bytes."""
    cipher, short = _cipher(key, nonce)
    return cipher.encrypt(short, plain, extra)


def xopen(key: bytes, nonce: bytes, sealed: bytes, extra: bytes) -> bytes:
    """Raises the library's `InvalidTag`."""
    cipher, short = _cipher(key, nonce)
    return cipher.decrypt(short, sealed, extra)
