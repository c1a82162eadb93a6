"""The few Linux system calls that Python 3.11 lacks: namespaces, mounts, capabilities, process controls.

Used by the shim only. Each function raises `OSError` with the kernel's error number and the name of what it was for.
"""

from __future__ import annotations

import ctypes
import os
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63

_SYS_PIVOT_ROOT = {"x86_64": 155, "i686": 217, "armv7l": 218, "ppc64le": 203, "s390x": 217}
_SYS_PIVOT_ROOT_GENERIC = 41
_SYS_CAPSET = {"x86_64": 126, "i686": 185, "armv7l": 185, "ppc64le": 184, "s390x": 185}
_SYS_CAPSET_GENERIC = 91

_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_ATIME_FLAGS = {os.ST_NOATIME: 1024, os.ST_NODIRATIME: 2048, os.ST_RELATIME: 1 << 21}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def join_namespace(path: str, kind: int) -> None:
    """setns(2): `path` is a file such as /proc/1/ns/net, `kind` one of CLONE_NEW*."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), path)
    finally:
        os.close(descriptor)


def mount(
    source: str | None, target: str, kind: str | None, flags: int = 0, options: str | None = None
) -> None:
    """See the manual page for the arguments."""
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    packed = [ctypes.c_char_p(argument) for argument in arguments]
    _check(_libc.mount(packed[0], packed[1], packed[2], ctypes.c_ulong(flags), packed[3]), target)


def restrict_mount(target: str, flags: int) -> None:
    """Add MS_RDONLY, MS_NOSUID, MS_NODEV to the bind mount at `target` and, from Linux 5.12 on, to all below it."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result != 0:
        mount(None, target, None, MS_BIND | MS_REMOUNT | flags | _present_flags(target))


def _present_flags(target: str) -> int:
    """Flags that a user namespace may not take off again."""
    present = os.statvfs(target).f_flag
    atime = sum(flag for seen, flag in _ATIME_FLAGS.items() if present & seen)
    return (present & (MS_RDONLY | MS_NODEV | MS_NOEXEC)) | atime


def unmount(target: str) -> None:
    """Lazily, with everything below."""
    _check(_libc.umount2(ctypes.c_char_p(os.fsencode(target)), ctypes.c_int(MNT_DETACH)), target)


def pivot_root(new: str, old: str) -> None:
    number = _SYS_PIVOT_ROOT.get(os.uname().machine, _SYS_PIVOT_ROOT_GENERIC)
    new_path, old_path = ctypes.c_char_p(os.fsencode(new)), ctypes.c_char_p(os.fsencode(old))
    _check(_libc.syscall(ctypes.c_long(number), new_path, old_path), "pivot_root")


def _prctl(option: int, first: int = 0, second: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    _check(
        _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(first), ctypes.c_ulong(second), zero, zero), "prctl"
    )


def die_with_parent(signal_number: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """No program started from here on gains rights through setuid bits or file capabilities."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_capabilities_over_setuid() -> None:
    _prctl(_PR_SET_KEEPCAPS, 1)


def limit_capabilities(keep: frozenset[int]) -> None:
    """Take everything but `keep` out of the bounding set; numbers that this kernel does not know are skipped."""
    for number in range(LAST_CAPABILITY + 1):
        if number not in keep:
            try:
                _prctl(_PR_CAPBSET_DROP, number)
            except OSError:
                return


def set_capabilities(keep: frozenset[int], *, ambient: bool) -> None:
    """Hold exactly `keep`; `ambient` hands them on to programs started by a user other than root."""
    low = sum(1 << number for number in keep if number < 32)
    high = sum(1 << (number - 32) for number in keep if number >= 32)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", low, low, low, high, high, high)
    number = _SYS_CAPSET.get(os.uname().machine, _SYS_CAPSET_GENERIC)
    _check(_libc.syscall(ctypes.c_long(number), ctypes.c_char_p(header), ctypes.c_char_p(data)), "capset")
    if ambient:
        for capability in keep:
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
