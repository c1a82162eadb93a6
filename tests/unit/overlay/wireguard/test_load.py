"""When a responder is under load, and how often one source may ask."""

from __future__ import annotations

from wayhouse.overlay.wireguard.load import LoadMeter, RateLimiter


def test_more_than_so_many_in_a_second_are_a_load_that_lasts_a_second() -> None:
    meter = LoadMeter(10)
    assert not any(meter.is_under_load(5.0 + number / 100) for number in range(10))
    assert meter.is_under_load(5.2)
    assert meter.is_under_load(6.1)
    assert not meter.is_under_load(6.3)


def test_slow_ones_are_never_a_load() -> None:
    meter = LoadMeter(10)
    assert not any(meter.is_under_load(number / 10) for number in range(-50, 200))


def test_a_bucket_holds_five_and_refills_by_twenty_a_second() -> None:
    limiter = RateLimiter()
    assert [limiter.allows("a", 1.0) for _ in range(6)] == [True] * 5 + [False]
    assert limiter.allows("b", 1.0)
    assert limiter.allows("a", 1.051)
    assert not limiter.allows("a", 1.051)


def test_the_source_that_asked_longest_ago_is_forgotten() -> None:
    limiter = RateLimiter(sources=3)
    for source in "abc":
        for _ in range(6):
            limiter.allows(source, 1.0)
    assert limiter.allows("d", 1.0)
    assert limiter.allows("a", 1.0)
    assert not limiter.allows("c", 1.0)


def test_time_that_goes_back_gives_no_tokens() -> None:
    limiter = RateLimiter()
    assert [limiter.allows("a", 10.0 - number) for number in range(6)] == [True] * 5 + [False]
