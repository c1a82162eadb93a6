"""Passwords: asked for without showing them, or read from standard input. Never from the command line, where `ps` shows
them."""

from __future__ import annotations

import getpass
import sys

from wayhouse.base.errors import BadInputError
from wayhouse.cli.screen import Screen

MOST = 4096


def ask_password(screen: Screen, prompt: str) -> str:
    """Raises `BadInputError` where nobody can be asked."""
    if not screen.can_ask:
        raise BadInputError("There is no terminal to ask for the password on. Use --password-stdin.")
    return getpass.getpass(f"{screen.safe(prompt)}: ", stream=screen.err)


def new_password(screen: Screen, name: str, *, from_input: bool) -> str:
    """A password for `name`: from standard input, or asked for twice. Raises `BadInputError`."""
    if from_input:
        password = sys.stdin.readline(MOST).strip("\r\n")
        if not password:
            raise BadInputError("Standard input holds no password.")
        return password
    password = ask_password(screen, f"New password of {name}")
    if password != ask_password(screen, "Once more"):
        raise BadInputError("The two passwords differ.")
    return password
