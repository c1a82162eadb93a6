"""SHA-512-crypt (`$6$`), to check the hashes of an imported ParaDrop password file.

Only for checking: a user who signs in with such a hash gets an argon2id one at once (`users`). The steps and letters
are those of Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512", revision 0.6.
"""

from __future__ import annotations

import hashlib
import hmac
import re

_FORM = re.compile(r"\$6\$(?:rounds=([1-9][0-9]{0,8})\$)?([^$:\n]{0,16})\$([./0-9A-Za-z]{86})")
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ORDER = tuple(
    tuple(base + step for base in ((0, 21, 42), (21, 42, 0), (42, 0, 21))[step % 3]) for step in range(21)
)

DEFAULT_ROUNDS = 5000
MIN_ROUNDS = 1000
MAX_ROUNDS = 200_000
"""More than this would hold a processor for seconds; such hashes are refused on import."""


def is_supported(stored: str) -> bool:
    """Whether `verify` can check this hash: well-formed, and not too expensive."""
    match = _FORM.fullmatch(stored)
    return match is not None and int(match[1] or DEFAULT_ROUNDS) <= MAX_ROUNDS


def verify(stored: str, password: bytes) -> bool:
    """Whether `password` fits `stored`; False for anything that is no supported hash. Takes about 10 ms."""
    match = _FORM.fullmatch(stored)
    if match is None or not is_supported(stored):
        return False
    rounds = max(MIN_ROUNDS, int(match[1] or DEFAULT_ROUNDS))
    digest = _digest(password, match[2].encode(), rounds)
    return hmac.compare_digest(_letters(digest), match[3])


def _digest(password: bytes, salt: bytes, rounds: int) -> bytes:
    first = _first(password, salt)
    p = _stretch(hashlib.sha512(password * len(password)).digest(), len(password))
    s = _stretch(hashlib.sha512(salt * (16 + first[0])).digest(), len(salt))
    digest = first
    for number in range(rounds):
        odd = number % 2 == 1
        middle = (s if number % 3 else b"") + (p if number % 7 else b"")
        text = p + middle + digest if odd else digest + middle + p
        digest = hashlib.sha512(text).digest()
    return digest


def _first(password: bytes, salt: bytes) -> bytes:
    alternate = hashlib.sha512(password + salt + password).digest()
    text = password + salt + _stretch(alternate, len(password))
    length = len(password)
    while length:
        text += alternate if length & 1 else password
        length >>= 1
    return hashlib.sha512(text).digest()


def _stretch(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _letters(digest: bytes) -> str:
    out = [_group(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in _ORDER]
    return "".join(out) + _group(digest[63], 2)


def _group(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * place & 63] for place in range(count))
