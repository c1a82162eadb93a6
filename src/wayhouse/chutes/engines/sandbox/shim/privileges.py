"""Gives up rights before a service's program starts. Used by the shim for services, builds and `execute`."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping

from wayhouse.chutes.engines.sandbox.shim import kernel

_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _KILL, _SETGID, _SETUID = 0, 1, 3, 4, 5, 6, 7
_NET_BIND_SERVICE = 10

FOR_USERS = frozenset({_NET_BIND_SERVICE})
FOR_ROOT = FOR_USERS | {_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _KILL, _SETGID, _SETUID}


def become(uid: int, gid: int, *, mapped: bool) -> None:
    """Become `uid`:`gid` for good, with a handful of capabilities (root) or one (others) and none to gain.

    `mapped`: this process is in a user namespace of its own in which it is `uid` already.
    """
    keep = FOR_ROOT if uid == 0 else FOR_USERS
    kernel.limit_capabilities(keep)
    kernel.keep_capabilities_over_setuid()
    if not mapped:
        os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kernel.set_capabilities(keep, ambient=uid != 0)
    kernel.forbid_new_privileges()


def limit(limits: Mapping[str, int]) -> None:
    """Set resource limits by name ("data", "nproc", "core" ...), as far as the present hard limits allow."""
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name.upper()}")
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (ceiling, ceiling))
