"""Codes and statuses are a promise to programs: this table only grows."""

from __future__ import annotations

import pytest

from wayhouse.base import errors

TABLE = {
    errors.BadInputError: ("bad-input", 400),
    errors.UnauthenticatedError: ("unauthenticated", 401),
    errors.ForbiddenError: ("forbidden", 403),
    errors.NotFoundError: ("not-found", 404),
    errors.ConflictError: ("conflict", 409),
    errors.TooLargeError: ("too-large", 413),
    errors.UnsupportedMediaError: ("unsupported-media", 415),
    errors.TooManyRequestsError: ("too-many-requests", 429),
    errors.PermanentError: ("permanent", 500),
    errors.OutsideError: ("outside-failed", 502),
    errors.UnavailableError: ("unavailable", 503),
    errors.TemporaryError: ("temporary", 503),
}


@pytest.mark.parametrize("kind", TABLE)
def test_each_error_has_its_code_and_status(kind: type[errors.WayhouseError]) -> None:
    error = kind("Port 80 is taken.", port=80)
    assert (error.code, error.status) == TABLE[kind]
    assert error.title
    assert str(error) == error.message == "Port 80 is taken."
    assert error.fields == {"port": 80}


def test_no_code_stands_for_two_errors() -> None:
    def below(kind: type[errors.WayhouseError]) -> set[type[errors.WayhouseError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    named = [one for one in below(errors.WayhouseError) if "code" in vars(one)]
    assert len({one.code for one in named}) == len(named)
