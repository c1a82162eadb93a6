"""What access needs from outside, as Protocols."""

from __future__ import annotations

from typing import Protocol


class ChuteTokens(Protocol):
    def chute_of(self, token: str) -> str | None:
        """The name of the installed chute whose API token this is. Called for each bearer token: an in-memory look-up."""
        ...


class NoChuteTokens:
    """A gateway that has no chutes."""

    def chute_of(self, token: str) -> str | None:
        return None
