"""A small virtual machine with Debian's own kernel, for what the kernel of this machine lacks: WireGuard, netem, VLANs, simulated radios.

`VirtualMachine(folder).run(script, *words)` boots it (QEMU emulates, so that no hardware help is needed), runs a Python script of the repository in it as root and gives
what it printed. Programs and libraries are this machine's own: `/usr` and the repository are shared read-only over 9P; kernel and modules come
from Debian's package, and stay in a cache folder. Rule: it is slow, so tests with it run only where `WAYHOUSE_VM_LAB=1` asks for them.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SWITCH = "WAYHOUSE_VM_LAB"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REPOSITORY = Path(__file__).parents[2]
_PROGRAMS = ("qemu-system-x86_64", "apt-get", "apt-cache", "dpkg", "depmod", "ip", "wg", "nft", "ping")
_MODULES = (
    "kernel/arch/x86/crypto",
    "kernel/crypto",
    "kernel/drivers/net/veth.ko",
    "kernel/drivers/net/tun.ko",
    "kernel/drivers/net/virtio_net.ko",
    "kernel/drivers/net/net_failover.ko",
    "kernel/drivers/net/wireguard",
    "kernel/drivers/net/wireless/mac80211_hwsim.ko",
    "kernel/drivers/virtio",
    "kernel/fs/9p",
    "kernel/fs/fscache",
    "kernel/fs/netfs",
    "kernel/lib",
    "kernel/net",
)
"""Of the kernel's package; with their dependencies these are all that a lab loads."""
_FOLDERS = ("dev", "etc", "job", "proc", "root", "run/netns", "sys", "tmp", "usr", "var/tmp", "lib")
_INIT = """#!/busybox sh
export PATH={path} HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
/busybox mount -t proc proc /proc; /busybox mount -t sysfs sys /sys; /busybox mount -t devtmpfs dev /dev
/busybox mount -t tmpfs run /run; /busybox mount -t tmpfs tmp /tmp; /busybox mkdir -p /run/netns /dev/pts /dev/shm /dev/net
/busybox ln -s /proc/self/fd /dev/fd; for one in 0:stdin 1:stdout 2:stderr; do /busybox ln -s fd/${{one%:*}} /dev/${{one#*:}}; done
/busybox mount -t devpts pts /dev/pts; /busybox mount -t tmpfs shm /dev/shm
for module in virtio_pci 9pnet_virtio 9p; do /busybox modprobe $module; done
share() {{ /busybox mkdir -p "$2"; /busybox mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$3" "$1" "$2"; }}
{shares}
share job /job rw
for module in tun veth wireguard nf_tables; do /sbin/modprobe $module; done
ip link set lo up
cd {repository}
sh /job/command >/job/output 2>&1
echo $? >/job/code
/busybox sync; echo o >/proc/sysrq-trigger; /busybox sleep 60
"""


def missing() -> str:
    """Why there can be no such machine here; empty when there can."""
    if os.environ.get(SWITCH) != "1":
        return f"takes minutes: set {SWITCH}=1 to run it (needs root and `apt-get install qemu-system-x86 iproute2 nftables wireguard-tools`)"
    absent = [name for name in _PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"needs {', '.join(absent)}: apt-get install qemu-system-x86 kmod iproute2 nftables wireguard-tools iputils-ping"
    return "" if os.uname().machine == "x86_64" else "needs an x86-64 machine"


class VirtualMachine:
    """`folder` is for what goes in and comes out of this one."""

    def __init__(self, folder: Path, *, memory_mb: int = 1536) -> None:
        self._folder = folder
        self._memory_mb = memory_mb

    def run(self, script: str, *words: str, longest_s: float) -> str:
        """What `python <script> <words>` printed; `script` is a path in the repository. Raises `AssertionError` with all that was said if it failed."""
        kernel, initramfs = prepare()
        job = self._folder / "job"
        job.mkdir()
        quoted = " ".join(f"'{word}'" for word in (sys.executable, script, *words))
        (job / "command").write_text(f"PYTHONPATH={REPOSITORY}:{REPOSITORY}/src exec {quoted}\n")
        console = self._folder / "console"
        command = [*self._command(kernel, initramfs, console), *_shares({**_shared(), "job": str(job)})]
        done = subprocess.run(
            ["timeout", f"{longest_s:.0f}", "nice", "-n", "10", *command],
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        output = (job / "output").read_text(errors="replace") if (job / "output").exists() else ""
        code = (job / "code").read_text().strip() if (job / "code").exists() else "none"
        said = f"{console.read_text(errors='replace')[-3000:]}\n{done.stderr.decode(errors='replace')}"
        assert code == "0", f"ended with {code}:\n{output}\nconsole: {said}"
        return output

    def _command(self, kernel: Path, initramfs: Path, console: Path) -> list[str]:
        return [
            "qemu-system-x86_64",
            *(
                "-accel",
                "tcg,thread=multi,tb-size=512",
                "-cpu",
                "max",
                "-smp",
                "2",
                "-m",
                str(self._memory_mb),
            ),
            *("-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}"),
            *("-kernel", str(kernel), "-initrd", str(initramfs)),
            *("-append", "console=ttyS0 rdinit=/init quiet panic=-1 mitigations=off nokaslr"),
        ]


def _shared() -> dict[str, str]:
    """Folders that the machine sees where they are here, by tag: what the interpreter and its packages are in."""
    found = ["/usr", str(REPOSITORY)]
    for text in (sys.base_prefix, sys.prefix, str(Path(sys.executable).resolve().parent)):
        if not any(Path(text).is_relative_to(one) for one in found):
            found.append(text)
    return {f"share{number}": text for number, text in enumerate(found)}


def _shares(folders: dict[str, str]) -> Iterator[str]:
    for tag, text in folders.items():
        yield "-virtfs"
        is_fixed = "" if tag == "job" else ",readonly=on"
        yield f"local,path={text},mount_tag={tag},security_model=none,multidevs=remap{is_fixed}"


def prepare() -> tuple[Path, Path]:
    """Kernel and initramfs, from the cache or made now. Needs Debian's packages only when made."""
    name = _kernel_package()
    version = name.removeprefix("linux-image-")
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "wayhouse-vm-lab" / version
    if not (cache / "vmlinuz").exists():
        _unpack(cache, name, version)
    initramfs = cache / f"initramfs-{os.getpid()}"
    _write_initramfs(initramfs, cache)
    initramfs.replace(cache / "initramfs.gz")
    return cache / "vmlinuz", cache / "initramfs.gz"


def _kernel_package() -> str:
    told = subprocess.run(
        ["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Depends: (linux-image-[0-9][\w.+-]*)", told)
    assert found is not None, f"apt-cache knows no kernel; run apt-get update: {told}"
    return found[1]


def _unpack(cache: Path, name: str, version: str) -> None:
    """The kernel last: its presence says that all is there."""
    fresh = cache.with_name(f"{version}-{os.getpid()}")
    fresh.mkdir(parents=True)
    try:
        for package in (name, "busybox-static"):
            subprocess.run(["apt-get", "download", package], cwd=fresh, check=True, capture_output=True)
        for package in fresh.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, fresh / "all"], check=True, capture_output=True)
        modules = fresh / "root/lib/modules" / version
        modules.mkdir(parents=True)
        for text in _MODULES:
            _copy(fresh / "all/lib/modules" / version, modules, text)
        for path in (fresh / "all/lib/modules" / version).glob("modules.*"):
            shutil.copy(path, modules)
        subprocess.run(["depmod", "-b", fresh / "root", version], check=True, capture_output=True)
        shutil.copy(fresh / "all/bin/busybox", fresh / "root/busybox")
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()
        (fresh / "root").rename(cache / "root")
        (fresh / f"all/boot/vmlinuz-{version}").rename(cache / "vmlinuz")
    finally:
        shutil.rmtree(fresh)


def _copy(source: Path, target: Path, text: str) -> None:
    if not (source / text).exists():
        return
    (target / text).parent.mkdir(parents=True, exist_ok=True)
    if (source / text).is_dir():
        shutil.copytree(source / text, target / text)
    else:
        shutil.copy(source / text, target / text)


def _write_initramfs(target: Path, cache: Path) -> None:
    """Cheap, so made anew each time: what is shared depends on where the repository and its interpreter are."""
    shares = "\n".join(f"share {tag} '{text}' ro,cache=loose,access=any" for tag, text in _shared().items())
    init = _INIT.format(path=PATH, shares=shares, repository=REPOSITORY)
    with gzip.open(target, "wb", compresslevel=1) as out:
        for folder in sorted({str(parent) for one in _FOLDERS for parent in _with_parents(Path(one))}):
            out.write(_entry(folder, stat.S_IFDIR | 0o755, b""))
        out.write(_entry("init", stat.S_IFREG | 0o755, init.encode()))
        for name, to in _links().items():
            out.write(_entry(name, stat.S_IFLNK | 0o777, to.encode()))
        out.write(_entry("etc/ld.so.cache", stat.S_IFREG | 0o644, Path("/etc/ld.so.cache").read_bytes()))
        out.write(_entry("etc/hosts", stat.S_IFREG | 0o644, b"127.0.0.1 localhost\n::1 localhost\n"))
        for path in sorted((cache / "root").rglob("*")):
            kind = stat.S_IFDIR if path.is_dir() else stat.S_IFREG
            data = b"" if path.is_dir() else path.read_bytes()
            if str(path.relative_to(cache / "root")) != "lib":
                out.write(_entry(str(path.relative_to(cache / "root")), kind | 0o755, data))
        out.write(_entry("TRAILER!!!", 0, b""))


def _with_parents(path: Path) -> Iterator[Path]:
    yield path
    yield from (one for one in path.parents if str(one) != ".")


def _links() -> dict[str, str]:
    """As in Debian, where `/bin` and its like are in `/usr`; `/lib` is a folder of its own, for the modules."""
    found = {name: f"usr/{name}" for name in ("bin", "lib64", "sbin")}
    return {**found, "lib/x86_64-linux-gnu": "/usr/lib/x86_64-linux-gnu"}


def _entry(name: str, mode: int, data: bytes) -> bytes:
    """Of a cpio archive in the format newc."""
    raw = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)
