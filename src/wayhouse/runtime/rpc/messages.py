"""The JSON of both wires: calls and answers as structs, and the order and texts in which a bad call is refused.

Called by `wire.py`. A v1 message is a v0 message with an `id` and optional members, so one reader serves both. Rule: a good
call costs one decode; only a bad one is looked at member by member, in the original's order and with its texts.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec

from wayhouse.runtime.rpc.parts import Place

_MAX_INT = 2**53
MAX_QUOTED = 16_384

Count = Annotated[int, msgspec.Meta(ge=0, le=_MAX_INT)]


class Params(msgspec.Struct, gc=False):
    vargs: list[Any]
    kwargs: dict[str, Any]


class Call(msgspec.Struct, gc=False):
    """A call as the server sees it.

    `params` is None when they are malformed (`bad_params` says how they looked). `ms` is how many milliseconds the caller
    still waits, `stream` how many bytes of items it takes at first, `parts` and `fds` are places of attachments.
    """

    method: str
    params: Params | None
    resource: Any = None
    silent: bool = msgspec.field(default=False, name="async")
    id: Count = 0
    ms: Count = 0
    stream: Count = 0
    parts: list[tuple[Place, int]] | msgspec.UnsetType = msgspec.UNSET
    fds: list[Place] | msgspec.UnsetType = msgspec.UNSET
    bad_params: str = msgspec.field(default="", name="")


class Cancel(msgspec.Struct, gc=False):
    """The client no longer wants the answer of call `id`."""

    id: int


class Credit(msgspec.Struct, gc=False):
    """The client takes `bytes` more of the stream `id`."""

    id: int
    bytes: int


class _CallV0(msgspec.Struct):
    method: str
    params: Params
    resource: Any = None
    silent: bool = msgspec.field(default=False, name="async")


class _Control(msgspec.Struct):
    cancel: int = 0
    credit: int = 0
    id: int = 0


class Request(msgspec.Struct, omit_defaults=True, gc=False):
    """A call as the client writes it."""

    method: str
    params: Params
    id: int = 0
    ms: int = 0
    stream: int = 0
    silent: bool = msgspec.field(default=False, name="async")
    resource: Any = None
    parts: list[tuple[Place, int]] = []
    fds: list[Place] = []


class RequestV0(msgspec.Struct):
    method: str
    resource: Any
    params: Params
    silent: bool = msgspec.field(name="async")


class Result(msgspec.Struct, gc=False):
    result: Any


class ResultId(msgspec.Struct, gc=False):
    result: Any
    id: int


class ResultParts(msgspec.Struct, omit_defaults=True):
    id: int
    result: Any = msgspec.UNSET
    item: Any = msgspec.UNSET
    parts: list[tuple[Place, int]] = []
    fds: list[Place] = []


class Answer(msgspec.Struct, gc=False):
    """Whatever a server writes, as the client reads it; as an event, call `id` (0 on wire v0) is answered, with `exception`
    when that is set, else with `result`."""

    id: int = 0
    result: Any = msgspec.UNSET
    exception: Any = msgspec.UNSET
    item: Any = msgspec.UNSET
    end: bool = False
    parts: list[tuple[Place, int]] | msgspec.UnsetType = msgspec.UNSET
    fds: list[Place] | msgspec.UnsetType = msgspec.UNSET


class RefusedError(Exception):
    """A call that is not understood; `message` is the answer, `silent` that none is wanted."""

    def __init__(self, message: str, number: int = 0, *, silent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.number = number
        self.silent = silent


_v0 = msgspec.json.Decoder(_CallV0).decode
decode_call = msgspec.json.Decoder(Call).decode
_control = msgspec.json.Decoder(_Control).decode
decode_answer = msgspec.json.Decoder(Answer).decode
BAD = (ValueError, RecursionError)


def read_v0(body: memoryview) -> Call:
    """Raises `RefusedError`."""
    try:
        call = _v0(body)
    except BAD:
        return _by_member(bytes(body), wire=0)
    return Call(call.method, call.params, call.resource, call.silent)


def read_v1(body: memoryview) -> Call | Cancel | Credit:
    """Raises `RefusedError`."""
    try:
        call = decode_call(body)
    except BAD:
        return _control_or_call(bytes(body))
    if call.params is None:
        return _by_member(bytes(body), wire=1)
    return call


def read_reply(body: memoryview) -> Answer | None:
    """An answer; None when it is none."""
    try:
        return decode_answer(body)
    except BAD:
        pass
    try:
        return _loose_reply(json.loads(bytes(body)))
    except BAD:
        return None


def _loose_reply(found: Any) -> Answer | None:
    """An original server may write NaN, which msgspec refuses."""
    if not isinstance(found, dict):
        return None
    return Answer(0, found.get("result", msgspec.UNSET), found.get("exception", msgspec.UNSET))


def _control_or_call(raw: bytes) -> Call | Cancel | Credit:
    try:
        control = _control(raw)
    except BAD:
        return _by_member(raw, wire=1)
    if control.cancel > 0:
        return Cancel(control.cancel)
    if control.credit > 0 and control.id > 0:
        return Credit(control.id, min(control.credit, _MAX_INT))
    return _by_member(raw, wire=1)


def _by_member(raw: bytes, *, wire: int) -> Call:
    try:
        return _check(json.loads(raw), wire=wire)
    except BAD:  # nested too deeply, too
        raise RefusedError(f"malformed JSON: {_quoted(raw.decode('utf-8', 'replace'))}") from None


def _quoted(text: str) -> str:
    """What is quoted back, cut where nobody would read on."""
    return text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "..."


def _check(rpc: Any, *, wire: int) -> Call:
    """The original's checks, one after the other."""
    members: dict[str, Any] = rpc if isinstance(rpc, dict) else {}
    silent = members.get("async", False)
    number = _count(members, "id") if wire else 0
    quiet = silent is True
    if not isinstance(members.get("method"), str):
        raise RefusedError('the "method" attribute is missing', number, silent=quiet)
    if "params" not in members:
        raise RefusedError('the "params" attribute is missing', number, silent=quiet)
    if not isinstance(silent, bool):
        raise RefusedError(f"RPC async flag is not a boolean: {_quoted(str(rpc))}", number)
    params = _params(members["params"])
    call = Call(members["method"], params, members.get("resource"), silent, number)
    if params is None:
        call.bad_params = _quoted(str(members["params"]))
    if wire:
        _extras(call, members)
    return call


def _extras(call: Call, members: dict[str, Any]) -> None:
    call.ms = _count(members, "ms")
    call.stream = _count(members, "stream")
    try:
        call.parts = msgspec.convert(members.get("parts", []), list[tuple[Place, int]])
        call.fds = msgspec.convert(members.get("fds", []), list[Place])
    except BAD:
        call.params, call.bad_params = None, _quoted(str(members["params"]))


def _params(found: Any) -> Params | None:
    if not isinstance(found, dict):
        return None
    vargs, kwargs = found.get("vargs"), found.get("kwargs")
    if not isinstance(vargs, list) or not isinstance(kwargs, dict):
        return None
    return Params(vargs, kwargs)


def _count(members: dict[str, Any], name: str) -> int:
    value = members.get(name, 0)
    return value if type(value) is int and 0 <= value <= _MAX_INT else 0
