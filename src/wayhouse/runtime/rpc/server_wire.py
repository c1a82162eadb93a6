"""The server's end of a connection as a pure machine: bytes in, events and answers out; no sockets and no clock.

Called by `conversation.py`, and by a hand-over. Rules: wire v0 is spoken byte for byte unless the client asks for v1; any splitting
of the bytes gives the same events; what the machine is in the middle of can be taken out as plain data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import msgspec
from msgspec import UNSET

from wayhouse.runtime.rpc import handshake
from wayhouse.runtime.rpc.coerce import FLAT, NOT_JSON, clean, plain
from wayhouse.runtime.rpc.frames import LIMIT, Buffer, OversizeError
from wayhouse.runtime.rpc.messages import (
    Call,
    Cancel,
    Credit,
    RefusedError,
    Result,
    ResultId,
    ResultParts,
    read_v0,
    read_v1,
)
from wayhouse.runtime.rpc.parts import (
    Attachment,
    Taken,
)
from wayhouse.runtime.rpc.wire_end import NO_BYTES, CallRoot, Wire

MAX_HANDSHAKE = 4096
"""The largest answer to a challenge: nobody who has not given one fills memory."""

MAX_WAITING_FDS = 253


class Opened(msgspec.Struct, frozen=True):
    """The handshake is over. `key` is the accepted key or None, `account` who the kernel says the peer is."""

    key: str | None
    account: str
    wire: int


class Broken(msgspec.Struct, frozen=True):
    """The stream cannot be read any further: send what is queued, then close."""

    why: str


ServerEvent = Opened | Call | Cancel | Credit | Broken


class ServerWire(Wire):
    """The server's end. `keys` gives the accepted keys, `account` the name that the kernel's credentials earn the peer.

    `begin` queues the challenge. Then `feed` bytes and take events with `next` until it gives None. Calls that are not
    understood are answered here; all other answers are the caller's to give by `result`, `exception`, `item` and `end`.
    """

    __slots__ = ("_broken", "_keys", "_limit", "_salt", "account", "key", "opened", "unix")

    def __init__(
        self,
        keys: Callable[[], Iterable[str]],
        *,
        salt: bytes,
        account: str = "",
        limit: int = LIMIT,
        unix: bool = False,
    ) -> None:
        super().__init__(limit)
        self.unix = unix
        self._limit = limit
        self.frames.limit = MAX_HANDSHAKE
        self._keys = keys
        self._salt = salt
        self.account = account
        self.key: str | None = None
        self.opened = False
        self._broken = False

    def begin(self) -> None:
        self.outbox.put_frame(handshake.CHALLENGE + self._salt)

    def begin_opened(self, key: str | None) -> None:
        """Skip the handshake: a connection that was authenticated elsewhere is served from now on, with wire v0."""
        self.key = key
        self._set_opened()

    def receive(self, data: Buffer, fds: Sequence[int] = ()) -> list[ServerEvent]:
        """Feed and take all events at once."""
        self.feed(data, fds)
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        return events

    def next(self) -> ServerEvent | None:
        """The next event, or None when more bytes are needed."""
        while not self._broken:
            try:
                body = self.frames.next()
                if body is None:
                    return self._crowded() if self._fds else None
                if self.version:
                    return self._read_v1(body)
                return read_v0(body) if self.opened else self._open(body)
            except RefusedError as refused:
                if not refused.silent:
                    self.exception(refused.number, refused.message)
                if self._fds:  # whose they are can no longer be told
                    self._broken = True
                    return Broken("descriptors came with a call that is not understood")
            except OversizeError as error:
                return self._oversize(error)
        return None

    def result(self, number: int, value: Any) -> None:
        """Answer call `number` (v0 has none). What JSON cannot carry is answered as an exception."""
        kind = type(value)
        try:
            if kind in FLAT:
                self._put_plain(number, value)
            elif kind is Attachment and self.version:
                view = value.view()
                head = b'{"id":%d,"result":null,"parts":[[null,%d]]}' % (number, len(view))
                self.outbox.put_attached(head, view)
            else:
                self._put_result(number, value)
        except (TypeError, ValueError, RecursionError):
            self.exception(number, {"type": "Exception", "message": NOT_JSON, "trace": []})

    def exception(self, number: int, details: Any) -> None:
        """Answer with an exception: an object, or bare text for a call that was not understood."""
        message: dict[str, Any] = {"exception": details}
        if number:
            message["id"] = number
        try:
            self.outbox.put(message)
        except (TypeError, ValueError, RecursionError):
            self.outbox.put({**message, "exception": _safe(details)})

    def item(self, number: int, value: Any) -> None:
        """One item of stream `number`. Raises `TypeError` for what JSON cannot carry."""
        taken = Taken()
        kept = clean(plain(taken.from_value(value)))
        self._check_parts(taken)
        self.outbox.put_parts(ResultParts(number, item=kept, parts=taken.places, fds=taken.fd_places), taken)

    def end(self, number: int) -> None:
        self.outbox.put({"id": number, "end": True})

    def snapshot(self) -> tuple[dict[str, Any], list[int]]:
        """(plain data, descriptors in the order that `restore` wants them). The machine stays as it is."""
        state = {
            "wire": self.version,
            "salt": self._salt,
            "key": self.key,
            "account": self.account,
            "opened": self.opened,
            "broken": self._broken,
            "limit": self._limit,
            "unix": self.unix,
            "rx": self.frames.rest(),
            "rx_fds": len(self._fds),
            "descriptors": self.descriptors,
            "tx": self.outbox.content(),
            "tx_fds": [[position, len(fds)] for position, fds in self.outbox.marks],
        }
        return state, [*self._fds, *(fd for _, fds in self.outbox.marks for fd in fds)]

    @classmethod
    def restore(
        cls, keys: Callable[[], Iterable[str]], state: dict[str, Any], fds: Sequence[int] = ()
    ) -> Self:
        """The machine of which `snapshot` was taken; it owns `fds`. Raises `KeyError`, `TypeError` or `ValueError`."""
        wire = cls(
            keys, salt=state["salt"], account=state["account"], limit=state["limit"], unix=state["unix"]
        )
        wire.key = state["key"]
        if state["opened"]:
            wire._set_opened()
        wire._broken = state["broken"]
        wire.descriptors = state["descriptors"]
        wire._set_version(state["wire"])
        wire.outbox.out += state["tx"]
        waiting = deque(fds)
        wire.feed(state["rx"], [waiting.popleft() for _ in range(state["rx_fds"])])
        wire.settle()
        for position, count in state["tx_fds"]:
            wire.outbox.marks.append((position, [waiting.popleft() for _ in range(count)]))
        return wire

    def _put_result(self, number: int, value: Any) -> None:
        taken = Taken()
        if self.version:
            value = taken.from_value(value)
        kept = plain(value)
        if taken.places or taken.fd_places:
            kept = clean(kept)
            self._check_parts(taken)
            self.outbox.put_parts(
                ResultParts(number, result=kept, parts=taken.places, fds=taken.fd_places), taken
            )
            return
        self._put_plain(number, kept)

    def _put_plain(self, number: int, value: Any) -> None:
        try:
            self.outbox.put(ResultId(value, number) if number else Result(value))
        except UnicodeEncodeError:
            value = clean(value)
            self.outbox.put(ResultId(value, number) if number else Result(value))

    def _read_v1(self, body: memoryview) -> ServerEvent:
        if self.frames.marked:
            head, raw = self._split(body)
            event = read_v1(head)
        else:
            raw = NO_BYTES
            event = read_v1(body)
        if type(event) is Call and (event.parts is not UNSET or event.fds is not UNSET or raw):
            self._claim_arguments(event, raw)
        return event

    def _claim_arguments(self, call: Call, raw: memoryview) -> None:
        params = call.params
        if params is not None:
            if call.fds is UNSET and self._put_attached(params.vargs, call.parts, raw):
                return
            self._claim(CallRoot(params), call.parts or [], call.fds or [], raw, call.id)
        elif self._fds:
            raise RefusedError(f"malformed arguments: {call.bad_params}", call.id)

    def _open(self, body: memoryview) -> Opened:
        message = bytes(body)
        hello = handshake.read_hello(message) if handshake.is_marked(self._salt) else None
        if hello is not None and hello.wire == 1:
            self.key, proof = handshake.validate_hello(self._salt, hello, self._keys())
            account = self.account
            known = self.key is not None or bool(account)
            self.descriptors = hello.fds and self.unix
            self.outbox.put(handshake.Verdict(known, 1, proof, self._limit, account))
            self._set_version(1)
        else:
            self.account = ""
            self.key = handshake.validate_digest(self._salt, message, self._keys())
            self.outbox.put({"authenticated": self.key is not None})
        self._set_opened()
        return Opened(self.key, self.account, self.version)

    def _set_opened(self) -> None:
        self.opened = True
        self.frames.limit = self._limit

    def _set_version(self, version: int) -> None:
        self.version = version
        self.frames.marks = version == 1

    def _crowded(self) -> Broken | None:
        """Said when there is no frame to take."""
        if len(self._fds) <= MAX_WAITING_FDS:
            return None
        self._broken = True
        return Broken("more descriptors came than calls announce")

    def _oversize(self, error: OversizeError) -> Broken:
        self._broken = True
        text = f"got invalid RPC from client, {error}. disconnect"
        self.exception(0, {"type": "OverflowError", "message": text, "trace": []})
        return Broken(text)


def _safe(details: Any) -> Any:
    """Details that can be sent, whatever a method has put into its exception."""
    try:
        return clean(plain(details))
    except (TypeError, ValueError, RecursionError):
        kind = details.get("type", "Exception") if isinstance(details, dict) else "Exception"
        return {"type": clean(str(kind)), "message": NOT_JSON, "trace": []}
