"""One message of sd_notify(3) as a value. Pure; the socket is in `notify_socket.py`.

Rules: what is not understood is left out, as systemd does, and no message can say more than one of its size may.
"""

from __future__ import annotations

import re

import msgspec

from wayhouse.base.errors import BadInputError

MAX_BYTES = 4096
MAX_STATUS = 500
STORED = "stored"
"""The name of descriptors that were given none."""

_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]{1,255}")


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """`watchdog` is "1" or "trigger"; `watchdog_s` a new interval, 0 to switch it off; `extend_s` EXTEND_TIMEOUT_USEC.
    `store`: keep the descriptors that came along under `fd_name`, looking for hang-ups if `poll`; `remove`: drop those."""

    ready: bool = False
    reloading: bool = False
    stopping: bool = False
    status: str | None = None
    main_pid: int | None = None
    watchdog: str | None = None
    watchdog_s: float | None = None
    extend_s: float | None = None
    store: bool = False
    remove: bool = False
    fd_name: str = STORED
    poll: bool = True
    barrier: bool = False


def parse(data: bytes) -> Notice:
    """Raises `BadInputError` for what is no message at all: empty, too long, or with a NUL within."""
    text = data.rstrip(b"\0")
    if not text or len(data) > MAX_BYTES or b"\0" in text:
        raise BadInputError("A notification is 1 to 4096 bytes of lines NAME=value, without NUL.")
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            fields[name] = value
    return _notice(fields)


def _notice(fields: dict[str, str]) -> Notice:
    watchdog = fields.get("WATCHDOG")
    status = fields.get("STATUS")
    name = fields.get("FDNAME", STORED)
    return Notice(
        ready=fields.get("READY") == "1",
        reloading=fields.get("RELOADING") == "1",
        stopping=fields.get("STOPPING") == "1",
        status=None if status is None else _plain(status),
        main_pid=_count(fields.get("MAINPID"), 1 << 31) or None,
        watchdog=watchdog if watchdog in {"1", "trigger"} else None,
        watchdog_s=_seconds(fields.get("WATCHDOG_USEC")),
        extend_s=_seconds(fields.get("EXTEND_TIMEOUT_USEC")),
        store=fields.get("FDSTORE") == "1",
        remove=fields.get("FDSTOREREMOVE") == "1",
        fd_name=name if _NAME.fullmatch(name) else STORED,
        poll=fields.get("FDPOLL") != "0",
        barrier=fields.get("BARRIER") == "1",
    )


def _plain(text: str) -> str:
    """Nothing that could steer a terminal or a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_STATUS])


def _count(text: str | None, most: int) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text) if int(text) < most else None


def _seconds(text: str | None) -> float | None:
    usec = _count(text, 1 << 63)
    return None if usec is None else usec / 1_000_000
