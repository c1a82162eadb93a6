"""What the link process tells controllers: tincan's notifications, as the styled JSON text that it sends.

Called by `node.py`. Rule: what a controller of 2013 reads is there under the name it knows; everything newer stands in fields of its own.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.overlay.model import LinkStatus

LOCAL_IP4_BEFORE = "172.31.0.100"
LOCAL_IP6_BEFORE = "fd50:0dbc:41f2:4a3c:0000:0000:0000:0000"
NO_FINGERPRINT = ":".join(["00"] * 20)


class _Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """A field with its default is not sent."""


class LocalState(_Told, frozen=True, tag="local_state"):
    """Who this node is; before `set_local_ip`, what tincan says then. `mac` where links carry Ethernet."""

    uid: str = msgspec.field(name="_uid")
    ip4: str = msgspec.field(name="_ip4")
    ip6: str = msgspec.field(name="_ip6")
    fpr: str = msgspec.field(name="_fpr")
    mac: str = msgspec.field(name="_mac", default="")


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """One connection of a link: the pair of candidates that is used. `rtt` is in milliseconds, 0 when unknown."""

    local_addr: str
    rem_addr: str
    local_type: str
    rem_type: str
    best_conn: bool = True
    writable: bool = True
    readable: bool = True
    timeout: bool = False
    new_conn: bool = False
    rtt: int = 0
    sent_total_bytes: int = 0
    sent_bytes_second: int = 0
    recv_total_bytes: int = 0
    recv_bytes_second: int = 0


class PeerState(_Told, frozen=True, tag="peer_state"):
    """`last_time`: seconds since the link was made; `xmpp_time`: since the peer was last seen in signalling. `state`, `why` and
    `relayed` are new."""

    uid: str
    status: LinkStatus
    ip4: str | None = None
    ip6: str | None = None
    fpr: str | None = None
    last_time: int | None = None
    xmpp_time: int | None = None
    security: str | None = None
    stats: tuple[Stats, ...] | str | None = None
    stats_cons: str | None = None
    state: str | None = None
    relayed: bool | None = None
    why: str = ""


class ConStat(_Told, frozen=True, tag="con_stat"):
    uid: str
    data: LinkStatus


class Message(msgspec.Struct, frozen=True):
    """A peer's `con_req`, `con_resp`, `send_msg` or any other word: told as `{"type": kind, "uid":, "data":}`."""

    kind: str
    uid: str
    data: str


class ErrorTold(_Told, frozen=True, tag="error"):
    """`data` is a number and a word, as in "1000:xmpp_connect_failed"; `why` is for people."""

    data: str
    uid: str | None = None
    why: str = ""


class EchoRequestTold(_Told, frozen=True, tag="echo_request"):
    msg: str


class EchoReplyTold(_Told, frozen=True, tag="echo_reply"):
    msg: str


class Refusal(msgspec.Struct, frozen=True):
    """The answer to what could not be understood or done."""

    error: str


Notification = (
    LocalState | PeerState | ConStat | Message | ErrorTold | EchoRequestTold | EchoReplyTold | Refusal
)
XMPP_FAILED = "1000:xmpp_connect_failed"


def encode(told: Notification) -> bytes:
    """Styled as jsoncpp does: one field a line, names in order of the alphabet, an end of line last."""
    if isinstance(told, Message):
        fields: dict[str, Any] = {"type": told.kind, "uid": told.uid, "data": told.data}
    else:
        fields = codec.to_builtins(told)
    return (json.dumps(fields, indent=3, separators=(",", " : "), sort_keys=True) + "\n").encode()


def stats_text(stats: tuple[Stats, ...]) -> tuple[str, str]:
    """The form of before February 2014: figures in one line, and the addresses in another (`stats_cons`)."""
    figures = "".join(
        f"{one.best_conn:d}:{one.writable:d}:{one.readable:d}:{one.timeout:d}:{one.new_conn:d}:{one.rtt}:"
        f"{one.sent_total_bytes}:{one.sent_bytes_second}:{one.recv_total_bytes}:{one.recv_bytes_second} "
        for one in stats
    )
    return figures, "".join(f"{one.local_addr} {one.rem_addr} " for one in stats)
