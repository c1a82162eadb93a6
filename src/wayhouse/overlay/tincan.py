"""What controllers say to the link process: tincan's datagrams of 2013 to 2016, and its requests.

Called by `drivers/control_socket.py` and `node.py`; `notifications.py` is the other direction. Rules: the framing is told from a datagram's first
byte, and it is answered in the framing it came in; what is not understood is an error for its sender and nothing else.
"""

from __future__ import annotations

import re
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.overlay.model import BadControlError, is_uid

XMPP = 1
"""The overlay id of everything that goes over signalling; 0 would be the local controller."""
NO_UID = "0" * 40
_JSON_START = 0x7B
_UID_BYTES = 20
_ETHERNET_BYTES = 14
_CONTROL = 1
PACKET = 2
ICC = (3, 4)
"""Of controllers among themselves, over the links: control and packets."""
_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_PRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){19}(?:(?::[0-9A-F]{2}){12})?")
_ALIASES = {"register_service": "register_svc", "getstate": "get_state"}
MOST_DATA = 60_000
"""Characters of a message for a peer."""


class Generation(IntEnum):
    """The first byte of the header; 0 for the first generation, which has none."""

    G0 = 0
    G1 = 2
    G2 = 3


class ControlDatagram(msgspec.Struct, frozen=True):
    generation: Generation
    text: bytes


class PacketDatagram(msgspec.Struct, frozen=True):
    """An Ethernet frame of a controller. The uids are hex. `kind` PACKET is for the interface, one of ICC for the controller of `destination`."""

    generation: Generation
    source: str
    destination: str
    frame: bytes
    kind: int = PACKET


def is_fingerprint(text: str) -> bool:
    """SHA-1 (59 characters) or SHA-256 (95), upper-case hex with colons."""
    return _PRINT.fullmatch(text) is not None


def split_datagram(data: bytes) -> ControlDatagram | PacketDatagram:
    """Raises `BadControlError`."""
    if not data:
        raise BadControlError("An empty datagram is no control message.")
    first = data[0]
    if first == _JSON_START:
        return ControlDatagram(Generation.G0, data)
    if first not in (Generation.G1, Generation.G2):
        return _packet(Generation.G0, data)
    generation, kind = Generation(first), data[1] if len(data) > 1 else 0
    if kind == _CONTROL:
        return ControlDatagram(generation, data[2:])
    if kind == PACKET or kind in ICC:
        return _packet(generation, data[2:], kind)
    raise BadControlError(
        f"Datagrams of type {kind} are not taken here; 1 is control, 2 a packet, 3 and 4 are for other controllers."
    )


def frame_control(generation: Generation, text: bytes) -> bytes:
    return text if generation is Generation.G0 else bytes((generation, _CONTROL)) + text


def frame_packet(
    generation: Generation, source: str, destination: str, frame: bytes, kind: int = PACKET
) -> bytes:
    """An Ethernet frame for the controller, behind both uids."""
    head = b"" if generation is Generation.G0 else bytes((generation, kind))
    return head + bytes.fromhex(source) + bytes.fromhex(destination) + frame


def _packet(generation: Generation, data: bytes, kind: int = PACKET) -> PacketDatagram:
    if len(data) < 2 * _UID_BYTES + _ETHERNET_BYTES:
        raise BadControlError(
            "This is neither a JSON object nor a packet behind two uids; a control message begins with `{`, or with 02 01 or 03 01 and then `{`."
        )
    source, destination = data[:_UID_BYTES].hex(), data[_UID_BYTES : 2 * _UID_BYTES].hex()
    return PacketDatagram(generation, source, destination, data[2 * _UID_BYTES :], kind)


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="m"):
    """Unknown fields are ignored: controllers of several years send them."""


class SetLogging(_Message, frozen=True, tag="set_logging"):
    """`logging`: 0 none, 1 errors, 2 info, 3 everything; `flag` is the older form, above 0 is info."""

    logging: int | None = None
    flag: int | None = None

    @property
    def level(self) -> int:
        if self.logging is not None:
            return max(0, min(self.logging, 3))
        return 2 if (self.flag or 0) > 0 else 0


class SetCallback(_Message, frozen=True, tag="set_cb_endpoint"):
    """Where notifications go. An `ip` that says nothing (`::`, `0.0.0.0` or nothing) is the sender's own."""

    port: int
    ip: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError("a port is 1 to 65535")
        if self.ip and not self.is_senders:
            _check_address(self.ip)
            if not ip_address(self.ip).is_loopback:
                raise ValueError("a controller is on this machine: give ::1 or 127.0.0.1")

    @property
    def is_senders(self) -> bool:
        return self.ip in ("", "::", "0.0.0.0")  # noqa: S104 - nothing is bound here


class SetLocalIp(_Message, frozen=True, tag="set_local_ip"):
    """Who this node is; only the first one counts."""

    uid: str
    ip4: str
    ip6: str
    ip4_mask: int = 24
    ip6_mask: int = 64
    subnet_mask: int = 32
    switchmode: int = 0

    def __post_init__(self) -> None:
        _check_uid(self.uid)
        _check_pair(self.ip4, self.ip6)
        if not (0 <= self.ip4_mask <= 32 and 0 <= self.ip6_mask <= 128):
            raise ValueError("a mask is 0 to 32 bits of IPv4, 0 to 128 of IPv6")


class RegisterSvc(_Message, frozen=True, tag="register_svc"):
    """Sign in to the XMPP server `host` as `username`, a bare JID."""

    username: str
    password: str
    host: str
    port: int = 5222

    def __post_init__(self) -> None:
        if not (self.username and self.password and self.host):
            raise ValueError("username, password and host are needed")
        if not 0 < self.port < 65536:
            raise ValueError("a port is 1 to 65535")

    def __repr__(self) -> str:
        return f"RegisterSvc({self.username}, {self.host}:{self.port})"


class GetState(_Message, frozen=True, tag="get_state"):
    """Of one peer, or of all. `stats_text` asks for the figures as the oldest form's one line of text."""

    uid: str = ""
    stats: bool = False
    stats_text: bool = False

    def __post_init__(self) -> None:
        if self.uid:
            _check_uid(self.uid)


class CreateLink(_Message, frozen=True, tag="create_link"):
    """Seek a path to `uid`, whose certificate is `fpr`; `cas` are its candidates, as far as they are known."""

    uid: str
    fpr: str
    overlay_id: int = XMPP
    stun: str = ""
    turn: str = ""
    turn_user: str = ""
    turn_pass: str = ""
    sec: bool = True
    cas: str = ""

    def __post_init__(self) -> None:
        _check_uid(self.uid)
        if not is_fingerprint(self.fpr):
            raise ValueError("`fpr` is no fingerprint: 59 or 95 characters of upper-case hex with colons")
        for text in (self.stun, self.turn):
            if text:
                split_host(text, 3478)

    def __repr__(self) -> str:
        return f"CreateLink({self.uid}, {self.fpr[:11]}...)"


class SetRemoteIp(_Message, frozen=True, tag="set_remote_ip"):
    """The first one for a uid counts. With `ip4` 127.0.0.1 the peer has no addresses."""

    uid: str
    ip4: str
    ip6: str

    def __post_init__(self) -> None:
        _check_uid(self.uid)
        _check_pair(self.ip4, self.ip6)


class TrimLink(_Message, frozen=True, tag="trim_link"):
    uid: str

    def __post_init__(self) -> None:
        _check_uid(self.uid)


class Forward(_Message, frozen=True, tag="forward"):
    """A message of type `kind` for a peer's controller: `send_msg`, `con_req` or any other word, which must be none of ours."""

    kind: str
    uid: str
    data: str = ""
    overlay_id: int = XMPP

    def __post_init__(self) -> None:
        _check_uid(self.uid)
        if _METHOD.fullmatch(self.kind) is None:
            raise ValueError("a method's name has 1 to 40 letters, digits, _ or -")
        if len(self.data) > MOST_DATA:
            raise ValueError(f"`data` has at most {MOST_DATA} characters")


class SetTranslation(_Message, frozen=True, tag="set_translation"):
    translate: int


class SetSwitchmode(_Message, frozen=True, tag="set_switchmode"):
    switchmode: int


class SetTrimPolicy(_Message, frozen=True, tag="set_trimpolicy"):
    trim_enabled: bool


class SetIgnored(_Message, frozen=True, tag="set_network_ignore_list"):
    """Interfaces that give no candidates."""

    network_ignore_list: tuple[str, ...] = ()


class EchoRequest(_Message, frozen=True, tag="echo_request"):
    msg: str = ""


class EchoReply(_Message, frozen=True, tag="echo_reply"):
    msg: str = ""


Request = (
    SetLogging
    | SetCallback
    | SetLocalIp
    | RegisterSvc
    | GetState
    | CreateLink
    | SetRemoteIp
    | TrimLink
    | Forward
    | SetTranslation
    | SetSwitchmode
    | SetTrimPolicy
    | SetIgnored
    | EchoRequest
    | EchoReply
)
_KNOWN = {
    "set_logging",
    "set_cb_endpoint",
    "set_local_ip",
    "register_svc",
    "get_state",
    "create_link",
    "set_remote_ip",
    "trim_link",
    "set_translation",
    "set_switchmode",
    "set_trimpolicy",
    "set_network_ignore_list",
    "echo_request",
    "echo_reply",
}
PARSING_FAILED = "json parsing failed"
"""What tincan says to a text that is no JSON."""


def parse_request(datagram: ControlDatagram) -> Request:
    """Raises `BadControlError`, with what is wrong, or tincan's own words when it is no JSON object."""
    try:
        found: Any = codec.decode_json(datagram.text, dict)
    except BadInputError as error:
        raise BadControlError(PARSING_FAILED) from error
    name = found.get("m")
    if not isinstance(name, str):
        raise BadControlError("A control message names its method in `m`.")
    name = _ALIASES.get(name, name)
    if name not in _KNOWN:
        found, name = _forwarded(found, name, datagram.generation), "forward"
    return _convert({**found, "m": name})


def encode_request(generation: Generation, request: Request) -> bytes:
    """The datagram of a request, for controllers; a `Forward` becomes the method of its kind."""
    body = codec.to_builtins(request)
    if isinstance(request, Forward):
        body["m"] = body.pop("kind")
    return frame_control(generation, codec.encode_json(body))


def split_host(text: str, default_port: int) -> tuple[str, int]:
    """`host:port`, `host`, `[IPv6]:port`. Raises `ValueError`."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+))(?::([0-9]{1,5}))?", text)
    port = int(match[3] or default_port) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(f"{text[:80]!r} is no server; write host:port")
    return match[1] or match[2], port


def _forwarded(found: dict[str, Any], name: str, generation: Generation) -> dict[str, Any]:
    """Since the second generation, what tincan does not know is for the peer's controller."""
    if generation is Generation.G0 and name != "send_msg":
        raise BadControlError(
            f"There is no method {name[:40]!r}. Messages for peers need the two-byte header (02 01) in front."
        )
    data = found.get("data", "")
    return {
        **found,
        "kind": name,
        "data": data if isinstance(data, str) else codec.encode_json(data).decode(),
    }


def _convert(found: dict[str, Any]) -> Request:
    try:
        request: Request = msgspec.convert(found, Request, strict=False)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise BadControlError(f"{str(found['m'])[:40]}: {error}") from error
    return request


def _check_uid(uid: str) -> None:
    if not is_uid(uid):
        raise ValueError("a uid is 40 lower-case hex digits")


def _check_address(text: str) -> None:
    try:
        ip_address(text)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no IP address") from error


def _check_pair(ip4: str, ip6: str) -> None:
    try:
        IPv4Address(ip4), IPv6Address(ip6)
    except ValueError as error:
        raise ValueError("`ip4` and `ip6` are an IPv4 and an IPv6 address") from error
