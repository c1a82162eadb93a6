"""The client's end of a connection as a pure machine: calls and bytes in, answers and bytes out; no sockets and no clock.

Called by both clients. Rules: v1 is offered only to a server that has shown that it knows it; an answer belongs to the call of its
id, or, on v0, to the oldest call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from wayhouse.runtime.rpc import handshake
from wayhouse.runtime.rpc.coerce import FLAT, clean, plain
from wayhouse.runtime.rpc.frames import LIMIT, U32, Buffer, OversizeError
from wayhouse.runtime.rpc.messages import (
    Answer,
    Params,
    RefusedError,
    Request,
    RequestV0,
    read_reply,
)
from wayhouse.runtime.rpc.outbox import HEADER
from wayhouse.runtime.rpc.parts import (
    PARTS,
    Attachment,
    Taken,
)
from wayhouse.runtime.rpc.wire_end import NO_BYTES, Wire

MAX_STARTS = 1000

_encode = msgspec.json.Encoder().encode
_encode_into = msgspec.json.Encoder().encode_into
_pack_into = U32.pack_into


class Ready(msgspec.Struct, frozen=True):
    """The handshake is over; `wire` is what both speak."""

    authenticated: bool
    wire: int
    account: str = ""


class Item(msgspec.Struct, gc=False):
    """One item of stream `id`; `cost` is how many bytes of credit it used."""

    id: int
    value: Any
    cost: int


class End(msgspec.Struct, gc=False):
    id: int


class Goodbye(msgspec.Struct):
    """The server says that it ends; no call is answered any more."""

    exception: Any


class Lost(msgspec.Struct, frozen=True):
    """The server's bytes make no sense: close."""

    why: str


ClientEvent = Ready | Answer | Item | End | Goodbye | Lost


class ClientWire(Wire):
    """The client's end. `wire=0` never offers v1; `wire=1` wants nothing less."""

    __slots__ = ("_authkey", "_nonce", "_salt", "_starts", "last_id", "opened", "server_limit", "wanted")

    def __init__(
        self,
        authkey: str | None,
        *,
        nonce: bytes = b"",
        wire: int | None = None,
        limit: int = LIMIT,
        descriptors: bool = False,
    ) -> None:
        super().__init__(limit)
        self.descriptors = descriptors
        self._authkey = authkey
        self._nonce = nonce
        self.wanted = wire
        self._salt: bytes | None = None
        self.opened = False
        self.last_id = 0
        self._starts: dict[str, bytes] = {}
        self.server_limit = limit

    def receive(self, data: Buffer, fds: Sequence[int] = ()) -> list[ClientEvent]:
        self.feed(data, fds)
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        return events

    def next(self) -> ClientEvent | None:
        """The next event, or None when more bytes are needed."""
        try:
            while (body := self.frames.next()) is not None:
                event = self._read(body) if self.opened else self._open(body)
                if event is not None:
                    return event
        except OversizeError as error:
            return Lost(f"the server announced too large an answer: {error}")
        except RefusedError as error:
            return Lost(error.message)
        return None

    def call(
        self,
        method: str,
        vargs: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        ms: int = 0,
        stream: int = 0,
        silent: bool = False,
        resource: Any = None,
    ) -> int:
        """Queue a call; gives its id (0 on v0). Raises `TypeError`/`ValueError` for what the wire cannot carry."""
        if not (kwargs or stream or silent) and resource is None:
            for value in vargs:
                if type(value) not in FLAT:
                    break
            else:
                if (number := self.call_plainly(method, vargs, ms)) >= 0:
                    return number
            if self.version and len(vargs) == 1 and type(vargs[0]) is Attachment:
                return self._call_attached(method, vargs[0].view(), ms)
        kwargs = kwargs or {}
        if self.version == 0:
            self._call_v0(method, vargs, kwargs, stream, silent, resource)
            return 0
        number = self.last_id = self.last_id + 1
        request = Request(method, Params(vargs, kwargs), number, ms, stream, silent, resource)  # type: ignore[arg-type]
        self._call_slowly(request)
        return number

    def cancel(self, number: int) -> None:
        """The answer of `number` is no longer wanted (v1; v0 cannot say so)."""
        if self.version:
            self.outbox.put({"cancel": number})

    def credit(self, number: int, count: int) -> None:
        self.outbox.put({"id": number, "credit": count})

    def call_plainly(self, method: str, vargs: Sequence[Any], ms: int) -> int:
        """The usual call, of a few plain values: what does not change between calls of a method is kept ready, and the rest
        is written to where it is sent from. Gives -1, and has done nothing, when UTF-8 cannot carry a text."""
        out = self.outbox.out
        begin = len(out)
        try:
            out += self._starts.get(method) or self._start_of(method)
            _encode_into(vargs, out, -1)
        except UnicodeEncodeError:
            del out[begin:]
            return -1
        if self.version:
            number = self.last_id = self.last_id + 1
            out += (
                b',"kwargs":{}},"id":%d,"ms":%d}' % (number, ms) if ms else b',"kwargs":{}},"id":%d}' % number
            )
        else:
            number = 0
            out += b',"kwargs":{}},"async":false}'
        _pack_into(out, begin, len(out) - begin - 4)
        return number

    def _call_attached(self, method: str, view: memoryview, ms: int) -> int:
        """The usual large call: one attachment, and nothing else."""
        start = (self._starts.get(method) or self._start_of(method))[len(HEADER) :]
        number = self.last_id + 1
        head = start + (
            b'[null],"kwargs":{}},"id":%d,"ms":%d,"parts":[[0,%d]]}' % (number, ms, len(view))
            if ms
            else b'[null],"kwargs":{}},"id":%d,"parts":[[0,%d]]}' % (number, len(view))
        )
        self.outbox.put_attached(head, view)
        self.last_id = number
        return number

    def _start_of(self, method: str) -> bytes:
        if len(self._starts) >= MAX_STARTS:
            self._starts.clear()
        resource = b"" if self.version else b',"resource":null'
        start = HEADER + b'{"method":' + _encode(clean(method)) + resource + b',"params":{"vargs":'
        self._starts[method] = start
        return start

    def _call_v0(
        self,
        method: str,
        vargs: Sequence[Any],
        kwargs: dict[str, Any],
        stream: int,
        silent: bool,  # noqa: FBT001 - passed on
        resource: Any,
    ) -> None:
        if stream:
            raise TypeError("the server speaks the old wire, which has no streams")
        if not PARTS.isdisjoint(map(type, vargs)) or not PARTS.isdisjoint(map(type, kwargs.values())):
            raise TypeError("the server speaks the old wire, which carries no attachments")
        params = Params(clean(plain(list(vargs))), clean(plain(kwargs)))
        self.outbox.put(RequestV0(method, clean(plain(resource)), params, silent))

    def _call_slowly(self, request: Request) -> None:
        """With attachments, or arguments that have to be made fit for JSON. Raises `TypeError`, `ValueError`."""
        taken = Taken()
        vargs, kwargs = request.params.vargs, request.params.kwargs
        if not PARTS.isdisjoint(map(type, vargs)):
            vargs = taken.from_list(vargs)
        if kwargs and not PARTS.isdisjoint(map(type, kwargs.values())):
            kwargs = taken.from_dict(kwargs)
        request.params = Params(plain(vargs), plain(kwargs))
        if taken.places or taken.fd_places:
            self._check_parts(taken)
            request.parts, request.fds = taken.places, taken.fd_places
        try:
            self.outbox.put_parts(request, taken)
        except UnicodeEncodeError:
            request.method = clean(request.method)
            request.resource = clean(plain(request.resource))
            request.params = Params(clean(request.params.vargs), clean(request.params.kwargs))
            self.outbox.put_parts(request, taken)

    def _open(self, body: memoryview) -> ClientEvent | None:
        message = bytes(body)
        if self._salt is None:
            return self._answer_challenge(message)
        verdict = handshake.read_verdict(message)
        if verdict is None:
            return Lost("the server's verdict is missing")
        offered = self.version
        if offered != verdict.wire or not self._is_trusted(verdict):
            return Lost("the server does not know the key, or is no Wayhouse process")
        if verdict.limit:
            self.server_limit = verdict.limit
        self.frames.marks = self.version == 1
        self.opened = True
        return Ready(verdict.authenticated, self.version, verdict.account)

    def _answer_challenge(self, message: bytes) -> ClientEvent | None:
        if not message.startswith(handshake.CHALLENGE):
            return Lost("the server sent no challenge")
        self._salt = message[len(handshake.CHALLENGE) :]
        modern = self.wanted != 0 and handshake.is_marked(self._salt)
        if self.wanted == 1 and not modern:
            return Lost("the server speaks the old wire only")
        self.version = int(modern)
        self.descriptors = self.descriptors and modern
        if modern:
            self.outbox.put_frame(
                handshake.make_hello(self._salt, self._authkey, self._nonce, fds=self.descriptors)
            )
        else:
            self.outbox.put_frame(handshake.make_digest(message, self._authkey))
        return None

    def _is_trusted(self, verdict: handshake.Verdict) -> bool:
        """With a proof the server shows that it knows our key; it cannot give one for a key that it refuses."""
        if not self.version or not verdict.proof or self._salt is None:
            return True
        return handshake.is_proven(verdict.proof, self._authkey, self._salt, self._nonce)

    def _read(self, body: memoryview) -> ClientEvent | None:
        if self.frames.marked:
            head, raw = self._split(body)
            reply = read_reply(head)
        else:
            raw = NO_BYTES
            reply = read_reply(body)
            if (
                reply is not None
                and reply.result is not UNSET
                and not reply.fds
                and (reply.id or not self.version)
            ):
                return reply
        if reply is None:
            return Lost("the server's answer makes no sense")
        return self._read_other(reply, raw, len(body) + 4)

    def _read_other(self, reply: Answer, raw: memoryview, cost: int) -> ClientEvent | None:
        if self.version and reply.id == 0:
            return Goodbye(reply.exception) if reply.exception is not UNSET else None
        if reply.exception is not UNSET:
            return reply
        if reply.end:
            return End(reply.id)
        if reply.parts == [(None, len(raw))] and not reply.fds:  # the usual large answer
            part = self.frames.keep(raw)
            if reply.item is UNSET:
                reply.result = part
            else:
                reply.item = part
        elif reply.parts or reply.fds or len(raw):
            self._claim_reply(reply, raw)
        if reply.item is not UNSET:
            return Item(reply.id, reply.item, cost)
        return reply if reply.result is not UNSET else Lost("the server's answer makes no sense")

    def _claim_reply(self, reply: Answer, raw: memoryview) -> None:
        if reply.item is not UNSET:
            reply.item = self._claim(reply.item, reply.parts or [], reply.fds or [], raw, reply.id)
        else:
            reply.result = self._claim(reply.result, reply.parts or [], reply.fds or [], raw, reply.id)
