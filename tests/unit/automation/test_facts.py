"""Values of now, and calls for new ones."""

from __future__ import annotations

from tests.parts.scenario_lab import House
from wayhouse.automation.facts import Facts
from wayhouse.automation.model import Value


def test_variables_are_ours_the_rest_is_asked() -> None:
    house = House()
    house.values["device:t"] = 3
    facts = Facts(house, lambda scenario, name: f"{scenario}/{name}")
    assert facts.current("device:t") == 3
    assert facts.current("device:x") is None
    assert facts.current("scenario:a/b") == "a/b"


def test_listeners_hear_until_they_end() -> None:
    facts, heard = Facts(House(), lambda *_: None), list[Value]()
    end = facts.listen("a", heard.append)
    again = facts.listen("a", heard.append)
    facts.tell("a", 1)
    facts.tell("b", 2)
    end()
    facts.tell("a", 3)
    again()
    facts.tell("a", 4)
    assert heard == [1, 1, 3]
