"""Turns a container's specification into the shim's plan: what its root looks like, who it is, what it may use.

Plain data in, plain data out (`plan.json`); the only look at the host is which system directories it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from wayhouse.chutes.engines.sandbox.images import APP_UID, Image
from wayhouse.chutes.engines.sandbox.limits import Applied
from wayhouse.chutes.model import EngineError
from wayhouse.chutes.ports import ContainerSpec

APP = "/opt/paradrop/app"
HOME = "/home/paradrop"
BIN = "/opt/paradrop/bin"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SHOWN_ETC = (
    "alternatives",
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki/tls/certs",
    "pki/ca-trust",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
)
UNSAFE_IN_OVERLAY = frozenset(",:\\")

Step = dict[str, Any]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of one container are on the host. `hosts` is the chute's shared hosts file."""

    directory: Path
    app: Path
    hosts: Path
    resolv: str
    network: dict[str, str]
    api: dict[str, Any] | None
    mapped: bool


def plan(spec: ContainerSpec, image: Image, place: Place, applied: Applied) -> dict[str, Any]:
    """Raises `EngineError` if the specification cannot be run in a sandbox."""
    uid = 0 if spec.as_root else APP_UID
    return {
        "argv": command(spec),
        "environment": environment(spec.environment, image),
        "cwd": APP,
        "uid": uid,
        "mapped": place.mapped,
        "hostname": hostname(spec.service),
        "directory": str(place.directory / "root"),
        "steps": [*base_steps(uid), *_own_steps(spec, image, place)],
        "network": place.network,
        "api": place.api,
        "ports": ports(spec),
        "cgroups": list(applied.groups),
        "limits": applied.resources,
        "restart": spec.restart.value,
        "log_bytes": spec.log_bytes,
    }


def command(spec: ContainerSpec) -> list[str]:
    """A text goes to a shell, as in a Dockerfile; a list is run as it is."""
    if not spec.command:
        raise EngineError(
            f"{spec.service} says no command. Without Docker or Podman the gateway cannot read it from an image: "
            "add `command` to the service."
        )
    if isinstance(spec.command, str):
        return ["/bin/sh", "-c", spec.command]
    return list(spec.command)


def environment(given: Mapping[str, str], image: Image) -> dict[str, str]:
    path = ":".join((*image.paths, PATH, BIN))
    return {"PATH": path, "HOME": HOME, "LANG": "C.UTF-8", **image.environment, **given}


def hostname(service: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "-" for c in service).strip("-")
    return name[:63] or "app"


def ports(spec: ContainerSpec) -> list[dict[str, Any]]:
    """What the shim forwards. In the host's own network a port that keeps its number needs no forwarding."""
    return [
        {"host": port.host, "container": port.container, "protocol": port.protocol}
        for port in spec.ports
        if port.host is not None and not (spec.network_mode == "host" and port.host == port.container)
    ]


def base_steps(uid: int) -> list[Step]:
    """The part of the root that every program gets."""
    return [
        *_system(),
        *(
            {"do": "bind", "source": f"/etc/{name}", "target": f"/etc/{name}", "optional": True}
            for name in SHOWN_ETC
        ),
        {"do": "write", "target": "/etc/passwd", "text": _PASSWD},
        {"do": "write", "target": "/etc/group", "text": "root:x:0:\nparadrop:x:999:\nnogroup:x:65534:\n"},
        {
            "do": "write",
            "target": "/etc/nsswitch.conf",
            "text": "passwd: files\ngroup: files\nhosts: files dns\n",
        },
        {"do": "tmpfs", "target": "/tmp", "mode": "1777", "size": "256m"},  # noqa: S108 - the app's own
        {"do": "tmpfs", "target": "/var/tmp", "mode": "1777", "size": "256m"},  # noqa: S108
        {"do": "tmpfs", "target": "/run", "mode": "755", "size": "16m", "uid": uid},
        {"do": "tmpfs", "target": HOME, "mode": "755", "size": "64m", "uid": uid},
        *_python_name(),
    ]


_PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n"
    f"paradrop:x:999:999:ParaDrop app:{HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
)


def _system() -> Iterable[Step]:
    for path in SYSTEM:
        place = Path(path)
        if place.is_symlink():
            yield {"do": "link", "target": path, "to": str(place.readlink())}
        elif place.is_dir():
            yield {"do": "bind", "source": path, "target": path}


def _python_name() -> Iterable[Step]:
    """Images for Python have the name `python`; hosts often only have `python3`."""
    if not Path("/usr/bin/python").exists() and Path("/usr/bin/python3").exists():
        yield {"do": "link", "target": f"{BIN}/python", "to": "/usr/bin/python3"}


def _own_steps(spec: ContainerSpec, image: Image, place: Place) -> Iterable[Step]:
    yield {"do": "bind", "source": str(place.hosts), "target": "/etc/hosts"}
    yield {"do": "write", "target": "/etc/hostname", "text": hostname(spec.service) + "\n"}
    yield {"do": "write", "target": "/etc/resolv.conf", "text": place.resolv}
    layer = place.directory / "layer"
    yield {
        "do": "copy" if UNSAFE_IN_OVERLAY & set(f"{place.app}{layer}") else "overlay",
        "target": APP,
        "lower": str(place.app),
        "upper": str(layer / "upper"),
        "work": str(layer / "work"),
        "copy": str(layer / "copy"),
    }
    for source, target in sorted(image.binds.items()):
        yield {"do": "bind", "source": source, "target": target}
    for mount in spec.mounts:
        if not Path(mount.source).is_dir():
            raise EngineError(
                f"The directory {mount.source} for {mount.target} of {spec.service} does not exist."
            )
        yield {"do": "bind", "source": mount.source, "target": mount.target, "writable": mount.writable}
