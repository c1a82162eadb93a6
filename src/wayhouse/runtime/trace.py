"""The stacks of this process: every thread and every asyncio task, as text, with secrets redacted.

Called by the RPC `TRACE`, by the signal handler of `Control`, and by whoever asks for a dump into a file or pipe. Rules: a dump
never ends the process or raises, and whatever looks like a key or password is not in it. For code that is stuck in C,
`arm_faulthandler` lets a signal dump without the interpreter's help.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, TextIO

HIDDEN = "<redacted>"
MAX_VALUE = 200
MAX_NAMES = 100
MAX_FRAMES = 50
_AWAITS = {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?|secret|token|auth|key|cred|cookie|digest|hmac|salt|nonce|private|pwd|pin\b",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"""((?:pass(?:word|wd|phrase)?|secret|token|auth\w*|key|credential\w*|cookie|pwd)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;)}\]]+)""",
    re.IGNORECASE,
)


def dump(*, values: bool = False) -> str:
    """All threads and tasks, the asking thread first. `values` adds names and shortened values of each frame."""
    parts = [f"process {os.getpid()} {_process_name()}"]
    frames = sys._current_frames()  # noqa: SLF001 - it has no other name
    names = {thread.ident: thread for thread in threading.enumerate()}
    for ident in sorted(frames, key=lambda one: one != threading.get_ident()):
        thread = names.get(ident)
        title = (
            f"thread {thread.name!r}{' (daemon)' if thread.daemon else ''}" if thread else f"thread {ident}"
        )
        parts.append(f"{title}\n{_stack(frames[ident], values=values)}")
    parts += [_task(task) for task in _tasks()]
    return "\n\n".join(parts) + "\n"


def write(target: TextIO | int) -> None:
    """`dump` into a text file or a descriptor; a pipe whose reader is gone is no error."""
    text = dump()
    try:
        if isinstance(target, int):
            _write_all(target, text.encode("utf-8", "replace"))
        else:
            target.write(text)
            target.flush()
    except OSError:
        return


def hickup(frame: FrameType | None) -> str:
    """What SIGUSR1 leaves in a file: the interrupted stack with its variables, then all the rest."""
    parts = ["stack:", _stack(frame, values=False) if frame else ""]
    parts += ["locals:", _variables(frame.f_locals) if frame else ""]
    parts += ["globals:", _variables(frame.f_globals) if frame else ""]
    return "\n".join([*parts, "", dump()])


def arm_faulthandler(number: int = signal.SIGUSR2, file: TextIO | int = 2) -> None:
    """From now on signal `number` writes the stacks of all threads to `file`, even while the interpreter is stuck."""
    faulthandler.register(number, file=file, all_threads=True, chain=False)


def redact(text: str) -> str:
    """`text` without the values of what is named like a secret."""
    return _SECRET_TEXT.sub(lambda found: found.group(1) + HIDDEN, text)


def is_secret_name(name: str) -> bool:
    """Whether a variable, an option or a field of that name may hold a secret."""
    return _SECRET_NAME.search(name) is not None


def _stack(frame: FrameType | None, *, values: bool) -> str:
    if frame is None:
        return "  no frame"
    lines = [redact(line) for line in traceback.format_stack(frame)]
    if values:
        lines.append(_variables(frame.f_locals))
    return "".join(lines).rstrip()


def _task(task: asyncio.Task[Any]) -> str:
    rows = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in awaiting(task.get_coro()))
    text = "".join(redact(row) for row in rows.format()).rstrip()
    return f"task {task.get_name()!r} {_where(task)}\n{text or '  no frame'}"


def awaiting(waiter: Any) -> Iterator[FrameType]:
    """The frames from a coroutine or generator down to what it waits for in the end, the outermost first.

    asyncio's own `get_stack` tells the outermost alone; of a task that runs right now, its thread's stack tells the rest."""
    for _ in range(MAX_FRAMES):
        kind = next((kind for kind in _AWAITS if hasattr(waiter, f"{kind}_frame")), None)
        frame = getattr(waiter, f"{kind}_frame", None)
        if kind is None or frame is None:
            return
        yield frame
        waiter = getattr(waiter, _AWAITS[kind], None)


def _where(task: asyncio.Task[Any]) -> str:
    code: CodeType | None = getattr(task.get_coro(), "cr_code", None)
    return code.co_qualname if code is not None else "?"


def _tasks() -> list[asyncio.Task[Any]]:
    """The unfinished tasks of all loops; the set is a weak one that other threads may change meanwhile."""
    known: Any = getattr(asyncio.tasks, "_all_tasks", None) or getattr(asyncio.tasks, "_scheduled_tasks", ())
    for _ in range(100):
        try:
            return [task for task in list(weakref.WeakSet(known)) if not task.done()]
        except RuntimeError:
            continue
    return []


def _variables(names: Mapping[str, Any]) -> str:
    shown = [(name, value) for name, value in list(names.items())[:MAX_NAMES] if not name.startswith("__")]
    return "\n".join(f"  {name} = {_value(name, value)}" for name, value in shown)


def _value(name: str, value: Any) -> str:
    """Plain scalars alone are shown: any other object's text may hold a key, and making it runs foreign code."""
    if is_secret_name(name):
        return HIDDEN
    if type(value) in {int, float, bool, type(None)}:
        return repr(value)
    if type(value) is str:
        return repr(redact(value[:MAX_VALUE]))
    return f"<{type(value).__name__}>"


def _process_name() -> str:
    try:
        with open("/proc/self/comm", encoding="utf-8") as file:  # noqa: PTH123 - a signal handler's path, kept short
            return file.read().strip()
    except OSError:
        return ""


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
