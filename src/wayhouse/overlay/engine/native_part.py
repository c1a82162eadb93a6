"""The engine's compiled part, where there is one: what it must be able to do before it is used. `python -m` this module builds it.

Called by `loop` and `make fast`. Rules are those of `base.compiled`. It needs a libcrypto from 3.0 on at run time, which Python itself brings
along nearly everywhere; without one the pure twin is used. `WAYHOUSE_PURE_ENGINE=1` leaves it alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wayhouse.base import compiled

PART = compiled.Part(
    module="_wayhouse_engine",
    folder=Path(__file__).with_name("native"),
    switch="WAYHOUSE_PURE_ENGINE",
    what="the overlay's compiled engine",
    user="the overlay",
)
ROWS = 512
"""The most packets that are looked at together."""
ROW_BYTES = 12
"""A row of a table: where a packet begins, its bytes (0: left out), whose it is; 4 bytes each, in the machine's order."""
OUT_BYTES = 1 << 17
"""Room for the largest batch."""
_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.so")

Cipher = object
Run = tuple[int, int, bytes | None]
Train = tuple[int, int, int, bytes]


class Native(Protocol):
    """The functions of `native/`; each says there what it takes and gives."""

    BUILD: str

    def connect(self, name: str, /) -> None: ...

    def cipher(self, key: bytes, seals: bool, /) -> Cipher: ...  # noqa: FBT001 - C has no keywords

    def read(self, fd: int, memory: bytearray, table: bytearray, most: int, /) -> tuple[bool, list[Run]]: ...

    def seal(  # noqa: PLR0913 - one call a batch is what it is for
        self,
        cipher: Cipher,
        header: bytes,
        counter: int,
        memory: bytearray,
        table: bytearray,
        first: int,
        end: int,
        segment: int,
        out: bytearray,
        channel: int,
        mtu: int,
        /,
    ) -> tuple[int, int, int, int, int, int, int]: ...

    def receive(self, fd: int, memory: bytearray, most: int, /) -> tuple[bool, list[Train]]: ...

    def alike(self, memory: bytearray, at: int, stride: int, number: int, length: int, /) -> bool: ...

    def open(  # noqa: PLR0913 - one call a batch is what it is for
        self,
        cipher: Cipher,
        memory: bytearray,
        table: bytearray,
        at: int,
        stride: int,
        number: int,
        length: int,
        last: int,
        row: int,
        owner: int,
        ends: bytes | None,
        /,
    ) -> tuple[int, bool, int | list[int | None]]: ...

    def deliver(
        self,
        fd: int,
        memory: bytearray,
        table: bytearray,
        number: int,
        routes: Mapping[bytes, object],
        owners: Sequence[object],
        has_uso: bool,  # noqa: FBT001 - C has no keywords
        /,
    ) -> tuple[list[tuple[int, int, int, bool]], int, int, int]: ...


def load() -> Native | None:
    """The functions, ready for use; None where the twin is to be used."""
    return cast("Native | None", compiled.load(PART, check))


def check(native: Any) -> None:
    """Join it to libcrypto, and compare what it encrypts and decrypts with the cipher that the twin uses. Raises `ImportError`."""
    _connect(native)
    key, header, counter = bytes(range(32)), b"\4\0\0\0abcd", 7
    nonce = b"\0\0\0\0" + counter.to_bytes(8, "little")
    packet = b"\x45\0\0\x64" + bytes(range(96))
    memory, table, out = bytearray(1 << 17), bytearray(ROWS * ROW_BYTES), bytearray(OUT_BYTES)
    memory[16 : 16 + len(packet)] = packet
    table[:8] = (16).to_bytes(4, sys.byteorder) + len(packet).to_bytes(4, sys.byteorder)
    done = native.seal(native.cipher(key, True), header, counter, memory, table, 0, 1, 0, out, 0, 1280)
    wanted = ChaCha20Poly1305(key).encrypt(nonce, packet + bytes(12), None)
    sealed = bytes(out[: done[0]])
    if done[0] != 144 or sealed != header + nonce[4:] + wanted:
        raise ImportError("it does not encrypt as it should")
    memory[:144] = sealed
    found = native.open(native.cipher(key, False), memory, table, 0, 144, 1, 144, 144, 0, 0, None)
    if found != (1, True, counter) or memory[16 : 16 + len(packet)] != packet:
        raise ImportError("it does not decrypt as it should")
    memory[:144] = sealed[:-1] + bytes([sealed[-1] ^ 1])
    if native.open(native.cipher(key, False), memory, table, 0, 144, 1, 144, 144, 0, 0, None)[0]:
        raise ImportError("it takes what was forged")


def _connect(native: Any) -> None:
    for name in _LIBRARIES:
        try:
            return cast("None", native.connect(name))
        except ImportError as error:
            missing = error
    raise missing


if __name__ == "__main__":
    sys.exit(compiled.main(PART, sys.argv[1:]))
