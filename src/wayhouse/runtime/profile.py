"""`Profile`: a dictionary that describes something which can be allocated, and can be a key itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class Profile(dict[str, Any]):
    """Subclasses give `__hash__`, and `mandatory` (or a `minimize` of their own)."""

    mandatory: ClassVar[tuple[str, ...] | None] = None
    """The keys that `minimize` always keeps."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        if not all(isinstance(key, str) for key in values):
            raise TypeError("the keys of a profile are strings")
        super().__init__(values)

    def __hash__(self) -> int:  # type: ignore[override]  # a dict that is a key is the point
        raise TypeError(f"{type(self).__name__} must give __hash__() to be a key")

    def match(self, profile: Mapping[str, Any]) -> bool:
        """Whether each key of `profile` is here with an equal value; `{}` matches everything."""
        return all(key in self and self[key] == value for key, value in profile.items())

    def minimize(self, profile: Mapping[str, Any] | None = None) -> Self:
        """A new profile of the mandatory keys and of those named in `profile`, as far as they are here."""
        if self.mandatory is None:
            raise TypeError(f"{type(self).__name__} must give `mandatory` or minimize()")
        wanted = {*self.mandatory, *(profile or {})}
        return type(self)({key: value for key, value in self.items() if key in wanted})
