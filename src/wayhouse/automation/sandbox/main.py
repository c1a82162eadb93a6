"""The process of one run: build the walls, run the code, say how it ended.

Started by `sandbox_process` with a socket and nothing else. Rule: whatever the code does, the gateway is told how it
ended and in which line, or sees this process end.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would cost 3 ms
import builtins
import os
import sys

from wayhouse.automation.sandbox.channel import Channel, Stopped
from wayhouse.automation.sandbox.names import Output, Stopping, names
from wayhouse.automation.sandbox.walls import Walls

TYPE_CHECKING = False  # `typing` would cost half of the start
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

FILE = "<scenario>"
_SIGTERM = 15
_MAX_ERROR = 2000


def main() -> None:
    stopping = Stopping()
    _signal.signal(_SIGTERM, lambda *_: setattr(stopping, "is_asked", True))
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    channel = Channel(int(sys.argv[1]))
    sys.argv[:] = ["scenario"]
    begin = channel.receive()
    walls = Walls(begin["shown"], begin["memory_bytes"])
    walls.build(begin["parent"])
    sys.dont_write_bytecode = True
    channel.tell(do="ready", missing=walls.missing)
    os.environ.pop("PYTHONHASHSEED", None)
    channel.tell(do="end", **run(channel, begin, stopping))
    os._exit(0)


def run(channel: Channel, begin: dict[str, Any], stopping: Stopping) -> dict[str, Any]:
    """How it ended: `outcome`, and with `failed` the `error` and the `line`."""
    output = Output(channel)
    sys.stdout = sys.stderr = output
    space = names(channel, begin, stopping)
    space["__builtins__"] = {**vars(builtins), "__import__": _importing(begin["seed"])}
    try:
        code = compile(begin["code"], FILE, "exec", dont_inherit=True)
        _execute(code, space)
    except Stopped:
        return {"outcome": "stopped"}
    except SystemExit as error:
        if error.code not in {None, 0}:
            return {"outcome": "failed", "error": str(error.code)[:_MAX_ERROR], "line": _line(error)}
    except BaseException as error:  # noqa: BLE001 - the border: whatever the code raises is told
        return {"outcome": "failed", "error": _text(error), "line": _line(error)}
    finally:
        output.end()
    return {"outcome": "done"}


def _execute(code: CodeType, space: dict[str, Any]) -> None:
    exec(code, space)  # noqa: S102 - what this process is for


def _importing(seed: str) -> Any:
    """`import` as ever, but chance is the same when the run is repeated."""
    seeded = False

    def bring(name: str, *rest: Any) -> Any:
        nonlocal seeded
        module = builtins.__import__(name, *rest)
        if name == "random" and not seeded:
            seeded = True
            module.seed(seed)
        return module

    return bring


def _text(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error whose text fails is an error all the same
        text = type(error).__name__
    return text.removesuffix(": ")[:_MAX_ERROR]


def _line(error: BaseException) -> int | None:
    """The innermost line of the scenario's own code."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
