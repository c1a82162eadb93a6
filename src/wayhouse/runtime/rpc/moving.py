"""A served connection as plain data and descriptors, so that another process can go on with it: half a frame that came,
answers that are not yet sent, who the client is, its subscriptions.

Called by a hot upgrade, on both sides. Rules: taking the data changes nothing, so the old process can carry on when the new
one fails; calls that are under way are waited for (`quiet`), never copied; a stream of a method cannot move, so its client
gets `Restarting`.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Sequence
from typing import Any

from wayhouse.runtime.rpc.conversation import Conversation
from wayhouse.runtime.rpc.engine import BaseEngine
from wayhouse.runtime.rpc.methods import Caller
from wayhouse.runtime.rpc.streams import Subscription
from wayhouse.runtime.rpc.wire import ServerWire

STATE_VERSION = 1


def freeze(engine: BaseEngine) -> None:
    """Take no further calls; what is under way ends. What comes stays in the kernel, and what is queued is kept."""
    for conversation in engine.conversations.values():
        conversation.frozen = True


def thaw(engine: BaseEngine) -> None:
    """Carry on as if nothing had happened."""
    for conversation in tuple(engine.conversations.values()):
        thaw_one(engine, conversation)


def thaw_one(engine: BaseEngine, conversation: Conversation) -> None:
    if not conversation.gone:
        conversation.frozen = False
        conversation.backlog = True
        engine.turn(conversation)


def is_quiet(engine: BaseEngine) -> bool:
    """Whether no call is under way on any connection."""
    return all(conversation.quiet for conversation in engine.conversations.values())


def pack(conversation: Conversation) -> tuple[dict[str, Any], list[int]]:
    """(plain data, descriptors: the socket first) of a frozen, quiet connection."""
    state, fds = conversation.wire.snapshot()
    streams = conversation.streams.values()
    subscriptions = [stream.snapshot() for stream in streams if isinstance(stream, Subscription)]
    ended = [stream.id for stream in streams if not isinstance(stream, Subscription)]
    caller = conversation.caller
    moved = {
        "version": STATE_VERSION,
        "machine": state,
        "caller": [caller.key, caller.account],
        "subscriptions": subscriptions,
        "ended": ended,
        "closing": conversation.closing,
    }
    return moved, [conversation.sock.fileno(), *fds]


def unpack(engine: BaseEngine, state: dict[str, Any], fds: Sequence[int]) -> Conversation:
    """Serve a connection that was packed elsewhere; it owns `fds`. Raises `ValueError` for a state that is not understood."""
    if state.get("version") != STATE_VERSION:
        raise ValueError(f"state of version {state.get('version')!r} is not understood, {STATE_VERSION} is")
    try:
        wire = ServerWire.restore(engine.service.accepted_keys, state["machine"], fds[1:])
        caller = Caller(*state["caller"])
        subscriptions = [Subscription.restore(one) for one in state["subscriptions"]]
        for number in state["ended"]:
            wire.exception(number, _moved())
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"the state of a connection is incomplete: {error}") from error
    sock = sockets.socket(fileno=fds[0])
    conversation = engine.adopt(sock, wire, frozen=True)
    conversation.set_caller(caller)
    conversation.closing = bool(state["closing"])
    conversation.streams.update({one.id: one for one in subscriptions})
    if wire.opened:
        engine.opened(conversation)
    conversation.backlog = True
    return conversation


def _moved() -> dict[str, Any]:
    text = "the server was upgraded in the middle of this stream: ask again"
    return {"type": "Restarting", "message": text, "trace": []}
