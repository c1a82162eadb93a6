import asyncio

import pytest

from wayhouse.access.model import (
    INTERNAL,
    AccessSettings,
    Identity,
    LastAdminError,
    NoSuchUserError,
    Role,
    UserExistsError,
    WeakPasswordError,
)
from wayhouse.base.errors import BadInputError, ForbiddenError

ADMIN = Identity("paradrop", role=Role.ADMIN, via="jwt")
CRYPT = (
    "$6$wayhousesalt$Mtxs1/o0xGQREAeVTfap6EKZluKwiqE5vxnATs0x67i2L1pbdH36WtAmq/g7H2QSJMVN1aSxwwvO1b7Q/tPNU1"
)
CRYPT_EMPTY = (
    "$6$emptysalt$TrI.h19YNad.S.Xw2WEgON9ojBrkXYcCfZrEcOEa9k/Bp5Sw4dxhsyY0KdBJ5Vt2UbEFOMolXqrfnZHc1QRM.."
)


@pytest.fixture
async def users(access):
    await access.start("first password")
    return access.users


async def test_add_and_remove(users):
    bob = await users.add(ADMIN, "bob", "long enough", Role.USER)
    assert bob.identity == Identity("bob", "localhost", Role.USER)
    assert [user.name for user in users.everyone()] == ["bob", "paradrop"]
    with pytest.raises(UserExistsError):
        await users.add(ADMIN, "bob", "long enough", Role.USER)
    await users.remove(ADMIN, "bob")
    assert users.find("bob") is None
    with pytest.raises(NoSuchUserError):
        await users.remove(ADMIN, "bob")


@pytest.mark.parametrize("name", ["", "__paradrop__", "-x", "a b", "a:b", "a/b", "a\n", "x" * 65, "é"])
async def test_names_that_are_refused(users, name):
    with pytest.raises(BadInputError):
        await users.add(ADMIN, name, "long enough", Role.USER)


async def test_weak_passwords_change_nothing(users):
    before = users.get("paradrop")
    for bad in ("", "short", "paradrop", "x" * 1025):
        with pytest.raises(WeakPasswordError):
            await users.change_password(ADMIN, "paradrop", bad)
        with pytest.raises(WeakPasswordError):
            await users.add(ADMIN, "bob", bad if bad != "paradrop" else "", Role.USER)
    assert users.everyone() == [before]


async def test_the_last_administrator_stays(users):
    with pytest.raises(LastAdminError):
        await users.remove(ADMIN, "paradrop")
    with pytest.raises(LastAdminError):
        await users.set_role(ADMIN, "paradrop", Role.TRUSTED)
    await users.add(ADMIN, "bob", "long enough", Role.ADMIN)
    await users.set_role(ADMIN, "paradrop", Role.TRUSTED)
    assert users.get("paradrop").role is Role.TRUSTED
    with pytest.raises(LastAdminError):
        await users.remove(ADMIN, "bob")


async def test_two_at_once_cannot_remove_both_administrators(users):
    await users.add(ADMIN, "bob", "long enough", Role.ADMIN)
    results = await asyncio.gather(
        users.remove(ADMIN, "bob"), users.set_role(ADMIN, "paradrop", Role.GUEST), return_exceptions=True
    )
    assert sum(isinstance(result, LastAdminError) for result in results) == 1


async def test_nobody_gives_or_touches_more_than_they_are(users):
    await users.add(INTERNAL, "boss", "long enough", Role.OWNER)
    for attempt in (
        users.add(ADMIN, "eve", "long enough", Role.OWNER),
        users.set_role(ADMIN, "paradrop", Role.OWNER),
        users.set_role(ADMIN, "boss", Role.GUEST),
        users.change_password(ADMIN, "boss", "long enough"),
        users.remove(ADMIN, "boss"),
    ):
        with pytest.raises(ForbiddenError):
            await attempt


async def test_a_new_password_is_a_new_epoch(users):
    before = users.get("paradrop")
    after = await users.change_password(ADMIN, "paradrop", "another password")
    assert after.epoch != before.epoch
    assert after.hash != before.hash
    assert users.get("paradrop") == after


async def test_rehash_keeps_the_epoch_and_loses_against_a_change(users):
    before = users.get("paradrop")
    await users.rehash(before, "first password")
    after = users.get("paradrop")
    assert (after.epoch, after.hash != before.hash) == (before.epoch, True)
    changed = await users.change_password(ADMIN, "paradrop", "another password")
    await users.rehash(after, "first password")
    assert users.get("paradrop") == changed


async def test_reset_leaves_the_default_user_with_a_random_password(users):
    await users.add(ADMIN, "bob", "long enough", Role.ADMIN)
    new = await users.reset(ADMIN)
    assert [user.name for user in users.everyone()] == ["paradrop"]
    assert new.username == "paradrop"
    assert len(new.password or "") >= 16
    assert users.get("paradrop").role is Role.ADMIN


async def test_self_is_the_default_user_for_root_on_this_machine(users):
    assert users.self_of(INTERNAL) == "paradrop"
    assert users.self_of(Identity("bob", via="jwt")) == "bob"
    for other in (
        Identity("m@x.org", "paradrop.org", via="jwt"),
        Identity("hello", chute="hello", via="chute"),
    ):
        with pytest.raises(BadInputError):
            users.self_of(other)


async def test_import_takes_what_can_be_checked_and_is_safe(users):
    records = [
        ("alice", CRYPT),
        ("empty", CRYPT_EMPTY),
        ("paradrop", CRYPT),
        ("md5", "$1$salt$hash"),
        ("bad name", CRYPT),
    ]
    taken, left_out = await users.import_hashes(ADMIN, records)
    assert taken == ["alice"]
    assert left_out == ["empty", "paradrop", "md5", "bad name"]
    assert users.get("alice").role is Role.ADMIN


async def test_errors_and_reprs_show_no_password(users):
    with pytest.raises(WeakPasswordError) as caught:
        await users.add(ADMIN, "bob", "sEcReT1", Role.USER)
    assert "sEcReT1" not in repr(caught.value) + str(caught.value.fields)


@pytest.mark.parametrize(
    "settings", [AccessSettings(argon2_memory_kib=8, argon2_time=1, insecure_default_login=True)]
)
async def test_insecure_lifts_the_length_and_leaves_no_password_after_a_reset(access, settings):
    await access.start()
    await access.users.change_password(INTERNAL, "paradrop", "x")
    new = await access.users.reset(INTERNAL)
    assert new.password is None
    assert access.users.get("paradrop").hash == ""
