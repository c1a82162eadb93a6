"""Becoming another user, for good. Called at boot, by root, before anything else runs in the process."""

from __future__ import annotations

import os
import pwd

from wayhouse.base.errors import ForbiddenError, NotFoundError


def become_user(name: str) -> str:
    """Take the user id, group id and supplementary groups of `name`; answers the home directory.

    Raises `NotFoundError` for no such user and `ForbiddenError` for a caller who is neither root nor already `name`.
    """
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError) as error:
        raise NotFoundError(f"There is no user {name!r} on this machine.") from error
    if set(os.getresuid()) == {entry.pw_uid}:
        return entry.pw_dir
    if os.geteuid() != 0:
        raise ForbiddenError("only root can execute with modified privileges")
    os.initgroups(name, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    return entry.pw_dir
