"""Builds the file system that a service sees, in its own mount namespace, out of the steps of the plan.

Nothing of the host is there but what a step names: read-only system directories, the app, its data. Every mount is
`nosuid`, so setuid programs of the host give nothing away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

from wayhouse.chutes.engines.sandbox.shim import kernel

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
HIDDEN_PROC = ("kcore", "keys", "key-users", "timer_list", "sched_debug", "acpi", "scsi")


def build(directory: str, steps: list[dict[str, Any]]) -> None:
    """Make `directory` the root of this mount namespace, furnished by `steps`. Raises `OSError`."""
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_SLAVE)
    Path(directory).mkdir(parents=True, exist_ok=True)
    kernel.mount("tmpfs", directory, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=16m")
    for step in steps:
        target = inside(directory, step["target"])
        _STEPS[step["do"]](target, step)
    _devices(inside(directory, "/dev"))
    _proc(inside(directory, "/proc"))
    _enter(directory)


def inside(root: str, target: str) -> str:
    """`target` below `root`, whatever dots it has."""
    return root + os.path.normpath("/" + target)


def _bind(target: str, step: dict[str, Any]) -> None:
    source = step["source"]
    if step.get("optional") and not Path(source).exists():
        return
    _place(target, is_directory=Path(source).is_dir())
    _bind_mount(source, target, read_only=not step.get("writable", False))


def _bind_mount(source: str, target: str, *, read_only: bool, device: bool = False) -> None:
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    flags = kernel.MS_NOSUID | (kernel.MS_RDONLY if read_only else 0) | (0 if device else kernel.MS_NODEV)
    kernel.restrict_mount(target, flags)


def _place(target: str, *, is_directory: bool) -> None:
    if is_directory:
        Path(target).mkdir(parents=True, exist_ok=True)
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(target):
        Path(target).touch()


def _tmpfs(target: str, step: dict[str, Any]) -> None:
    _place(target, is_directory=True)
    options = f"mode={step.get('mode', '755')},size={step.get('size', '64m')}"
    if "uid" in step:
        options += f",uid={step['uid']},gid={step['uid']}"
    kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def _link(target: str, step: dict[str, Any]) -> None:
    _place(str(Path(target).parent), is_directory=True)
    if not os.path.lexists(target):
        Path(target).symlink_to(step["to"])


def _write(target: str, step: dict[str, Any]) -> None:
    _place(target, is_directory=False)
    Path(target).write_text(step["text"], encoding="utf-8")
    Path(target).chmod(0o644)


def _overlay(target: str, step: dict[str, Any]) -> None:
    """A writable view of `lower`; where the kernel has no overlays, a copy made at the first start."""
    _place(target, is_directory=True)
    layers = f"lowerdir={step['lower']},upperdir={step['upper']},workdir={step['work']}"
    for options in (layers, layers + ",userxattr"):
        try:
            kernel.mount("overlay", target, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP}:
                raise
        else:
            return
    _copy(target, step)


def _copy(target: str, step: dict[str, Any]) -> None:
    _place(target, is_directory=True)
    copy = Path(step["copy"])
    if not copy.exists():
        shutil.copytree(step["lower"], copy, symlinks=True)
        _own_like(Path(step["lower"]), copy)
    _bind_mount(str(copy), target, read_only=False)


def _own_like(original: Path, copy: Path) -> None:
    for path in (copy, *copy.rglob("*")):
        status = (original / path.relative_to(copy)).lstat()
        with contextlib.suppress(PermissionError):
            os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)


def _devices(target: str) -> None:
    _place(target, is_directory=True)
    kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=755,size=64k")
    for name in DEVICES:
        Path(target, name).touch()
        _bind_mount(f"/dev/{name}", f"{target}/{name}", read_only=False, device=True)
    for name, to in DEVICE_LINKS.items():
        Path(target, name).symlink_to(to)
    for name in ("pts", "shm"):
        Path(target, name).mkdir()
    kernel.mount("tmpfs", f"{target}/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777,size=64m")
    with contextlib.suppress(OSError):  # a service without terminals still works
        options = "newinstance,ptmxmode=0666,mode=620"
        kernel.mount("devpts", f"{target}/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)


def _proc(target: str) -> None:
    _place(target, is_directory=True)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", target, "proc", flags)
    for name in READ_ONLY_PROC:
        if Path(target, name).exists():
            _bind_mount(f"{target}/{name}", f"{target}/{name}", read_only=True)
    for name in HIDDEN_PROC:
        path = f"{target}/{name}"
        if Path(path).is_dir():
            kernel.mount("tmpfs", path, "tmpfs", flags | kernel.MS_RDONLY, "size=0")
        elif Path(path).exists():
            kernel.mount("/dev/null", path, None, kernel.MS_BIND)


def _enter(directory: str) -> None:
    os.chdir(directory)
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")
    flags = kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", "/", "tmpfs", flags, "mode=755,size=16m")


_STEPS = {"bind": _bind, "tmpfs": _tmpfs, "link": _link, "write": _write, "overlay": _overlay, "copy": _copy}
