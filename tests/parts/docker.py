"""A Docker engine for tests: the machine's own if it answers, else one that we start and stop, and a base image.

Test modules take the fixtures by importing them: `from tests.parts.docker import docker_socket, python_base_image`.
No registry is needed: the base image is put together from the Debian packages that this machine has installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SYSTEM_SOCKET = "/var/run/docker.sock"
BASE_IMAGE = "wayhouse-test-python"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wayhouse-tests"
PACKAGES = (
    "base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "findutils", "grep", "hostname", "libc-bin",
    "libpython3-stdlib", "login", "media-types", "passwd", "procps",
    "python3", "python3-minimal", "sed", "tar", "util-linux", "libcap2-bin",
)  # fmt: skip
PYTHON_PACKAGES = ("{}", "{}-minimal", "lib{}-minimal", "lib{}-stdlib")
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info", "/usr/share/lintian")


def answers(path: str) -> bool:
    """Whether an engine listens on this socket."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(5)
        client.connect(path)
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b"200 OK" in client.recv(1024)
    return False


@contextlib.contextmanager
def own_engine() -> Iterator[str]:
    """A dockerd of our own, with its data in a temporary directory; gone with everything in it at the end."""
    base = Path(tempfile.mkdtemp(prefix="wayhouse-dockerd-"))
    path = str(base / "docker.sock")
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd", "--host", f"unix://{path}", "--data-root", str(base / "data"), "--exec-root", str(base / "run"),
                "--pidfile", str(base / "pid"),
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(path, process, base / "log")
        yield path
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        shutil.rmtree(base, ignore_errors=True)


def _wait_for(path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while not answers(path):
        if process.poll() is not None or time.monotonic() > until:
            pytest.skip(f"dockerd does not start here: {log.read_text(errors='replace')[-300:]}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """Path of the socket of a working engine; skips where there is none and none can be started."""
    if answers(SYSTEM_SOCKET):
        yield SYSTEM_SOCKET
    elif os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("needs Docker: tools/install-test-parts, as root")
    else:
        with own_engine() as path:
            yield path


@pytest.fixture(scope="session")
def python_base_image(docker_socket: str) -> str:
    """Tag of an image with python3, pip, sh, the usual small programs, useradd and setcap; no apt, no network."""
    if shutil.which("dpkg-query") is None:
        pytest.skip("the base image is made from Debian packages")
    archive = base_archive()
    tag = f"{BASE_IMAGE}:{archive.stem.rpartition('-')[2]}"
    docker = ["docker", "--host", f"unix://{docker_socket}"]
    if subprocess.run([*docker, "image", "inspect", tag], capture_output=True).returncode:
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        subprocess.run(
            [*docker, "import", "--change", path, str(archive), tag], check=True, capture_output=True
        )
    return tag


def packages() -> tuple[str, ...]:
    """With those of the system's Python, whichever version that is (python3.11 behind python3)."""
    python = Path("/usr/bin/python3").resolve().name
    return (*PACKAGES, *(name.format(python) for name in PYTHON_PACKAGES))


def base_archive() -> Path:
    """The tar of the base image, made once and kept in the user's cache until the packages change."""
    versions = subprocess.run(["dpkg-query", "-W", *packages()], capture_output=True, text=True).stdout
    key = hashlib.sha256(f"{versions}{PACKAGES}5".encode()).hexdigest()[:12]
    archive = CACHE / f"base-{key}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(f".{os.getpid()}")
        _write_base(part)
        part.replace(archive)
    return archive


def _write_base(target: Path) -> None:
    files = _package_files()
    files |= _libraries(files)
    with tarfile.open(target, "w") as tar:
        for name in ("bin", "sbin", "lib", "lib64"):
            _add_link(tar, name, f"usr/{name}")
        for name, mode in (
            ("tmp", 0o1777),
            ("proc", 0o755),
            ("sys", 0o755),
            ("dev", 0o755),
            ("root", 0o700),
            ("var/tmp", 0o1777),
        ):
            _add_directory(tar, name, mode)
        for name, path in sorted({_merged(path).lstrip("/"): path for path in files}.items()):
            tar.add(path, arcname=name, recursive=False)
        _add_link(tar, "usr/local/bin/python", "/usr/bin/python3")
        for name in ("passwd", "group", "shadow"):
            tar.add(
                f"/usr/share/base-passwd/{name}.master" if name != "shadow" else "/dev/null",
                arcname=f"etc/{name}",
            )
        _add_pip(tar)


def _package_files() -> set[str]:
    listed = subprocess.run(["dpkg", "-L", *packages()], capture_output=True, text=True).stdout.splitlines()
    wanted = {path for path in listed if path.startswith("/") and not path.startswith(LEFT_OUT)}
    return {path for path in wanted if path.count("/") > 1 and (os.path.islink(path) or os.path.isfile(path))}


def _libraries(files: set[str]) -> set[str]:
    """Shared libraries of the programs among `files`, under the names that the loader asks for."""
    programs = [path for path in files if "/bin/" in path or "/sbin/" in path or path.endswith(".so")]
    printed = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout
    found = {
        word
        for line in printed.splitlines()
        for word in line.split()
        if word.startswith("/") and ".so" in word
    }
    names = {name.rstrip(":") for name in found}
    for plugin in ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1"):
        names |= {str(path) for path in Path("/usr/lib").glob(f"*/{plugin}")}
    return names | {os.path.realpath(name) for name in names}


def _merged(path: str) -> str:
    top = path.split("/")[1]
    return f"/usr{path}" if top in {"bin", "sbin", "lib", "lib64"} else path


def _add_pip(tar: tarfile.TarFile) -> None:
    spec = importlib.util.find_spec("pip")
    if spec is None or spec.origin is None:
        return
    home = Path(spec.origin).parent
    base = "usr/local/lib/" + Path("/usr/bin/python3").resolve().name + "/dist-packages/pip"
    tar.add(home, arcname=base, filter=lambda info: None if "__pycache__" in info.name else info)
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(
            "#!/usr/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
        )
        script.flush()
        os.chmod(script.name, 0o755)
        for name in ("pip", "pip3"):
            tar.add(script.name, arcname=f"usr/local/bin/{name}")


def _add_link(tar: tarfile.TarFile, name: str, to: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    tar.addfile(info)


def _add_directory(tar: tarfile.TarFile, name: str, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)
