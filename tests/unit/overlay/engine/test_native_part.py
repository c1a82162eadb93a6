"""The compiled part is used only if it encrypts as the twin does, and takes no argument that would lead it out of its memory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.native_engine import BOTH, environment, native
from wayhouse.overlay.engine import native_part
from wayhouse.overlay.engine.native_part import OUT_BYTES, ROW_BYTES, ROWS, Native
from wayhouse.overlay.wireguard.allowed_ips import AllowedIps

USED = "from wayhouse.overlay.engine.loop import the_native; print(the_native() is not None)"
KEY = bytes(range(32))


@pytest.mark.parametrize("kind", BOTH)
def test_a_process_uses_what_it_finds_unless_it_is_told_not_to(kind: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", USED], env=environment(kind), capture_output=True, text=True, timeout=60, check=True
    )  # fmt: skip
    assert (told.stdout.strip(), told.stderr) == (str(kind == "compiled"), "")


class Broken:
    """A part whose `name` gives something else."""

    def __init__(self, name: str, answer: object) -> None:
        self._name, self._answer = name, answer

    def __getattr__(self, name: str) -> object:
        found = getattr(native(), name)
        return found if name != self._name else lambda *_: self._answer


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        ("seal", (144, 144, 1, 100, 1, 0, 0), "encrypt"),
        ("open", (1, True, 8), "decrypt"),
        ("open", (1, True, 7), "forged|decrypt"),
    ],
)
def test_one_that_does_something_else_is_refused(name: str, answer: object, told: str) -> None:
    with pytest.raises(ImportError, match=told):
        native_part.check(Broken(name, answer))


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(ImportError, match=r"there is no libnothing\.so"):
        native().connect("libnothing.so")
    with pytest.raises(ImportError, match="there is no EVP"):
        native().connect("libc.so.6")
    native_part.check(native())


NUMBERS = st.one_of(
    st.integers(-2, 70), st.sampled_from([1 << 16, 196_607, 196_608, 1 << 20, 1 << 31, 1 << 40, 1 << 64, -1 << 70])
)  # fmt: skip


class Memory:
    """What the functions work on, filled with what looks like rows of packets."""

    def __init__(self, native: Native, seed: int) -> None:
        self.native = native
        self.memory = bytearray(b"\x45\0\0\x28" * (3 << 14))
        self.table = bytearray(ROWS * ROW_BYTES)
        cells = memoryview(self.table).cast("I")
        for row in range(ROWS):
            cells[3 * row] = (seed * row * 977) % (len(self.memory) + 4000 * (seed % 3 == 0))
            cells[3 * row + 1] = (seed * row * 31) % 3000
            cells[3 * row + 2] = row % 3 if seed % 5 else row
        self.out = bytearray(OUT_BYTES)


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, min_size=8, max_size=8), st.integers(0, 1000), st.booleans())
def test_no_argument_leads_out_of_the_memory(numbers: list[int], seed: int, seals: bool) -> None:
    part, made = native(), Memory(native(), seed)
    one, two, three, four, five, six, seven, _ = numbers
    refusals = (ValueError, OverflowError, RuntimeError, IndexError, OSError)
    with contextlib.suppress(*refusals):
        part.alike(made.memory, one, two, three, four)
    with contextlib.suppress(*refusals):
        part.open(
            part.cipher(KEY, False), made.memory, made.table, one, two, three, four, five, six, seven, None
        )
    with contextlib.suppress(*refusals):
        part.open(
            part.cipher(KEY, False),
            made.memory,
            made.table,
            one,
            two,
            three,
            four,
            five,
            six,
            seven,
            b"12345678",
        )
    with contextlib.suppress(*refusals):
        part.seal(
            part.cipher(KEY, True),
            b"12345678",
            one,
            made.memory,
            made.table,
            two,
            three,
            four,
            made.out,
            five,
            six,
        )
    sink = os.open("/dev/null", os.O_WRONLY)
    with contextlib.suppress(*refusals):
        part.deliver(sink, made.memory, made.table, one, AllowedIps(), [None] * 3, seals)
    with contextlib.suppress(*refusals):
        part.receive(sink, made.memory, min(one, 100))
    os.close(sink)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cipher", (b"short", True)),
        ("cipher", ("text", True)),
        ("seal", (object(),) + (0,) * 10),
        ("open", (object(),) + (0,) * 10),
        ("read", (0, b"not writable", bytearray(12), 1)),
        ("read", (0, bytearray(12), b"not writable", 1)),
        ("read", (0, bytearray(12), bytearray(12), 2)),
        ("receive", (0, "text", 1)),
        ("deliver", (0, bytearray(12), bytearray(12), 1, {}, (), False)),
        ("alike", (0,)),
        ("connect", (5,)),
    ],
)  # fmt: skip
def test_what_is_not_what_it_wants(name: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError, BufferError)):
        getattr(native(), name)(*arguments)


def test_errors_of_the_system() -> None:
    part, memory, table = native(), bytearray(3 << 16), bytearray(ROWS * ROW_BYTES)
    with pytest.raises(OSError, match="Bad file descriptor"):
        part.read(999, memory, table, 1)
    assert part.receive(999, memory, 5) == (False, [])
    with socket.socketpair()[
        0
    ] as alone:  # the other end is gone, so that there is an end to be read, again and again
        assert part.read(alone.fileno(), memory, table, 50) == (True, [])


def test_a_cipher_is_of_one_key() -> None:
    part, memory, table = native(), bytearray(3 << 16), bytearray(ROWS * ROW_BYTES)
    memory[:32] = b"\4\0\0\0abcd" + (5).to_bytes(8, "little") + b"?" * 16
    assert part.open(part.cipher(KEY, False), memory, table, 0, 32, 1, 32, 32, 0, 0, None) == (
        0,
        False,
        [None],
    )
