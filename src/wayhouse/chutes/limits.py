"""What Wayhouse adds to a service: how to know that it works, when to start it again, and how much it may use.

Called by `service_spec.py`. Sizes are bytes or text such as `256M` (binary: 1 K is 1024), times are seconds.
"""

from __future__ import annotations

import re
from typing import Any

from wayhouse.chutes.fields import Fields, fault, kind_of, text, whole
from wayhouse.chutes.model import Health, Limits, Restart

MIN_MEMORY = 6 * 2**20
MAX_BYTES = 2**50
_SIZE = re.compile(r"([0-9]{1,15})(?:([KMGT])(?:i?B)?|B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def health(fields: Fields, *, has_web_port: bool) -> Health | None:
    """Exactly one of `http`, `tcp` and `command`; `http` needs a port unless the service is the chute's web service."""
    result = Health(
        http=_http(fields),
        tcp=fields.port("tcp"),
        command=_command(fields),
        port=fields.port("port"),
        timeout_s=fields.number("timeout", 0.1, 3600) or 30.0,
        interval_s=fields.number("interval", 0.05, 600) or 0.5,
    )
    if [result.http, result.tcp, result.command].count(None) != 2:
        raise fault(
            fields.path, "must have exactly one of `http` (a path), `tcp` (a port) and `command` (a list)"
        )
    if result.http is not None and result.port is None and not has_web_port:
        raise fault(f"{fields.path}.port", "is missing: say on which port of the app the check is answered")
    if result.http is None and result.port is not None:
        raise fault(f"{fields.path}.port", "belongs to `http` alone")
    fields.finish()
    return result


def _http(fields: Fields) -> str | None:
    value, path = fields.take("http")
    if value is None:
        return None
    found = text(value, path)
    if not found.startswith("/") or " " in found or not found.isascii():
        raise fault(path, "must be a path such as /health")
    return found


def _command(fields: Fields) -> list[str] | None:
    value, _ = fields.take("command")
    if value is None:
        return None
    words = [text(word, path, limit=4096, lines=True) for word, path in fields.items("command")]
    if not words or not words[0]:
        raise fault(f"{fields.path}.command", "must be a list of a program and its arguments")
    return words


def restart(fields: Fields, name: str = "restart") -> Restart:
    value, path = fields.take(name)
    if value is None:
        return Restart.ALWAYS
    if value is False:  # YAML reads a bare `no` as false
        return Restart.NO
    try:
        return Restart(value)
    except ValueError:
        raise fault(path, "must be always, on-failure or no") from None


def limits(fields: Fields) -> Limits:
    result = Limits(
        memory_bytes=_size(fields, "memory", MIN_MEMORY),
        pids=fields.whole("pids", 1, 2**22),
        log_bytes=_size(fields, "log", 64 * 2**10),
    )
    fields.finish()
    return result


def _size(fields: Fields, name: str, low: int) -> int | None:
    value, path = fields.take(name)
    return None if value is None else size(value, path, low)


def size(value: Any, path: str, low: int) -> int:
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise fault(path, "must be a size such as 256M")
        value = int(match[1]) * _UNITS[(match[2] or "").upper()]
    elif type(value) is not int:
        raise fault(path, f"must be a size such as 256M, not {kind_of(value)}")
    return whole(value, path, low, MAX_BYTES)
