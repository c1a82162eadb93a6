"""What the gateway says on the terminal when it is ready: where to look, how to get in, what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from wayhouse.access.model import FirstBoot
from wayhouse.api.resources.auth import SIGN_IN_PAGE
from wayhouse.gateway import certificate

if TYPE_CHECKING:
    from wayhouse.gateway.assemble import Gateway


def banner(
    first: FirstBoot | None,
    gateway: Gateway,
    *,
    host: str,
    port: int,
    tls: tuple[Path, Path] | None,
    bus: str,
    options_data: Path | None,
) -> str:
    """Secrets are in it only at the very first start, which is the only time anyone can see them. `bus`: the broker's address."""
    url = f"{'https' if tls else 'http'}://{_reachable(host)}:{port}"
    lines = ["", f"  Wayhouse is ready: {url}", ""]
    if first is not None:
        lines.append(f"  Open this once to sign in:  {url}{SIGN_IN_PAGE}{first.link_code}")
        secret = first.password or "as given in WAYHOUSE_ADMIN_PASSWORD"
        lines += [f"  Later:                      user {first.username}, password {secret}", ""]
    if tls is not None:
        lines += [f"  Certificate (SHA-256):      {certificate.fingerprint(tls[0])}", ""]
    info = gateway.engine_info
    lines.append(f"  Apps run in:                {info.name} ({info.version})")
    lines += [f"    note: {sentence}" for sentence in info.limits]
    lines.append(f"  Devices and programs meet:  {bus}")
    lines += ["", f"  Try:  {_program()} {_data(options_data)}chute install {_example()}", ""]
    return "\n".join(lines) + "\n"


def _reachable(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - comparing, not binding
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _program() -> str:
    import sys

    near = Path(sys.executable).parent / "wayhouse"
    try:
        return str(near.relative_to(Path.cwd())) if near.exists() else "wayhouse"
    except ValueError:
        return str(near)


def _data(data: Path | None) -> str:
    return f"--data {shlex.quote(str(data))} " if data is not None else ""


def _example() -> str:
    """The example app: in a checkout its folder, else its name, which the command line knows."""
    here = Path("examples/hello")
    return str(here) if here.is_dir() else "hello"
