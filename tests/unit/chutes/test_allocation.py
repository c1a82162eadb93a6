import pytest

from wayhouse.chutes.allocation import cpu_shares, split
from wayhouse.chutes.model import BadSpecError, Requests, Service


@pytest.mark.parametrize(
    ("fractions", "shares"),
    [
        ([], []),
        ([None], [1024]),
        ([None, None], [1024, 1024]),
        ([0.5, None, None], [2048, 512, 512]),
        ([1.0, None], [2048, 2]),
        ([0.0, 1.0], [2, 2048]),
        ([0.5], [1024]),
        ([0.1] * 10, [1024] * 10),
        ([0.7, 0.2, 0.1], [2150, 614, 307]),
    ],
)
def test_shares(fractions: list[float | None], shares: list[int]) -> None:
    assert split(fractions) == shares


def test_more_than_the_whole() -> None:
    with pytest.raises(BadSpecError, match="1 at the most"):
        split([0.6, 0.5])


def test_shares_by_service() -> None:
    half = Service(name="a", requests=Requests(cpu_fraction=0.5))
    assert cpu_shares([half, Service(name="b"), Service(name="c")]) == {"a": 2048, "b": 512, "c": 512}
