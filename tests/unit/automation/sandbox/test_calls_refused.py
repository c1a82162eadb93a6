"""The filter of system calls: its numbers against this machine's headers, and its shape."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import pytest

from wayhouse.automation.sandbox.calls_refused import MACHINES, REFUSED, program

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_numbers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("needs the kernel's headers (linux-libc-dev)")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text()))
    column = MACHINES[machine][1]
    for name, numbers in REFUSED.items():
        assert str(numbers[column]) == found.get(name, "None"), name


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_shape(machine: str) -> None:
    code = program(machine)
    assert code is not None
    steps = list(struct.iter_unpack("=HBBI", code))
    assert len(steps) < 4096
    for place, (operation, if_true, if_false, _) in enumerate(steps):
        assert operation in {0x20, 0x15, 0x35, 0x06}
        assert place + 1 + max(if_true, if_false) < len(steps) or operation == 0x06
    assert steps[-1] == (0x06, 0, 0, 0x7FFF0000)


def test_a_machine_that_is_not_known() -> None:
    assert program("pdp11") is None
    assert os.uname().machine
