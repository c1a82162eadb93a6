"""The few Linux system calls that Python 3.11 lacks and the sandbox needs: namespaces, mounts, capabilities, process controls.

Called by `walls` alone. Each function raises `OSError` with the kernel's error number and the name of what it was for.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
_MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_MOUNT_SETATTR = 442
_AT_RECURSIVE = 0x8000
NUMBERS = {"x86_64": (155, 126), "aarch64": (41, 91), "armv7l": (218, 185), "armv6l": (218, 185)}
"""By machine: `pivot_root`, `capset`."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [ctypes.c_char_p(None if one is None else os.fsencode(one)) for one in (source, target, kind)]
    text = ctypes.c_char_p(None if options is None else options.encode())
    _check(_libc.mount(*texts, ctypes.c_ulong(flags), text), target)


def restrict_mount(target: str, flags: int) -> None:
    """Of the bind mount at `target` and, from Linux 5.12 on, of all below it."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(-100),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result != 0:
        mount(None, target, None, MS_BIND | MS_REMOUNT | flags)


def change_root(new: str) -> None:
    """`new` is a mount; what was the root before is gone afterwards. Raises `OSError` on machines it does not know, too."""
    machine = os.uname().machine
    if machine not in NUMBERS:
        raise OSError(38, f"not known on {machine}", "pivot_root")
    os.chdir(new)
    dot = ctypes.c_char_p(b".")
    _check(_libc.syscall(ctypes.c_long(NUMBERS[machine][0]), dot, dot), "pivot_root")
    _check(_libc.umount2(dot, ctypes.c_int(_MNT_DETACH)), "umount")
    os.chdir("/")


def drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    machine = os.uname().machine
    if machine not in NUMBERS:
        raise OSError(38, f"not known on {machine}", "capset")
    number = NUMBERS[machine][1]
    _check(_libc.syscall(ctypes.c_long(number), ctypes.byref(header), ctypes.byref(data)), "capset")


def _prctl(option: int, first: int, second: object = 0) -> None:
    zero = ctypes.c_ulong(0)
    last = ctypes.c_ulong(second) if isinstance(second, int) else second
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(first), last, zero, zero), "prctl")


def die_with_parent(signal_number: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def forbid_attaching() -> None:
    """No other process of this user looks into this one's memory."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filter_calls(program: bytes) -> None:
    """`program`: instructions of classic BPF, 8 bytes each."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(Program(len(program) // 8, program)))
