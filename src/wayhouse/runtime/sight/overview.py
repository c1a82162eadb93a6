"""Looks into a product's processes: the tree of all, and the stacks of each by the best way there is.

Called by a daemon for its clients, and by a command when that daemon is stuck: both see the same. A process that is armed
(`trace_box.py`) is asked by signal; of others the kernel tells. Rule: a process that cannot be looked at says why, and the next one
is looked at all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from wayhouse.base.errors import NotFoundError, WayhouseError
from wayhouse.runtime.sight import trace_ask, trace_box
from wayhouse.runtime.sight.family import Label, Member, family
from wayhouse.runtime.sight.kernel_view import kernel_view

SOCKET = "control.sock"
"""Below the runtime directory: where a daemon that is not stuck answers for all of them."""
MAX_TEXT = 256 * 1024
_BELOW = {"shim": "app"}


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The stacks of one process. `how`: it told them itself ("own"), it was made to by a signal ("signal"), or the kernel told
    ("kernel"). `note` says why there is no better way."""

    pid: int
    name: str
    role: str
    belongs_to: str
    how: Literal["own", "signal", "kernel"]
    text: str
    note: str = ""


class NoSuchProcessError(NotFoundError):
    code = "no-such-process"
    title = "There is no such process"


def see(directory: Path, known: Mapping[int, Label] | None = None, *, pss: bool = False) -> list[Member]:
    """All processes that are armed in `directory` or `known`, with their descendants. What is known of one goes before what
    its file says. Blocking. Raises `PermissionError` for a directory that is somebody else's."""
    labels = {pid: _label(head) for pid, head in trace_box.boxes(directory).items()}
    for pid, label in (known or {}).items():
        labels[pid] = _merged(label, labels.get(pid, label))
    return family(labels, pss=pss)


def look(directory: Path, member: Member) -> Trace:
    """Its stacks. Blocking, for `trace_ask.ANSWER_S` and a bit at the worst."""
    note = ""
    if (directory / str(member.pid)).exists():
        try:
            return traced(member, "signal", trace_ask.collect(directory, member.pid))
        except WayhouseError as error:
            note = error.message
    text = kernel_view(member.pid)
    return traced(member, "kernel", text, note=note if text else f"Process {member.pid} has ended.")


def look_at_all(directory: Path, members: Iterable[Member]) -> Iterator[Trace]:
    """One after the other, as they come."""
    for member in members:
        yield look(directory, member)


def traced(member: Member, how: Literal["own", "signal", "kernel"], text: str, *, note: str = "") -> Trace:
    shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n... and more\n"
    return Trace(
        pid=member.pid,
        name=member.name,
        role=member.role,
        belongs_to=member.belongs_to,
        how=how,
        text=shown,
        note=note,
    )


def choose(members: Iterable[Member], who: str | int | None) -> list[Member]:
    """Those of that pid, name, role or app; all for None. Raises `NoSuchProcessError` that says which there are."""
    known = list(members)
    if who is None:
        return known
    word = str(who)
    found = [one for one in known if word in {str(one.pid), one.name, one.role, one.belongs_to}]
    if not found or not word:
        names = ", ".join(sorted({one.name for one in known})) or "none"
        raise NoSuchProcessError(
            f"No process of the gateway has the name, role, app or pid {word[:80]!r}. There are: {names}."
        )
    return found


def _merged(label: Label, other: Label) -> Label:
    return Label(
        name=label.name or other.name,
        role=label.role or other.role,
        belongs_to=label.belongs_to or other.belongs_to,
        ready=other.ready if label.ready is None else label.ready,
        below=label.below,
    )


def _label(head: trace_box.Head) -> Label:
    return Label(
        name=head.name, role=head.role, belongs_to=head.belongs_to, below=_BELOW.get(head.role, "helper")
    )
