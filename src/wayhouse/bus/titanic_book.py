"""A client's notes of its durable requests: which are outstanding, what became of them, whom to call.

Used by `titanic_client` and `async_titanic_client`. Rules: no I/O, `now` is an argument; a final status is told once; what nobody
fetches is forgotten after `ttl_s`; any thread may call anything.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from wayhouse.bus.kvmsg import to_bytes
from wayhouse.bus.model import (
    ERROR,
    EXPIRED,
    OK,
    PENDING,
    QUEUE_FULL,
    UNKNOWN,
    WORKER_LOST,
    ClientError,
    Frames,
    NoReplyError,
    ServerError,
    refusal_of,
    routing_key,
)
from wayhouse.bus.titanic_model import build_label, parse_uuid

Callback = Callable[[Frames, Sequence[Any], Mapping[str, Any]], object]
"""Called with the reply's frames, and the `args` and `kwargs` that were given with the request, as they are."""
Text = str | bytes
Data = Text | Sequence[Text]
TRY_AGAIN = {QUEUE_FULL, EXPIRED, WORKER_LOST}


class Note(msgspec.Struct):
    """`status` is 300 while it waits; `reply` is there with 200, and the reason with 500."""

    uuid: bytes
    made: float
    callback: Callback | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    status: bytes = PENDING
    reply: Frames = []

    def result(self) -> Frames:
        """The reply. Raises `ServerError` with the reason if there is none, `ClientError` if Titanic does not know the request any
        more."""
        if self.status == OK:
            return self.reply
        text = b" ".join([self.status, *self.reply]).decode("utf-8", "replace")
        raise (ClientError if self.status == UNKNOWN else ServerError)(text)


class Book:
    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._lock = threading.Lock()
        self._notes: dict[bytes, Note] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def add(self, note: Note) -> None:
        """One that was asked for again stays as it is."""
        self._notes.setdefault(note.uuid, note)

    def pending(self) -> list[bytes]:
        return [note.uuid for note in list(self._notes.values()) if note.status == PENDING]

    def answered(self, uuid: bytes, answer: Sequence[bytes]) -> Note | None:
        """What `titanic.reply` said; the note if it is final. That Titanic was lost while it was asked says nothing."""
        note = None if refusal_of(answer) else self._notes.get(uuid)
        status = answer[0][:3] if answer else ERROR
        with self._lock:
            if note is None or note.status != PENDING or status == PENDING:
                return None
            note.status, note.reply = status, list(answer[1:])
        return note

    def status(self, uuid: bytes | None) -> bytes:
        """300 while it waits; the final status once, then 400 like for any unknown one."""
        note = self._notes.get(uuid) if uuid else None
        if note is None:
            return UNKNOWN
        if note.status != PENDING:
            self._notes.pop(note.uuid, None)
        return note.status

    def take(self, uuid: bytes | None) -> Note | None:
        """The note of a request that is over, which is forgotten; None if it waits, or is not known."""
        note = self._notes.get(uuid) if uuid else None
        return None if note is None or note.status == PENDING else self._notes.pop(note.uuid, None)

    def tidy(self, now: float) -> None:
        """Forget what was over and has not been fetched for too long."""
        for note in list(self._notes.values()):
            if note.status != PENDING and now - note.made > self._ttl_s:
                self._notes.pop(note.uuid, None)


def build_order(
    hostname: str, service: Text | None, data: Data, *, once: bool, ttl_s: float | None, uuid: bytes | None
) -> Frames:
    """The body of `titanic.request`. `service` is put behind `hostname`, if there is one; without `service`, the first of `data` is
    the whole name."""
    frames = [to_bytes(part) for part in ([data] if isinstance(data, str | bytes) else data)]
    if service is None:
        name, frames = (frames[0], frames[1:]) if frames else (b"mmi.echo", [])
    elif hostname:
        name = to_bytes(routing_key(hostname, to_bytes(service).decode("utf-8", "surrogateescape")))
    else:
        name = to_bytes(service)
    return [build_label(name, once=once, ttl_s=ttl_s, uuid=uuid), *(frames or [b""])]


def accepted(answer: Sequence[bytes] | None) -> bytes | None:
    """The uuid in an answer of `titanic.request`; None to ask again. Raises `ClientError` for 400, `ServerError` for 500 and what is
    not understood, `NoReplyError` for none."""
    if answer is None:
        raise NoReplyError("Titanic does not answer: is it running?")
    status = answer[0][:3] if answer else b""
    uuid = parse_uuid(answer[1]) if status == OK and len(answer) > 1 else None
    if uuid is not None:
        return uuid
    if refusal_of(answer) in TRY_AGAIN:
        return None
    text = b" ".join(answer).decode("utf-8", "replace")
    raise (ClientError if status == UNKNOWN else ServerError)(text)


def choose_uuid(wanted: Text | None) -> bytes:
    """`wanted`, or any. Raises `ClientError` for what is no uuid."""
    if wanted is None:
        return os.urandom(16)
    uuid = parse_name(wanted)
    if uuid is None:
        raise ClientError("a uuid has 32 hexadecimal digits")
    return uuid


def parse_name(uuid: Text) -> bytes | None:
    return parse_uuid(to_bytes(uuid))
