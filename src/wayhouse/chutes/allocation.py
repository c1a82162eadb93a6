"""How the services of a chute share the processor. Called by the planner and, to refuse early, by `spec.py`.

Every service gets what it asked for and an equal part of what is left; Docker's shares are relative, 1024 each when
nobody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wayhouse.chutes.model import BadSpecError, Service

MIN_SHARES = 2
_ROUNDING = 1e-9


def cpu_shares(services: Iterable[Service]) -> dict[str, int]:
    """CPU shares by the name of the service. Raises `BadSpecError` when they ask for more than the whole."""
    wishes = {service.name: service.requests.cpu_fraction for service in services}
    return dict(zip(wishes, split(list(wishes.values())), strict=True))


def split(fractions: Sequence[float | None]) -> list[int]:
    """`[0.5, None, None]` -> `[2048, 512, 512]`."""
    given = sum(fraction for fraction in fractions if fraction is not None)
    if given > 1 + _ROUNDING:
        raise BadSpecError(
            f"The services ask for {given:g} of the processor together; the sum of `cpu-fraction` can be 1 at the most.",
            path="services",
        )
    count = len(fractions)
    equal = max(0.0, 1 - given) / max(1, count)
    return [max(MIN_SHARES, round(((fraction or 0.0) + equal) * 1024 * count)) for fraction in fractions]
