"""The real daemon, which hangs in a loop without end once it gets SIGUSR1."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from wayhouse.gateway.__main__ import main


def hangs_for_the_test(_number: int, _frame: FrameType | None) -> None:
    password = "hunter2"
    while password:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hangs_for_the_test)
    sys.exit(main())
