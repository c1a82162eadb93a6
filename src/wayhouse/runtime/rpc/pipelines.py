"""Calls that are sent together and answered together. Called by `RemoteControl.pipeline`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec


class Pending(msgspec.Struct, eq=False):
    """A call of a pipeline; its `result` is there when the pipeline was left."""

    method: str
    vargs: Sequence[Any]
    kwargs: dict[str, Any] | None = None
    finished: bool = False
    value: Any = None
    error: Exception | None = None

    def settle(self, result: Any) -> None:
        self.finished, self.value = True, result

    def fail(self, error: Exception) -> None:
        self.finished, self.error = True, error

    def result(self) -> Any:
        """Raises what the server answered, or `RuntimeError` before the pipeline was run."""
        if not self.finished:
            raise RuntimeError(f"{self.method} is not answered yet: leave the pipeline first")
        if self.error is not None:
            raise self.error
        return self.value


class Runner(Protocol):
    def run_many(self, calls: Sequence[Pending]) -> None: ...


class Pipeline:
    """Any attribute is a method of the server; the calls are made when the `with` block ends without an exception."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._calls: list[Pending] = []

    def __getattr__(self, name: str) -> Callable[..., Pending]:
        if name.startswith("_"):
            raise AttributeError(name)

        def queue(*vargs: Any, **kwargs: Any) -> Pending:
            self._calls.append(Pending(name, vargs, kwargs))
            return self._calls[-1]

        return queue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        calls, self._calls = self._calls, []
        if error is None:
            self._runner.run_many(calls)
