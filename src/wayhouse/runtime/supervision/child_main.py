"""The inside of a child that runs a function named by text: called in a zygote's child (`begin`), or as a program,
`python -m wayhouse.runtime.supervision.child_main package.module:function '[json, arguments]'`, where nothing can be forked.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import msgspec

from wayhouse.runtime import fork
from wayhouse.runtime.process_table import set_proc_name
from wayhouse.runtime.supervision import launch
from wayhouse.runtime.supervision.forked_child import run_loudly


def begin(birth: dict[str, Any], target: str, args: list[Any], *fds: int) -> None:
    """`birth` without descriptors: they come as the last arguments, in the order of `present`."""
    present = birth.pop("present")
    given = iter(fds)
    placed = [next(given) if there else -1 for there in present]
    launch.settle(msgspec.convert(birth, launch.Birth).with_fds(placed), os.environ)
    fork.reopen_streams()
    run_loudly(find(target), tuple(args))


def find(target: str) -> Any:
    """Raises `ImportError` or `AttributeError`."""
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def main() -> int:
    target, text = sys.argv[1:3]
    set_proc_name(target.rpartition(":")[2])
    sys.argv[1:] = []
    run_loudly(find(target), tuple(msgspec.json.decode(text)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
