"""Knowing that the keeper has died."""

from __future__ import annotations

import os
import select
import subprocess

import pytest

from wayhouse.gateway.lifeline import KEEPER, keeper_fd, keeper_pid, own_mark


def ended(fd: int) -> bool:
    try:
        return bool(select.select([fd], [], [], 0)[0])
    finally:
        os.close(fd)


@pytest.mark.parametrize("text", [None, "", "1", "x:1", "-1:1", "99999999999:1", "٣:1"])
def test_no_keeper(text) -> None:
    env = {} if text is None else {KEEPER: text}
    assert keeper_fd(env) is None
    assert keeper_pid(env) is None


def test_a_living_keeper() -> None:
    fd = keeper_fd({KEEPER: own_mark()})
    assert fd is not None
    assert not ended(fd)
    assert keeper_pid({KEEPER: own_mark()}) == os.getpid()


def test_a_dead_keeper_and_one_whose_pid_is_anothers() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    for text in (f"{child.pid}:5", f"{os.getpid()}:5"):
        fd = keeper_fd({KEEPER: text})
        assert fd is not None
        assert ended(fd)
        assert keeper_pid({KEEPER: text}) is None
