"""What may be called, and by whom: the marks `rpc`, `auth`, `preauth` and `threaded`, and the table made of them.

Called by `Control` and by servers on asyncio. Rule: deny by default. Only marked methods can be called; a table given
as data (`{"reboot": ["admin"], "status": "anyone"}`) replaces what the marks say about access.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from wayhouse.runtime.rpc.stats import Stat

F = TypeVar("F", bound=Callable[..., Any])

ANYONE = "anyone"
AUTHENTICATED = "authenticated"
AccessTable = Mapping[str, str | Iterable[str]]

PLAIN, STREAM, COROUTINE, ASYNC_STREAM = "call", "stream", "coroutine", "async stream"
_MARKS = "__wayhouse_rpc__"


class Marks(msgspec.Struct):
    rpc: bool = False
    auth: bool = False
    accounts: tuple[str, ...] | None = None
    threaded: bool = False


class Caller(msgspec.Struct, frozen=True):
    """Who is at the other end: the key of the handshake, the account that the kernel's credentials earn."""

    key: str | None = None
    account: str = ""


class Row:
    """One method that can be called. `access` is `ANYONE`, `AUTHENTICATED` or a tuple of accounts."""

    __slots__ = ("access", "direct", "function", "kind", "name", "stat", "threaded")

    def __init__(
        self, name: str, function: Callable[..., Any], access: str | tuple[str, ...], *, threaded: bool
    ) -> None:
        self.name = name
        self.function = function
        self.access = access
        self.kind = _kind(function)
        self.threaded = threaded
        self.direct = self.kind == PLAIN and not threaded
        self.stat = Stat()

    def refusal(self, caller: Caller, keys: Mapping[str | int, str | None]) -> str | None:
        """Why `caller` may not, or None. `keys` maps accounts to keys."""
        if self.access == ANYONE:
            return None
        if self.access == AUTHENTICATED:
            known = caller.key is not None or caller.account
            return None if known else "not authenticated to make this call"
        wanted = [keys[name] for name in self.access if keys.get(name) is not None]
        if caller.account and caller.account in self.access:
            return None
        if not wanted and not isinstance(self.access, Strict):
            return None  # no named account has a key: the original lets everyone pass
        return None if caller.key is not None and caller.key in wanted else "not authorized to make this call"


class Strict(tuple[str, ...]):
    """Accounts of a table given as data."""

    __slots__ = ()


def rpc(function: F) -> F:
    """Make a method callable over the network."""
    _marks(function).rpc = True
    return function


def auth(function: F) -> F:
    """Only clients that authenticated, with any accepted key, may call."""
    _marks(function).auth = True
    return function


def preauth(*accounts: str) -> Callable[[F], F]:
    """Only clients that authenticated with the key of one of `accounts` may call; anyone if none of them has a key."""

    def mark(function: F) -> F:
        _marks(function).accounts = accounts
        return function

    return mark


def threaded(function: F) -> F:
    """The method takes its time: it runs in a pool of threads and holds nobody up."""
    _marks(function).threaded = True
    return function


def make_table(owner: object) -> dict[str, Row]:
    """Every marked method of `owner`."""
    table: dict[str, Row] = {}
    for name in dir(type(owner)):
        marks = getattr(inspect.getattr_static(type(owner), name, None), _MARKS, None)
        if marks is not None and marks.rpc:
            table[name] = Row(name, getattr(owner, name), _access(marks), threaded=marks.threaded)
    return table


def apply_access(table: dict[str, Row], access: AccessTable) -> None:
    """Let `access` replace what the marks say. Raises `ValueError` for names and words that are not known."""
    for name, who in access.items():
        if name not in table:
            raise ValueError(
                f"the access table names {name!r}, which is no RPC; there are {', '.join(sorted(table))}"
            )
        if isinstance(who, str) and who not in {ANYONE, AUTHENTICATED}:
            raise ValueError(
                f"access of {name!r}: {who!r} is neither 'anyone' nor 'authenticated' nor a list of accounts"
            )
        table[name].access = who if isinstance(who, str) else Strict(who)


def access_table(table: Mapping[str, Row]) -> dict[str, str | list[str]]:
    """The table as data."""
    return {
        name: row.access if isinstance(row.access, str) else list(row.access) for name, row in table.items()
    }


def is_there(owner: object, name: str) -> bool:
    """Whether `owner` has something of that name that is not an RPC; no property is run to find out."""
    missing = object()
    return inspect.getattr_static(owner, name, missing) is not missing


def _marks(function: Callable[..., Any]) -> Marks:
    found = getattr(function, _MARKS, None)
    if not isinstance(found, Marks):
        found = Marks()
        setattr(function, _MARKS, found)
    return found


def _access(marks: Marks) -> str | tuple[str, ...]:
    if marks.accounts is not None:
        return marks.accounts
    return AUTHENTICATED if marks.auth else ANYONE


def _kind(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function):
        return ASYNC_STREAM
    if inspect.iscoroutinefunction(function):
        return COROUTINE
    return STREAM if inspect.isgeneratorfunction(function) else PLAIN
