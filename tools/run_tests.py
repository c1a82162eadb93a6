"""Run all tests in two lanes at once: those end to end, which mostly wait, beside all others, which mostly compute. To end at about the same
time, the second lane has the end-to-end tests of the overlay, too.

Called by `make test`. The arguments go to both; with paths or a selection among them there is one lane. A few tests that fail are run once more, alone: two lanes
and real programs share the machine, and what passes then is told as UNSTABLE, to be mended, and is no failure. Exit status: that of pytest,
of the first lane that failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

PYTEST = (sys.executable, "-m", "pytest")
ROOT = Path(__file__).resolve().parent.parent
OVERLAY = tuple(str(path) for path in sorted((ROOT / "tests" / "e2e").glob("test_overlay_*.py")))
END_TO_END = ("tests/e2e", "--ignore-glob=*/test_overlay_*.py")
OTHERS = ("tests/unit", "tests/contract", "tests/test_docs.py", *OVERLAY)
TESTS_FAILED, NOTHING_COLLECTED = 1, 5
MOST_AGAIN = 5
"""More failures than these are no chance."""


class Lane:
    def __init__(self, arguments: list[str], tests: tuple[str, ...], cache: Path) -> None:
        self._command = [*PYTEST, *arguments, "-o", f"cache_dir={cache}", *tests]
        self._failed = cache / "v" / "cache" / "lastfailed"

    def start(self, out: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=out, stderr=subprocess.STDOUT if out else None)

    def again(self, status: int) -> int:
        """Its failures once more, if they are few. The exit status of the lane after that."""
        failed = json.loads(self._failed.read_text()) if self._failed.exists() else {}
        if status != TESTS_FAILED or not 0 < len(failed) <= MOST_AGAIN:
            return status
        print(f"\nonce more, alone: {', '.join(failed)}", flush=True)
        second = subprocess.call([*self._command, "--last-failed"])
        if second == 0:
            print(
                "\n".join(f"UNSTABLE: {name} failed, and passed when run alone" for name in failed),
                flush=True,
            )
        return second


def main(arguments: list[str]) -> int:
    if any(one in {"-k", "-m"} or Path(one.partition("::")[0]).exists() for one in arguments):
        return subprocess.call([*PYTEST, *arguments])
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as kept:
        lanes = [Lane(arguments, tests, Path(folder) / tests[0]) for tests in (END_TO_END, OTHERS)]
        beside = lanes[1].start(kept)
        try:
            print("tests end to end; all others run beside them and are shown after them", flush=True)
            statuses = [lanes[0].start().wait(), beside.wait()]
        finally:
            if beside.poll() is None:
                beside.terminate()
                beside.wait()
            _show(kept)
        ends = [lane.again(status) for lane, status in zip(lanes, statuses, strict=True)]
    return next((end for end in ends if end not in {0, NOTHING_COLLECTED}), 0)


def _show(kept: IO[bytes]) -> None:
    kept.seek(0)
    sys.stdout.flush()
    sys.stdout.buffer.write(kept.read())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
