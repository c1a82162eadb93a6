"""The real daemon, with one addition: it dies at a step of a hot upgrade, as the file named by `FAULT_FILE` says."""

from __future__ import annotations

import os
import sys

from tests.parts import faults
from wayhouse.gateway.__main__ import main

if __name__ == "__main__":
    faults.arm(os.environ.get("FAULT_FILE"), is_heir="--heir" in sys.argv)
    sys.exit(main())
