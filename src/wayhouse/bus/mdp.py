"""The frames of the Majordomo protocol, 0.1 (ZeroMQ RFC 7) and 0.2 (RFC 18): lists of frames to messages and back.

Called by the broker, clients and workers. Rules: pure; what is malformed raises `MalformedError` and nothing else; one set of
commands for both versions (the REPLY of 0.1 is `FINAL`), so that only this file knows how the bytes differ.

Frames are those of a DEALER: with the empty first frame of 0.1, without an identity; a REQ socket adds and removes that frame itself,
so its users leave out `frames[0]`. Only `parse_at_broker` takes the identity that a ROUTER puts in front.

A third form is told apart by its frames, `V02_EMPTY`: that of PyPI's majortomo, which begins messages of 0.2 with an empty frame, counts
a client's commands on from 2 and names no service in replies. Only the broker speaks it.

Two additions that others' ends need not know:

- The service frame of a request may carry marks behind a NUL: `echo NUL once NUL ttl=2.5`. `once`: never give it to a second
  worker; `ttl`: seconds that it may wait for a worker. The reply echoes the service frame as it was sent.
- READY may carry marks in frames of their own: `credit=64` (requests sent ahead), `once` (for all requests of this worker),
  `beats` (it sends heartbeats while it works, so it is held to them then too). Unknown marks are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from wayhouse.bus.model import Frames, MalformedError

V01, V02, V02_EMPTY = 1, 2, 3
PROTOCOLS = {V01: "MDP/0.1", V02: "MDP/0.2", V02_EMPTY: "MDP/0.2 (majortomo)"}
READY, REQUEST, PARTIAL, FINAL, HEARTBEAT, DISCONNECT = 1, 2, 3, 4, 5, 6
NAMES = ("", "READY", "REQUEST", "PARTIAL", "FINAL", "HEARTBEAT", "DISCONNECT")

CLIENT_01, WORKER_01 = b"MDPC01", b"MDPW01"
CLIENT_02, WORKER_02 = b"MDPC02", b"MDPW02"
MMI_PREFIX = b"mmi."
MAX_NAME = 255
MAX_CREDIT = 4096
MARK = b"\0"

_WORKER_BYTES = {
    V01: {READY: b"\1", REQUEST: b"\2", FINAL: b"\3", HEARTBEAT: b"\4", DISCONNECT: b"\5"},
    V02: {READY: b"\1", REQUEST: b"\2", PARTIAL: b"\3", FINAL: b"\4", HEARTBEAT: b"\5", DISCONNECT: b"\6"},
}
_WORKER_BYTES[V02_EMPTY] = _WORKER_BYTES[V02]
_WORKER_COMMANDS = {
    version: {byte: command for command, byte in bytes_.items()} for version, bytes_ in _WORKER_BYTES.items()
}
_STARTS = {V01: [b"", WORKER_01], V02: [WORKER_02], V02_EMPTY: [b"", WORKER_02]}
_HEADS = {
    (version, command): [*_STARTS[version], byte]
    for version, bytes_ in _WORKER_BYTES.items()
    for command, byte in bytes_.items()
}
_ANSWERS, _SIGNS = frozenset({PARTIAL, FINAL}), frozenset({HEARTBEAT, DISCONNECT})
_REQUEST_02, _PARTIAL_02, _FINAL_02 = b"\1", b"\2", b"\3"
_REQUEST_EMPTY, _PARTIAL_EMPTY, _FINAL_EMPTY = b"\2", b"\3", b"\4"


class ClientRequest(msgspec.Struct, gc=False):
    """A client asks. `label` is the service frame as it came, `service` the name in it; `body` may be empty."""

    version: int
    label: bytes
    service: bytes
    body: Frames


class WorkerMessage(msgspec.Struct, gc=False):
    """A worker says. `service` and `marks` (in `body`) with READY; `client` and `body` with PARTIAL and FINAL."""

    version: int
    command: int
    service: bytes
    client: bytes
    body: Frames


class Reply(msgspec.Struct, frozen=True):
    """What a client gets; `service` is its service frame as it sent it. `final` is false for a part."""

    version: int
    service: bytes
    body: Frames
    final: bool


class BrokerMessage(msgspec.Struct, frozen=True):
    """What a worker gets: REQUEST (with `client`, to be echoed as it is, and `body`), HEARTBEAT or DISCONNECT."""

    version: int
    command: int
    client: bytes = b""
    body: Frames = []


class RequestMarks(msgspec.Struct, frozen=True):
    once: bool = False
    ttl_s: float | None = None


class ReadyMarks(msgspec.Struct, frozen=True):
    credit: int | None = None
    once: bool = False
    beats: bool = False


def build_label(service: bytes, *, once: bool = False, ttl_s: float | None = None) -> bytes:
    """The service frame of a request, with marks. Raises `MalformedError` for a name that cannot be sent."""
    marks = [b"once"] if once else []
    if ttl_s is not None:
        marks.append(f"ttl={float(ttl_s)!r}".encode())
    return MARK.join([_name(service), *marks])


def build_request(label: bytes, body: Sequence[bytes], version: int = V01) -> Frames:
    """A client's request; `label` is the service's name, or of `build_label`."""
    if version == V01:
        return [b"", CLIENT_01, label, *body]
    return [CLIENT_02, _REQUEST_02, label, *body]


def build_reply(version: int, label: bytes, body: Sequence[bytes], *, final: bool = True) -> Frames:
    """What the broker sends to a client. There are no parts in 0.1: the broker puts them together."""
    if version == V01:
        return [b"", CLIENT_01, label, *body]
    if version == V02:
        return [CLIENT_02, _FINAL_02 if final else _PARTIAL_02, label, *body]
    return [b"", CLIENT_02, _FINAL_EMPTY if final else _PARTIAL_EMPTY, *body]


def build_ready(service: bytes, version: int = V01, marks: ReadyMarks | None = None) -> Frames:
    """A worker's first message. Raises `MalformedError` for a name that cannot be sent."""
    frames = [*_HEADS[version, READY], _name(service)]
    if marks is not None:
        frames += [b"credit=%d" % marks.credit] if marks.credit else []
        frames += [b"once"] if marks.once else []
        frames += [b"beats"] if marks.beats else []
    return frames


def build_worker_request(version: int, client: bytes, body: Sequence[bytes]) -> Frames:
    """What the broker sends to a worker; a body has at least one frame."""
    return [*_HEADS[version, REQUEST], client, b"", *(body or (b"",))]


def build_worker_reply(
    client: bytes, body: Sequence[bytes], version: int = V01, *, final: bool = True
) -> Frames:
    """A worker's answer to `client` (as REQUEST gave it). A part (`final=False`) needs 0.2, else `MalformedError` is raised."""
    if version == V01 and not final:
        raise MalformedError("A reply in parts needs MDP 0.2; send it whole, or speak 0.2.")
    return [*_HEADS[version, FINAL if final else PARTIAL], client, b"", *(body or (b"",))]


def build_heartbeat(version: int = V01) -> Frames:
    return list(_HEADS[version, HEARTBEAT])


def build_disconnect(version: int = V01) -> Frames:
    return list(_HEADS[version, DISCONNECT])


def parse_at_broker(frames: Frames) -> ClientRequest | WorkerMessage:
    """What a peer sent to the broker; `frames[0]` is its identity. Raises `MalformedError`."""
    count = len(frames)
    if count > 3 and not frames[1]:
        header = frames[2]
        if header == CLIENT_01:
            return _client_request(V01, frames[3], frames[4:])
        if header == WORKER_01:
            return _worker_message(V01, frames[3], frames[4:])
        if header == WORKER_02:
            return _worker_message(V02_EMPTY, frames[3], frames[4:])
        if header == CLIENT_02 and frames[3] == _REQUEST_EMPTY and count > 4:
            return _client_request(V02_EMPTY, frames[4], frames[5:])
    elif count > 2 and frames[1] == WORKER_02:
        return _worker_message(V02, frames[2], frames[3:])
    elif count > 3 and frames[1] == CLIENT_02 and frames[2] == _REQUEST_02:
        return _client_request(V02, frames[3], frames[4:])
    raise MalformedError("This is neither a request nor a worker's message of MDP 0.1 or 0.2.")


def is_worker(frames: Frames) -> bool:
    """Whether a message to the broker, however malformed, is from one that takes itself for a worker."""
    head = frames[1:3]
    return WORKER_02 in head[:1] or head in [[b"", WORKER_01], [b"", WORKER_02]]


def client_in(frames: Frames, version: int) -> bytes:
    """The client in a REQUEST to a worker, whose identity is `frames[0]`; empty in any other message."""
    return b"".join(frames[3:4] if version == V02 else frames[4:5])


def parse_reply(frames: Frames) -> Reply:
    """What a client got on its DEALER. Raises `MalformedError`."""
    if len(frames) < 3:
        raise MalformedError(f"A reply has at least 3 frames, not {len(frames)}.")
    if not frames[0] and frames[1] == CLIENT_01:
        return Reply(V01, frames[2], frames[3:], True)
    if frames[0] == CLIENT_02 and frames[1] in {_PARTIAL_02, _FINAL_02}:
        return Reply(V02, frames[2], frames[3:], frames[1] == _FINAL_02)
    raise MalformedError("This is not a reply of MDP 0.1 or 0.2.")


def parse_at_worker(frames: Frames) -> BrokerMessage:
    """What a worker got on its DEALER. Raises `MalformedError`."""
    if len(frames) > 2 and not frames[0] and frames[1] == WORKER_01:
        version, command, rest = V01, _WORKER_COMMANDS[V01].get(frames[2]), frames[3:]
    elif len(frames) > 1 and frames[0] == WORKER_02:
        version, command, rest = V02, _WORKER_COMMANDS[V02].get(frames[1]), frames[2:]
    else:
        raise MalformedError("This is not a message to a worker of MDP 0.1 or 0.2.")
    if command in _SIGNS:
        return BrokerMessage(version, command)
    if command != REQUEST or len(rest) < 2 or rest[1]:
        raise MalformedError("A worker gets REQUEST (client, empty frame, body), HEARTBEAT or DISCONNECT.")
    return BrokerMessage(version, REQUEST, rest[0], rest[2:])


def parse_request_marks(label: bytes) -> RequestMarks:
    """The marks behind the name in a request's service frame. Raises `MalformedError` for unknown or faulty ones: a request
    that must not run twice is better refused than misunderstood."""
    once, ttl = False, None
    for mark in label.split(MARK)[1:]:
        name, _, value = mark.partition(b"=")
        if mark == b"once":
            once = True
        elif name == b"ttl":
            ttl = _seconds(value)
        else:
            raise MalformedError(f"A request may be marked `once` or `ttl=<seconds>`, not {mark[:32]!r}.")
    return RequestMarks(once, ttl)


def parse_ready_marks(frames: Iterable[bytes]) -> ReadyMarks:
    """The marks behind the service in READY. Raises `MalformedError` for a credit that is no number from 1 to `MAX_CREDIT`."""
    credit, once, beats = None, False, False
    for mark in frames:
        name, _, value = mark.partition(b"=")
        once, beats = once or mark == b"once", beats or mark == b"beats"
        if name == b"credit":
            credit = int(value) if value.isdigit() and len(value) < 6 else 0
            if not 0 < credit <= MAX_CREDIT:
                raise MalformedError(f"A worker's credit is 1 to {MAX_CREDIT}, not {value[:32]!r}.")
    return ReadyMarks(credit, once, beats)


def _client_request(version: int, label: bytes, body: Frames) -> ClientRequest:
    if MARK in label:
        return ClientRequest(version, label, _name(label[: label.index(MARK)]), body)
    if not 0 < len(label) <= MAX_NAME:
        raise _bad_name(label)
    return ClientRequest(version, label, label, body)


def _worker_message(version: int, byte: bytes, rest: Frames) -> WorkerMessage:
    command = _WORKER_COMMANDS[version].get(byte)
    if command in _ANSWERS:
        if len(rest) < 2 or rest[1]:
            raise MalformedError("A worker's answer has a client, an empty frame and a body.")
        return WorkerMessage(version, command, b"", rest[0], rest[2:])
    if command in _SIGNS:
        return WorkerMessage(version, command, b"", b"", [])
    if command == READY and rest:
        return WorkerMessage(version, READY, _name(rest[0]), b"", rest[1:])
    raise MalformedError("A worker sends READY with a service, PARTIAL, FINAL, HEARTBEAT or DISCONNECT.")


def _name(service: bytes) -> bytes:
    if not 0 < len(service) <= MAX_NAME or MARK in service:
        raise _bad_name(service)
    return service


def _bad_name(service: bytes) -> MalformedError:
    return MalformedError(f"A service's name has 1 to {MAX_NAME} bytes without NUL, not {service[:32]!r}.")


def _seconds(value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise MalformedError(f"`ttl=` takes seconds above 0, not {value[:32]!r}.")
    return seconds
