"""Name resolution for sandboxed apps: the hosts file that a chute's services share, and the resolver's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wayhouse.chutes.engines.sandbox import nat

API_NAME = "paradrop.io"
PUBLIC_SERVERS = ("9.9.9.9", "1.1.1.1")
FULL_LIST = Path("/run/systemd/resolve/resolv.conf")
USUAL_LIST = Path("/etc/resolv.conf")


def hosts(services: Iterable[str], extra: Mapping[str, str], *, api: bool) -> str:
    """All services of a chute share one loopback address; `api` puts the gateway's API under its usual name."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"127.0.0.1 {service}" for service in sorted(set(services)) if _is_plain(service)]
    named = {name: address for name, address in extra.items() if not (api and name == API_NAME)}
    if api:
        named[API_NAME] = nat.API_ADDRESS
    lines += [f"{address} {name}" for name, address in sorted(named.items()) if _is_plain(name + address)]
    return "\n".join(lines) + "\n"


def _is_plain(text: str) -> bool:
    return bool(text) and all(c.isalnum() or c in "._-:" for c in text)


def resolver(asked: Sequence[str], *, own_network: bool) -> str:
    """Text of resolv.conf: what the service asks for, else the host's servers that can be reached from the app.

    A server on the host's loopback cannot be reached from a network of its own; if no other is known, public ones
    are used, as Docker does.
    """
    if asked:
        return "".join(f"nameserver {server}\n" for server in asked if _is_plain(server))
    for source in (FULL_LIST, USUAL_LIST):
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        kept = [line for line in text.splitlines() if not (own_network and _is_loopback(line))]
        if any(line.startswith("nameserver") for line in kept):
            return "\n".join(kept) + "\n"
    return "".join(f"nameserver {server}\n" for server in PUBLIC_SERVERS)


def _is_loopback(line: str) -> bool:
    words = line.split()
    return (
        words[:1] == ["nameserver"] and len(words) > 1 and (words[1].startswith("127.") or words[1] == "::1")
    )
