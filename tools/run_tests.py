"""Run all tests in two lanes at once: those end to end, which mostly wait, beside all others, which mostly compute. To end at about the same
time, the second lane has the end-to-end tests of the overlay, too.

Called by `make test`. The arguments go to both; with paths or a selection among them there is one lane. Exit status: that of pytest, of the first
lane that failed.
"""

from __future__ import annotations

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
NOTHING_COLLECTED = 5


def main(arguments: list[str]) -> int:
    if any(one in {"-k", "-m"} or Path(one.partition("::")[0]).exists() for one in arguments):
        return subprocess.call([*PYTEST, *arguments])
    with tempfile.TemporaryFile() as kept:
        beside = subprocess.Popen([*PYTEST, *arguments, *OTHERS], stdout=kept, stderr=subprocess.STDOUT)
        try:
            print("tests end to end; all others run beside them and are shown after them", flush=True)
            first = subprocess.call([*PYTEST, *arguments, *END_TO_END])
            second = beside.wait()
        finally:
            if beside.poll() is None:
                beside.terminate()
                beside.wait()
            _show(kept)
    return next((status for status in (first, second) if status not in {0, NOTHING_COLLECTED}), 0)


def _show(kept: IO[bytes]) -> None:
    kept.seek(0)
    sys.stdout.flush()
    sys.stdout.buffer.write(kept.read())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
