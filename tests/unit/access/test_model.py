import pytest

from wayhouse.access.model import (
    AccessSettings,
    FirstBoot,
    Identity,
    KeyExistsError,
    NewPassword,
    Role,
    UnsafeFileError,
    User,
)
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError


def test_roles_rank_and_have_names():
    assert Role.GUEST < Role.USER < Role.TRUSTED < Role.ADMIN < Role.OWNER
    assert [Role.named(role.label) for role in Role] == list(Role)
    with pytest.raises(BadInputError, match="guest, user, trusted, admin, owner"):
        Role.named("root")


def test_an_identity_is_a_guest_unless_said_otherwise():
    assert Identity("x").role is Role.GUEST


@pytest.mark.parametrize(
    "thing",
    [
        User("u", Role.ADMIN, "SECRET", "SECRET", 0.0, 0.0),
        NewPassword("u", "SECRET"),
        FirstBoot("u", "SECRET", "SECRET"),
    ],
)
def test_no_repr_shows_a_secret(thing):
    assert "SECRET" not in repr(thing)
    assert "SECRET" not in f"{thing}"


def test_settings_refuse_what_cannot_be():
    for bad in ({"login_attempts": 0}, {"argon2_memory_kib": 1}, {"typo": 1}):
        with pytest.raises(BadInputError):
            codec.convert(bad, AccessSettings)
    assert codec.convert({}, AccessSettings).jwt_lifetime_s == 30 * 24 * 3600


def test_a_key_that_exists_is_404_for_old_clients():
    assert KeyExistsError.status == 404
    assert UnsafeFileError.status == 409
