"""The kernel says whether its clock is synchronised, without any right."""

from __future__ import annotations

from wayhouse.automation.drivers import kernel_clock


def test_it_says_something():
    assert kernel_clock.is_synchronised() in {True, False, None}
