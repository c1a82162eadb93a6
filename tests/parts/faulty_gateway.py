"""The real daemon, with two additions: it dies at a step of a hot upgrade, as the file named by `FAULT_FILE` says; and its mock pins are for
one process alone, if `PINS` names a folder."""

from __future__ import annotations

import os
import sys

from tests.parts import faults, pins
from wayhouse.gateway.__main__ import main

if __name__ == "__main__":
    faults.arm(os.environ.get("FAULT_FILE"), is_heir="--heir" in sys.argv)
    pins.arm(os.environ.get("PINS"))
    sys.exit(main())
