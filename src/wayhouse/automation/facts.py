"""What sources say, for whoever waits for it: the values of now, and a call for each new one.

Fed by `scenario_service`; asked by `calls`. Rule: the variables of scenarios are ours, everything else is what the gateway's sources say.
"""

from __future__ import annotations

from collections.abc import Callable

from wayhouse.automation.model import Value
from wayhouse.automation.ports import Sources

Heard = Callable[[Value], None]
SCENARIO = "scenario:"


class Facts:
    """`variable`: of a scenario and a name."""

    def __init__(self, sources: Sources, variable: Callable[[str, str], Value]) -> None:
        self._sources = sources
        self._variable = variable
        self._listeners: dict[str, list[Heard]] = {}

    def current(self, source: str) -> Value:
        if source.startswith(SCENARIO):
            scenario, _, name = source.removeprefix(SCENARIO).partition("/")
            return self._variable(scenario, name)
        return self._sources.current(source)

    def listen(self, source: str, heard: Heard) -> Callable[[], None]:
        """Answers what ends it."""
        listeners = self._listeners.setdefault(source, [])
        listeners.append(heard)

        def end() -> None:
            listeners.remove(heard)
            if not listeners and self._listeners.get(source) is listeners:
                del self._listeners[source]

        return end

    def tell(self, source: str, value: Value) -> None:
        for heard in tuple(self._listeners.get(source, ())):
            heard(value)
