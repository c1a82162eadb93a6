"""The daemon as a process: `python -m wayhouse.gateway` with the options of `wayhouse up`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from wayhouse.gateway.main import Options, run


def options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="wayhouse up", description="Start the gateway in the foreground.")
    parser.add_argument("--data", type=Path, help="keep everything in this folder")
    parser.add_argument("--listen", help="HOST:PORT of the page and the API (127.0.0.1:8080)")
    parser.add_argument("--engine", choices=("auto", "docker", "sandbox"), help="what runs the apps")
    parser.add_argument("--demo", action="store_true", help="in a temporary folder, with the example apps")
    parser.add_argument("--config", type=Path, help="the settings file")
    parser.add_argument(
        "--insecure-default-login",
        action="store_true",
        help="ParaDrop's empty password, from this machine only",
    )
    parser.add_argument(
        "--bus-port", type=int, metavar="N", help="of the bus, and the next three (5514); 0: any"
    )
    parser.add_argument("--heir", type=int, help=argparse.SUPPRESS)
    return Options(**vars(parser.parse_args(arguments)))


def main() -> int:
    return run(options(sys.argv[1:]), dict(os.environ))


if __name__ == "__main__":
    sys.exit(main())
