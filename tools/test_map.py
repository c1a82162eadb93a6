"""Every source file has its test file: `src/wayhouse/<room>/<name>.py` is tested by a `test_<room>_<name>.py`,
`<room>/test_<name>.py` or a file that says so. Run by `make check`.

A file is also covered when a test file names it in a line `# covers: chutes/engines/docker.py, ...`.
Files that only declare words (Protocols, structs) need none.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "wayhouse"
TESTS = ROOT / "tests"
WORDS_ONLY = {"__init__.py", "ports.py", "__main__.py"}


def covered() -> set[str]:
    names: set[str] = set()
    for test in TESTS.rglob("test_*.py"):
        inside = test.relative_to(TESTS)
        names.add(str(Path(*inside.parts[1:-1]) / inside.name.removeprefix("test_")))
        for line in re.findall(r"^# covers: (.+)$", test.read_text(encoding="utf-8"), re.MULTILINE):
            names.update(part.strip() for part in line.split(","))
    return names


def main() -> int:
    known = covered()
    sources = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if path.name not in WORDS_ONLY}
    missing = sorted(sources - known)
    for name in missing:
        print(
            f"no test file for src/wayhouse/{name}: add tests/unit/{Path(name).parent}/test_{Path(name).name}"
        )
    for test in sorted((TESTS / "unit").rglob("test_*.py")):
        inside = test.relative_to(TESTS / "unit")
        if str(inside.parent / inside.name.removeprefix("test_")) not in sources:
            missing.append(str(inside))
            print(f"tests/unit/{inside} tests no source file of that name")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
