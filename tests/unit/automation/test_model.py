"""Words that cannot be wrong once made."""

from __future__ import annotations

import pytest

from wayhouse.automation.model import Job, Place, check_name, names, zone_of
from wayhouse.base.errors import BadInputError


@pytest.mark.parametrize(
    "zone", ["Nowhere/Land", "", "../../etc/passwd", "/etc/localtime", "a\0b", "Europe", "x" * 5000]
)
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(BadInputError, match="no time zone"):
        zone_of(zone)


@pytest.mark.parametrize("where", [(91.0, 0.0), (0.0, 181.0), (float("nan"), 1.0), (1.0, None), (None, 1.0)])
def test_a_place_is_on_earth(where: tuple[float | None, float | None]) -> None:
    with pytest.raises(BadInputError):
        Place("UTC", *where)


def test_places() -> None:
    assert Place("Europe/Berlin", 52.5, 13.4).zone == "Europe/Berlin"
    assert Place().latitude is None


@pytest.mark.parametrize("name", ["", " x", "a/b", "a\n", "é", "x" * 65])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(BadInputError):
        check_name(name, "job")


def test_the_limit_of_a_job() -> None:
    with pytest.raises(BadInputError):
        Job(name="a", schedule="@daily", limit=0)
    with pytest.raises(BadInputError):
        Job(name="a", schedule="@daily", limit=101)


def test_names_for_messages() -> None:
    assert names([]) == "none"
    assert names(["a", "b"]) == "a, b"
