"""A supervised function in a forked process. Called by `launch.py`; it takes up its surroundings where others close files."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from wayhouse.runtime.process import Process
from wayhouse.runtime.supervision.launch import Birth, default_signals, settle


class ForkedChild(Process):
    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], birth: Birth, proc_name: str
    ) -> None:
        super().__init__(target=self._run, args=args, proc_name=proc_name)
        self._function, self._birth = function, birth

    def close_fds(self, exclude: list[int]) -> None:
        """`redirect` does it, with all else."""

    def redirect(self) -> None:
        default_signals()
        settle(self._birth, os.environ)

    def _run(self, *args: Any) -> None:
        run_loudly(self._function, args)


def run_loudly(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """An error goes to standard error, where the supervisor reads it, and makes the exit code 1."""
    try:
        function(*args)
    except Exception:  # noqa: BLE001 - the border of the child
        traceback.print_exc()
        sys.stderr.flush()
        raise SystemExit(1) from None
