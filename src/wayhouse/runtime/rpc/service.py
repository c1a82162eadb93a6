"""What a server offers to all its clients: its methods, who may call them, its accounts, its topics, its figures.

Called by the conversations of one server, and by `Control`. One of these serves any number of connections and engines. Rule:
the built-in methods (`PING`, `INFO`, `STATS`, `TRACE`, `SUBSCRIBE`) obey the access table like all others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wayhouse.runtime import trace
from wayhouse.runtime.rpc import introspect
from wayhouse.runtime.rpc.frames import LIMIT
from wayhouse.runtime.rpc.messages import Call
from wayhouse.runtime.rpc.methods import (
    ANYONE,
    AUTHENTICATED,
    STREAM,
    AccessTable,
    Caller,
    Row,
    access_table,
    apply_access,
    is_there,
    make_table,
)
from wayhouse.runtime.rpc.streams import Subscription

Keys = Mapping[str | int, str | None]
OWNER = "owner"
"""The account of this process's own user, and of root, on UNIX sockets."""

MAX_TOPICS = 1000


def default_accounts() -> dict[str, list[int]]:
    return {OWNER: sorted({0, os.geteuid()})}


class Service:
    """`owner` has the methods; `keys` gives account -> key; `accounts` account -> user ids, for UNIX sockets."""

    def __init__(
        self,
        owner: object,
        keys: Callable[[], Keys],
        *,
        access: AccessTable | None = None,
        accounts: Mapping[str, Iterable[int]] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.owner = owner
        self.keys = keys
        self.limit = limit
        self.accounts = {name: frozenset(uids) for name, uids in (accounts or default_accounts()).items()}
        self.table = {**self._built_in(), **make_table(owner)}
        if access:
            apply_access(self.table, access)
        self.begun = time.monotonic()
        self.refused = 0
        self.connections: set[Any] = set()

    def accepted_keys(self) -> list[str]:
        return [key for key in self.keys().values() if key is not None]

    def account_of(self, uid: int) -> str:
        """The account that a user id earns, "" for none; others go before `owner`."""
        names = sorted(self.accounts, key=lambda name: name == OWNER)
        return next((name for name in names if uid in self.accounts[name]), "")

    def find(self, call: Call, caller: Caller) -> tuple[Row | None, str]:
        """The row of a method that `caller` may call, or None and why not."""
        row = self.table.get(call.method)
        if row is not None:
            refusal = row.refusal(caller, self.keys())
            return (row, "") if refusal is None else (None, refusal)
        if is_there(self.owner, call.method):
            return None, f"not an RPC: {_as_sent(call)}"
        return None, f"no such RPC: {call.method}"

    def notify(self, topic: str, data: Any) -> int:
        """Hand `data` to the subscriptions of `topic`; how many there are. The engine then lets them send."""
        reached = 0
        for conversation in tuple(self.connections):
            for stream in conversation.streams.values():
                if isinstance(stream, Subscription) and topic in stream.topics:
                    stream.offer(topic, data)
                    reached += 1
        return reached

    def ping(self) -> str:
        """Answers "pong": the process is there and its loop turns."""
        return "pong"

    def info(self) -> dict[str, Any]:
        """Who this is, and every method with its signature, access and first line of documentation."""
        return introspect.info(self.owner, self.table)

    def stats(self) -> dict[str, Any]:
        """Connections, uptime, and per method calls, errors, p50 and p99."""
        uptime = time.monotonic() - self.begun
        return introspect.stats(
            self.table, connections=len(self.connections), refused=self.refused, uptime_s=uptime
        )

    def counts(self) -> dict[str, Any]:
        """The figures of `stats` as plain data, for a process that goes on with them."""
        return {name: row.stat.snapshot() for name, row in self.table.items() if row.stat.count}

    def restore_counts(self, counts: Mapping[str, Any]) -> None:
        """Go on with another process's figures. Raises `ValueError` for what are none."""
        for name, figures in counts.items():
            if name in self.table:
                self.table[name].stat.restore(figures)

    def trace(self) -> str:
        """The stacks of all threads and asyncio tasks of this process, secrets redacted."""
        return trace.dump()

    def subscribe(self, *topics: str) -> frozenset[str]:
        """A stream of the messages of some topics, as objects `{topic, data, lost}`."""
        if not topics or len(topics) > MAX_TOPICS or not all(isinstance(topic, str) for topic in topics):
            raise ValueError("name the topics, as text")
        return frozenset(topics)

    def access(self) -> dict[str, str | list[str]]:
        """The access table as data."""
        return access_table(self.table)

    def _built_in(self) -> dict[str, Row]:
        table = {
            "PING": Row("PING", self.ping, ANYONE, threaded=False),
            "INFO": Row("INFO", self.info, AUTHENTICATED, threaded=False),
            "STATS": Row("STATS", self.stats, AUTHENTICATED, threaded=False),
            "TRACE": Row("TRACE", self.trace, AUTHENTICATED, threaded=False),
            "SUBSCRIBE": Row("SUBSCRIBE", self.subscribe, AUTHENTICATED, threaded=False),
        }
        table["SUBSCRIBE"].kind = STREAM
        table["SUBSCRIBE"].direct = False
        return table


def _as_sent(call: Call) -> dict[str, Any]:
    """The call as the client wrote it, near enough, for the original's text."""
    params = call.params
    arguments = {"vargs": params.vargs, "kwargs": params.kwargs} if params is not None else None
    return {"method": call.method, "params": arguments, "resource": call.resource, "async": call.silent}
