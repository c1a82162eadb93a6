"""The usual calls in one loop: whole frames, plain values. A server serves them here, a client writes them and takes their answers.

Called by `conversation.py` and `remote.py` before their general ways. Rule: what is not usual stays where it is, untouched, for the
general way, so nothing but the speed of a call depends on this file. Its loops are long and repeat what `frames.py`, `outbox.py` and
the machines say in small words, since of the time that a call takes in Python most goes into calling those.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from wayhouse.runtime.rpc.coerce import FLAT
from wayhouse.runtime.rpc.frames import U32
from wayhouse.runtime.rpc.messages import BAD, Answer, ResultId, decode_answer, decode_call
from wayhouse.runtime.rpc.outbox import HEADER
from wayhouse.runtime.rpc.pipelines import Pending

if TYPE_CHECKING:
    from wayhouse.runtime.rpc.client_wire import ClientWire
    from wayhouse.runtime.rpc.conversation import Conversation

ENOUGH = 256 * 1024
"""Bytes that wait to be sent, after which the general way has a look."""

FAILURES = (Exception, SystemExit, GeneratorExit)
_encode_into = msgspec.json.Encoder().encode_into
_length = U32.unpack_from
_pack_into = U32.pack_into
_clock = time.perf_counter_ns


def serve(conversation: Conversation, begun: int) -> int:
    """Serve the calls that came, up to the first unusual one; when the last of them was over (`perf_counter_ns`)."""
    wire, serving = conversation.wire, conversation.serving
    frames, outbox = wire.frames, wire.outbox
    view, end, limit, out = frames.view, frames.end, frames.limit, outbox.out
    start = frames.pos + 4
    while start <= end:
        (size,) = _length(view, start - 4)
        stop = start + size
        if stop > end or size > limit:  # a mark of attachments makes it larger than any limit
            break
        try:
            call = decode_call(view[start:stop])
        except BAD:
            break
        row = conversation.rows.get(call.method)
        params = call.params
        if (
            row is None
            or not row.direct
            or params is None
            or call.fds is not UNSET
            or call.parts is not UNSET
        ):
            break
        frames.pos = stop
        serving.call = call
        serving.deadline = time.monotonic() + call.ms / 1000 if call.ms else 0.0
        plain = False
        try:
            result = row.function(*params.vargs, **params.kwargs)
        except FAILURES as failure:
            row.stat.errors += 1
            conversation.fail(call, failure)
        else:
            number = call.id
            plain = number > 0 and type(result) in FLAT and not call.silent
            if plain:
                begin = len(out)
                out += HEADER
                try:
                    _encode_into(ResultId(result, number), out, -1)
                    _pack_into(out, begin, len(out) - begin - 4)
                except ValueError:  # text that UTF-8 cannot carry
                    del out[begin:]
                    wire.result(number, result)
            elif not call.silent:
                wire.result(number, result)
        now = _clock()
        row.stat.add(now - begun)
        begun = now
        if (  # a method may do anything to its own connection
            frames.pos != stop
            or conversation.closing
            or conversation.frozen
            or conversation.gone
            or len(out) > ENOUGH
            or not (plain or (outbox.out is out and not outbox.chunks))
        ):
            break
        start = stop + 4
    return begun


def answer(wire: ClientWire, view: memoryview, count: int, number: int) -> Answer | None:
    """The plain answer of call `number`, if that is what the first `count` bytes of `view` are, and they are nothing more."""
    if count <= 4 or count - 4 > wire.frames.limit or _length(view)[0] != count - 4:
        return None
    try:
        found = decode_answer(view[4:count])
    except BAD:
        return None
    return found if found.id == number and found.result is not UNSET and found.fds is UNSET else None


def queue(wire: ClientWire, calls: Sequence[Pending], start: int, end: int, ms: int) -> int:
    """Queue the calls from `start` up to `end`, to the first that is not of plain values alone, or until much waits; where that
    is."""
    put, out = wire.call_plainly, wire.outbox.out
    for index in range(start, end):
        call = calls[index]
        if call.kwargs or len(out) > ENOUGH:
            return index
        for value in call.vargs:
            if type(value) not in FLAT:
                return index
        if put(call.method, call.vargs, ms) < 0:
            return index
    return end


def collect(wire: ClientWire, calls: Sequence[Pending], first: int) -> int:
    """Settle those of `calls`, whose ids begin with `first`, that have plain results here; how many those are."""
    frames = wire.frames
    view, end, limit = frames.view, frames.end, frames.limit
    start = frames.pos + 4
    settled, count = 0, len(calls)
    while start <= end:
        (size,) = _length(view, start - 4)
        stop = start + size
        if stop > end or size > limit:
            break
        try:
            found = decode_answer(view[start:stop])
        except BAD:
            break
        index = found.id - first
        if found.result is UNSET or found.fds is not UNSET or not 0 <= index < count or calls[index].finished:
            break
        call = calls[index]
        call.finished = True
        call.value = found.result
        frames.pos = stop
        start = stop + 4
        settled += 1
    return settled
