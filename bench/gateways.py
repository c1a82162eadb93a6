"""Gateways to measure: real daemons on temporary directories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.parts.gateway import PASSWORD, GatewayProcess


@contextmanager
def running(
    folder: Path,
    *,
    engine: str = "sandbox",
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = ("-m", "wayhouse.gateway"),
) -> Iterator[GatewayProcess]:
    """`engine="fake"`: the real daemon with an engine that does nothing, to measure the daemon alone."""
    if engine == "fake":
        command = ("-m", "tests.parts.fake_gateway")
    real = "sandbox" if engine == "fake" else engine
    gateway = GatewayProcess(folder / "data", engine=real, command=command, options=options, env=env)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def token_of(gateway: GatewayProcess) -> str:
    login = {"username": "paradrop", "password": PASSWORD}
    return str(gateway.request("POST", "/api/v1/auth/local", login)[1]["token"])
