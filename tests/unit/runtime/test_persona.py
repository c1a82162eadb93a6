"""Becoming somebody else, in a process that may be thrown away."""

from __future__ import annotations

import os
import pwd

import pytest

from wayhouse.base.errors import NotFoundError
from wayhouse.runtime.persona import become_user
from wayhouse.runtime.process import Process

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def in_child(check) -> int:
    process = Process(check)
    process.start()
    return process.join(10)


def test_already_that_user_answers_the_home() -> None:
    me = pwd.getpwuid(os.getuid())
    assert become_user(me.pw_name) == me.pw_dir


def test_no_such_user() -> None:
    for name in ("no-such-user-here", "a\0b"):
        with pytest.raises(NotFoundError):
            become_user(name)


@root
def test_fix_roots_supplementary_groups_are_left_behind() -> None:
    nobody = pwd.getpwnam("nobody")

    def check() -> None:
        os.setgroups([0, 4242])
        assert become_user("nobody") == nobody.pw_dir
        assert os.getresuid() == (nobody.pw_uid,) * 3
        assert os.getresgid() == (nobody.pw_gid,) * 3
        assert not {0, 4242} & set(os.getgroups())
        with pytest.raises(PermissionError):
            os.setuid(0)
        with pytest.raises(Exception, match="only root can execute with modified privileges"):
            become_user("root")

    assert in_child(check) == 0
