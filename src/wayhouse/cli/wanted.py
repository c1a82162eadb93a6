"""The options that every command takes, as they were given. Light: it is made before anything else is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Wanted:
    """`gateway` is an address, `data` the folder of a daemon of this machine; the rest is as the help says."""

    gateway: str | None = None
    data: Path | None = None
    fingerprint: str | None = None
    insecure: bool = False
    json: bool = False

    def over(self, other: Wanted) -> Wanted:
        """What is said here, and what `other` says beside it: `wayhouse --data A status --json`."""
        names_one = self.gateway is not None or self.data is not None
        return Wanted(
            gateway=self.gateway if names_one else other.gateway,
            data=self.data if names_one else other.data,
            fingerprint=self.fingerprint or other.fingerprint,
            insecure=self.insecure or other.insecure,
            json=self.json or other.json,
        )


def from_environment(env: Mapping[str, str]) -> Wanted:
    """WAYHOUSE_GATEWAY and WAYHOUSE_DATA."""
    gateway, data = env.get("WAYHOUSE_GATEWAY") or None, env.get("WAYHOUSE_DATA") or None
    return Wanted(gateway=gateway, data=Path(data) if data is not None and gateway is None else None)
