"""The walls around a scenario's process, which it builds around itself before it has seen a line of the scenario's code.

Called by `main`. Rules: what can be walled off is; what this machine does not let us wall off is told (`Walls.missing`), never
passed over; nothing here may keep a scenario from running but a parent that is gone.
"""

from __future__ import annotations

import os
import resource

from wayhouse.automation.sandbox import calls_refused, kernel

NOBODY = 65534
_SIGKILL = 9
_SPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_SHOWN = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_POINTS = ("/mnt", "/media", "/srv", "/opt", "/tmp", "/var")  # noqa: S108 - a mount of our own hides it
_OPEN_FILES = 32


class Walls:
    """`shown`: folders that stay to be read from (Python and its libraries)."""

    def __init__(self, shown: list[str], memory_bytes: int) -> None:
        self._shown = [*shown, *(path for path in _SYSTEM if os.path.isdir(path))]  # noqa: PTH112
        self._memory_bytes = memory_bytes
        self._is_root = os.geteuid() == 0
        self.missing: list[str] = []

    def build(self, parent: int) -> None:
        """`parent`: the process that this one must not outlive."""
        self._try("its own view of the machine", self._seclude)
        self._try("a user without rights", self._become_nobody)
        self._try("no capabilities", kernel.drop_capabilities)
        self._try("a memory that nobody looks into", kernel.forbid_attaching)
        kernel.die_with_parent(_SIGKILL)  # after the change of user, which takes it back
        if os.getppid() != parent:
            os._exit(1)
        self._limit()
        self._try("no new rights", kernel.forbid_new_privileges)
        self._try("no system calls that it does not need", self._filter)

    def _try(self, what: str, work: object) -> None:
        try:
            work()  # type: ignore[operator]  # typing would be an import more
        except OSError as error:
            self.missing.append(f"{what} ({error.filename}: {error.strerror})")

    def _seclude(self) -> None:
        """An empty network and a root of its own, with nothing in it but what is shown."""
        self._unshare()
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        root = self._point()
        kernel.mount("none", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
        for path in self._outermost():
            _show(path, root)
        kernel.mount(None, root, None, kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID)
        kernel.change_root(root)

    def _unshare(self) -> None:
        """As root directly; as anybody else, or as a root who may not, in a user namespace."""
        if self._is_root:
            try:
                return kernel.unshare(_SPACES)
            except PermissionError:
                self._is_root = False  # nobody else exists in what follows
        uid, gid = os.geteuid(), os.getegid()
        kernel.unshare(_SPACES | kernel.CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            _write(f"/proc/self/{name}", text)
        return None

    def _outermost(self) -> list[str]:
        """Each folder once; one that is in another shown one comes with it."""
        found: list[str] = []
        for path in sorted(set(self._shown)):
            if not any(path == one or path.startswith(one + "/") for one in found):
                found.append(path)
        return found

    def _point(self) -> str:
        """A folder to mount the new root on, which hides nothing that is shown."""
        sources = [os.path.realpath(path) + "/" for path in self._shown]
        for point in _POINTS:
            if os.path.isdir(point) and not any(one.startswith(point + "/") for one in sources):  # noqa: PTH112
                return point
        raise OSError(2, "no folder to mount it on", "root")

    def _become_nobody(self) -> None:
        if self._is_root and _is_readable_by_all(os.__file__, __file__):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)

    def _limit(self) -> None:
        for kind, value in (
            (resource.RLIMIT_AS, self._memory_bytes),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_NOFILE, _OPEN_FILES),
            (resource.RLIMIT_NPROC, 0),
        ):
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
            resource.setrlimit(kind, (value, value))

    def _filter(self) -> None:
        machine = os.uname().machine
        program = calls_refused.program(machine)
        if program is None:
            raise OSError(38, f"not known on {machine}", "seccomp")
        kernel.filter_calls(program)


def _is_readable_by_all(*files: str) -> bool:
    """An installation that is root's alone could not be read from any more as another user."""
    return all(os.stat(path).st_mode & 0o4 for path in files)  # noqa: PTH116


def _show(path: str, root: str) -> None:
    target = root + path
    os.makedirs(target, exist_ok=True)  # noqa: PTH103
    kernel.mount(os.path.realpath(path), target, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.restrict_mount(target, _SHOWN)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
