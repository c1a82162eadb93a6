"""One connection's two ends as pure machines: bytes in, events and bytes out; no sockets and no clock.

`ServerWire` is driven by the epoll loop, the asyncio server and the hand-over; `ClientWire` by both clients. Rules: the old
wire (v0) is spoken byte for byte unless both sides know v1; any splitting of the bytes gives the same events; what a
connection is in the middle of can be taken out as plain data (`snapshot`) and put into a new machine (`restore`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import msgspec

from wayhouse.runtime import handshake
from wayhouse.runtime.coerce import FLAT, NOT_JSON, clean, plain
from wayhouse.runtime.frames import LIMIT, U32, WITH_PARTS, Buffer, Frames, OversizeError
from wayhouse.runtime.messages import (
    Answer,
    Call,
    Cancel,
    Credit,
    Params,
    RefusedError,
    Request,
    RequestV0,
    Result,
    ResultId,
    ResultParts,
    read_reply,
    read_v0,
    read_v1,
)
from wayhouse.runtime.outbox import Outbox, close_all
from wayhouse.runtime.parts import (
    MAX_DESCRIPTORS,
    MAX_PARTS,
    PARTS,
    Attachment,
    Descriptor,
    Place,
    Taken,
    put_back,
)

MAX_HANDSHAKE = 4096
"""The largest answer to a challenge."""
MAX_WAITING_FDS = 253
MAX_STARTS = 1000

_encode = msgspec.json.Encoder().encode


class Opened(msgspec.Struct, frozen=True):
    """The handshake is over. `key` is the accepted key or None, `account` who the kernel says the peer is."""

    key: str | None
    account: str
    wire: int


class Broken(msgspec.Struct, frozen=True):
    """The stream cannot be read any further: send what is queued, then close."""

    why: str


ServerEvent = Opened | Call | Cancel | Credit | Broken


class Wire:
    """What both ends share: frames in, an outbox, descriptors that came and are not yet claimed."""

    __slots__ = ("_fds", "descriptors", "frames", "outbox", "version")

    def __init__(self, limit: int) -> None:
        if not 1024 <= limit < WITH_PARTS:
            raise ValueError("the limit must be at least 1024 bytes and less than 2 GiB")
        self.frames = Frames(limit)
        self.outbox = Outbox()
        self._fds: deque[int] = deque()
        self.version = 0
        self.descriptors = False

    def feed(self, data: Buffer, fds: Sequence[int] = ()) -> None:
        """Lend bytes (until `next` gives None or `settle`), and give the descriptors that came with them."""
        self.frames.feed(data)
        if fds:
            self._fds.extend(fds)

    def settle(self) -> None:
        self.frames.settle()

    def close(self) -> None:
        close_all(self._fds)
        self._fds.clear()
        self.outbox.close()

    def _check_parts(self, taken: Taken) -> None:
        if len(taken.places) > MAX_PARTS or len(taken.descriptors) > MAX_DESCRIPTORS:
            raise ValueError("too many attachments or descriptors in one message")
        if taken.descriptors and not self.descriptors:
            raise ValueError(
                "descriptors travel only over UNIX sockets, to a client made with descriptors=True"
            )

    def _split(self, body: memoryview) -> tuple[memoryview, memoryview]:
        """(head, attachments) of a frame."""
        if not self.frames.marked:
            return body, body[:0]
        if len(body) < 4:
            raise RefusedError("malformed attachments: no head")
        size = U32.unpack_from(body)[0]
        if size > len(body) - 4:
            raise RefusedError("malformed attachments: the head is longer than the message")
        return body[4 : 4 + size], body[4 + size :]

    def _claim(
        self, root: Any, parts: list[tuple[Place, int]], fds: list[Place], raw: memoryview, number: int
    ) -> Any:
        """Put attachments and descriptors where they belong. Raises `RefusedError`."""
        received = self._claim_fds(len(fds), number) if fds else []
        try:
            root = self._put_attachments(root, parts, raw)
            for place, descriptor in zip(fds, received, strict=True):
                root = _put(root, place, descriptor)
        except (LookupError, TypeError, ValueError) as error:
            for descriptor in received:
                descriptor.close()
            raise RefusedError(f"malformed attachments: {error}", number) from None
        return root

    def _put_attachments(self, root: Any, parts: list[tuple[Place, int]], raw: memoryview) -> Any:
        if len(parts) == 1 and parts[0][1] == len(raw):
            return _put(root, parts[0][0], self.frames.keep(raw))
        if len(parts) > MAX_PARTS or any(size < 0 for _, size in parts):
            raise ValueError("too many, or of no size")
        if sum(size for _, size in parts) != len(raw):
            raise ValueError("their sizes are not those of the bytes that came")
        start = 0
        for place, size in parts:
            root = _put(root, place, self.frames.keep(raw[start : start + size]))
            start += size
        return root

    def _claim_fds(self, count: int, number: int) -> list[Descriptor]:
        if count > MAX_DESCRIPTORS or count > len(self._fds):
            raise RefusedError(f"{count} descriptors are announced, {len(self._fds)} came", number)
        return [Descriptor(self._fds.popleft(), owned=True) for _ in range(count)]


class _CallRoot:
    """The arguments of a call as one thing with places: a number for `vargs`, a name for `kwargs`."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def __getitem__(self, place: int | str) -> Any:
        return self.params.vargs[place] if isinstance(place, int) else self.params.kwargs[place]

    def __setitem__(self, place: int | str, value: Any) -> None:
        if isinstance(place, int):
            self.params.vargs[place] = value
        else:
            self.params.kwargs[place] = value


class ServerWire(Wire):
    """The server's end. `keys` gives the accepted keys, `account` the name that the kernel's credentials earn the peer.

    `begin` queues the challenge. Then `feed` bytes and take events with `next` until it gives None. Calls that are not
    understood are answered here; all other answers are the caller's to give by `result`, `exception`, `item` and `end`.
    """

    __slots__ = ("_broken", "_keys", "_salt", "account", "key", "opened", "unix")

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
        self.opened = True

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
                    return self._crowded()
                if not self.opened:
                    return self._open(body)
                if self.version == 0:
                    return read_v0(body)
                if self.frames.marked:
                    return self._read_v1(body)
                event = read_v1(body)
                return (
                    event
                    if type(event) is not Call or not (event.fds or event.parts)
                    else self._read_v1(body)
                )
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
        if type(value) in FLAT:
            try:
                body = b'{"result":' + _encode(value)
            except UnicodeEncodeError:
                body = b'{"result":' + _encode(clean(value))
            self.outbox.put_frame(body + b',"id":%d}' % number if number else body + b"}")
            return
        try:
            if type(value) is Attachment and self.version:
                view = value.view()
                self.outbox.put_raw(ResultParts(number, result=None, parts=[(None, len(view))]), (view,))
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
            "limit": self.frames.limit,
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
        wire.opened = state["opened"]
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
        try:
            self.outbox.put(ResultId(kept, number) if number else Result(kept))
        except UnicodeEncodeError:
            self.outbox.put(ResultId(clean(kept), number) if number else Result(clean(kept)))

    def _read_v1(self, body: memoryview) -> ServerEvent:
        head, raw = self._split(body)
        event = read_v1(head)
        if type(event) is Call and (event.parts or event.fds or len(raw)):
            self._claim_arguments(event, raw)
        return event

    def _claim_arguments(self, call: Call, raw: memoryview) -> None:
        if call.params is not None:
            self._claim(_CallRoot(call.params), call.parts, call.fds, raw, call.id)
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
            self.outbox.put(handshake.Verdict(known, 1, proof, self.frames.limit, account))
            self._set_version(1)
        else:
            self.account = ""
            self.key = handshake.validate_digest(self._salt, message, self._keys())
            self.outbox.put({"authenticated": self.key is not None})
        self.opened = True
        return Opened(self.key, self.account, self.version)

    def _set_version(self, version: int) -> None:
        self.version = version
        self.frames.marks = version == 1

    def _crowded(self) -> Broken | None:
        if len(self._fds) <= MAX_WAITING_FDS:
            return None
        self._broken = True
        return Broken("more descriptors came than calls announce")

    def _oversize(self, error: OversizeError) -> Broken:
        self._broken = True
        text = f"got invalid RPC from client, {error}. disconnect"
        self.exception(0, {"type": "OverflowError", "message": text, "trace": []})
        return Broken(text)


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

    __slots__ = ("_authkey", "_next_id", "_nonce", "_salt", "_starts", "opened", "server_limit", "wanted")

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
        self._next_id = 0
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
        if not (kwargs or stream or silent) and resource is None and FLAT.issuperset(map(type, vargs)):
            try:
                return self._call_simply(method, vargs, ms)
            except UnicodeEncodeError:
                pass
        kwargs = kwargs or {}
        if self.version == 0:
            self._call_v0(method, vargs, kwargs, stream, silent, resource)
            return 0
        number = self._next_id = self._next_id + 1
        request = Request(method, Params(vargs, kwargs), number, ms, stream, silent, resource)  # type: ignore[arg-type]
        self._call_slowly(request)
        return number

    def cancel(self, number: int) -> None:
        """The answer of `number` is no longer wanted (v1; v0 cannot say so)."""
        if self.version:
            self.outbox.put({"cancel": number})

    def credit(self, number: int, count: int) -> None:
        self.outbox.put({"id": number, "credit": count})

    def _call_simply(self, method: str, vargs: Sequence[Any], ms: int) -> int:
        """The usual call, of a few plain values: what does not change between calls of a method is kept ready."""
        start = self._starts.get(method) or self._start_of(method)
        body = start + _encode(vargs)
        if self.version == 0:
            body += b',"kwargs":{}},"async":false}'
            number = 0
        else:
            number = self._next_id = self._next_id + 1
            body += (
                b',"kwargs":{}},"id":%d,"ms":%d}' % (number, ms) if ms else b',"kwargs":{}},"id":%d}' % number
            )
        self.outbox.put_frame(body)
        return number

    def _start_of(self, method: str) -> bytes:
        if len(self._starts) >= MAX_STARTS:
            self._starts.clear()
        resource = b"" if self.version else b',"resource":null'
        start = b'{"method":' + _encode(method) + resource + b',"params":{"vargs":'
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
        marked = self.frames.marked
        head, raw = self._split(body) if marked else (body, body[:0])
        reply = read_reply(head)
        if reply is None:
            return Lost("the server's answer makes no sense")
        if (
            not marked
            and reply.result is not msgspec.UNSET
            and not reply.fds
            and (reply.id or not self.version)
        ):
            return reply
        return self._read_other(reply, raw, len(body) + 4)

    def _read_other(self, reply: Answer, raw: memoryview, cost: int) -> ClientEvent | None:
        if self.version and reply.id == 0:
            return Goodbye(reply.exception) if reply.exception is not msgspec.UNSET else None
        if reply.exception is not msgspec.UNSET:
            return reply
        if reply.end:
            return End(reply.id)
        if reply.parts or reply.fds or len(raw):
            self._claim_reply(reply, raw)
        if reply.item is not msgspec.UNSET:
            return Item(reply.id, reply.item, cost)
        return reply if reply.result is not msgspec.UNSET else Lost("the server's answer makes no sense")

    def _claim_reply(self, reply: Answer, raw: memoryview) -> None:
        if reply.item is not msgspec.UNSET:
            reply.item = self._claim(reply.item, reply.parts, reply.fds, raw, reply.id)
        else:
            reply.result = self._claim(reply.result, reply.parts, reply.fds, raw, reply.id)


def _put(root: Any, place: Place, part: Any) -> Any:
    if place is None and isinstance(root, _CallRoot):
        raise LookupError("a call has no place of that name")
    return put_back(root, place, part)


def _safe(details: Any) -> Any:
    """Details that can be sent, whatever a method has put into its exception."""
    try:
        return clean(plain(details))
    except (TypeError, ValueError, RecursionError):
        kind = details.get("type", "Exception") if isinstance(details, dict) else "Exception"
        return {"type": clean(str(kind)), "message": NOT_JSON, "trace": []}
