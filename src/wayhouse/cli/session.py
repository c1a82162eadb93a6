"""What a command works with: the screen, the environment and, when it asks for it, the client of the chosen gateway."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wayhouse.cli.screen import Screen
from wayhouse.cli.wanted import Wanted

if TYPE_CHECKING:
    from wayhouse.api.client import Client
    from wayhouse.cli.choice import Choice


class Session:
    def __init__(self, wanted: Wanted, env: Mapping[str, str]) -> None:
        self.wanted = wanted
        self.env = env
        self.screen = Screen(json=wanted.json, env=env)

    @functools.cached_property
    def choice(self) -> Choice:
        """Raises `UnreachableError` when there is no gateway to talk to."""
        from wayhouse.cli.choice import choose

        return choose(self.wanted, self.env)

    @functools.cached_property
    def client(self) -> Client:
        return self.choice.client(self.env)

    @property
    def again(self) -> str:
        """How a command must begin to reach the same gateway."""
        if self.wanted.gateway is not None and self.wanted.gateway != self.env.get("WAYHOUSE_GATEWAY"):
            return f"wayhouse --gateway {shlex.quote(self.wanted.gateway)}"
        if self.wanted.data is not None and str(self.wanted.data) != self.env.get("WAYHOUSE_DATA"):
            return f"wayhouse --data {shlex.quote(str(self.wanted.data))}"
        return "wayhouse"
