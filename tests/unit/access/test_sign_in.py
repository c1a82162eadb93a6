import asyncio
import logging

import pytest

from wayhouse.access.model import INTERNAL, AccessSettings, LockedOutError, Role, WrongCredentialsError
from wayhouse.access.sign_in import MAX_REMEMBERED
from wayhouse.base.errors import TooManyRequestsError

INSECURE = AccessSettings(argon2_memory_kib=8, argon2_time=1, insecure_default_login=True)
CRYPT = (
    "$6$wayhousesalt$Mtxs1/o0xGQREAeVTfap6EKZluKwiqE5vxnATs0x67i2L1pbdH36WtAmq/g7H2QSJMVN1aSxwwvO1b7Q/tPNU1"
)
LAN = "10.0.0.1"


@pytest.fixture
async def sign_in(access):
    await access.start("first password")
    return access._sign_in


async def refused(sign_in, username, password, client=LAN):
    with pytest.raises(WrongCredentialsError) as caught:
        await sign_in.verify(username, password, client)
    return caught.value


async def test_right_and_wrong(sign_in):
    assert (await sign_in.verify("paradrop", "first password", LAN)).name == "paradrop"
    wrong = await refused(sign_in, "paradrop", "first passwore")
    unknown = await refused(sign_in, "nobody", "first password")
    assert (wrong.message, wrong.fields, wrong.status) == (unknown.message, unknown.fields, 401)
    await refused(sign_in, "\udcff", "\udcff")
    await refused(sign_in, "paradrop", "x" * 5000)


async def test_guessing_is_locked_also_for_the_right_password_and_unlocked_later(sign_in, clock):
    for number in range(5):
        await refused(sign_in, "paradrop", f"guess {number}")
    with pytest.raises(LockedOutError) as caught:
        await sign_in.verify("paradrop", "first password", LAN)
    assert caught.value.fields["retry_after_s"] == 30
    assert await sign_in.verify("paradrop", "first password", "10.0.0.2")
    clock.advance(30)
    assert await sign_in.verify("paradrop", "first password", LAN)


async def test_guesses_at_the_same_moment_are_counted(sign_in):
    guesses = [sign_in.verify("paradrop", f"guess {number}", LAN) for number in range(20)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(result, WrongCredentialsError) for result in results) == 5
    assert sum(isinstance(result, LockedOutError) for result in results) == 15


async def test_loopback_is_locked_too(sign_in):
    for number in range(5):
        await refused(sign_in, "paradrop", f"guess {number}", "127.0.0.1")
    with pytest.raises(LockedOutError):
        await sign_in.verify("paradrop", "guess", "127.0.0.1")


async def test_the_right_credentials_many_times_at_once_are_checked_once(sign_in):
    users = await asyncio.gather(*(sign_in.verify("paradrop", "first password", LAN) for _ in range(200)))
    assert len(users) == 200
    assert len(sign_in._right) == 1
    assert len(sign_in._locks) == 0


async def test_what_is_remembered_holds_until_the_password_changes(sign_in, access):
    await sign_in.verify("paradrop", "first password", LAN)
    await access.users.set_role(INTERNAL, "paradrop", Role.OWNER)
    assert (await sign_in.verify("paradrop", "first password", LAN)).role is Role.OWNER
    await access.users.change_password(INTERNAL, "paradrop", "second password")
    await refused(sign_in, "paradrop", "first password")
    assert await sign_in.verify("paradrop", "second password", LAN)
    await access.users.add(INTERNAL, "bob", "bobs password", Role.USER)
    await sign_in.verify("bob", "bobs password", LAN)
    await access.users.remove(INTERNAL, "bob")
    await refused(sign_in, "bob", "bobs password")


async def test_a_password_changed_during_the_check_does_not_count(sign_in, access):
    check = asyncio.ensure_future(sign_in.verify("paradrop", "first password", LAN))
    change = asyncio.ensure_future(access.users.change_password(INTERNAL, "paradrop", "second password"))
    await asyncio.gather(check, change, return_exceptions=True)
    await refused(sign_in, "paradrop", "first password")


async def test_memory_is_bounded(sign_in, access):
    for number in range(MAX_REMEMBERED + 5):
        sign_in._remember(bytes([number // 256, number % 256]), access.users.get("paradrop"))
    assert len(sign_in._right) == MAX_REMEMBERED


async def test_an_empty_password_costs_nothing_and_is_never_right(sign_in, access, flush):
    for _ in range(50):
        await refused(sign_in, "paradrop", "")
        await refused(sign_in, "nobody", "", "127.0.0.1")
    assert await sign_in.verify("paradrop", "first password", LAN)
    await flush()
    assert {entry.outcome for entry in access.audit.entries() if entry.action == "sign-in"} == {"refused"}


async def test_an_old_hash_is_made_anew(sign_in, access):
    await access.users.import_hashes(INTERNAL, [("alice", CRYPT)])
    assert await sign_in.verify("alice", "correct horse", LAN)
    assert access.users.get("alice").hash.startswith("$argon2id$")
    assert await sign_in.verify("alice", "correct horse", LAN)


async def test_refusals_name_only_users_that_exist(sign_in, access, flush):
    await refused(sign_in, "my password typed here", "x")
    await refused(sign_in, "paradrop", "guessed secret")
    await flush()
    text = str(access.audit.entries())
    assert "typed here" not in text
    assert "guessed secret" not in text
    assert [entry.target for entry in access.audit.entries()[:2]] == ["paradrop", "(unknown user)"]


async def test_those_sent_away_for_lack_of_room_are_not_locked(sign_in):
    flood = [sign_in.verify(f"user{number}", "x", f"10.9.{number}.1") for number in range(120)]
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert any(isinstance(result, TooManyRequestsError) for result in results)
    for _ in range(3):
        flood = [sign_in.verify("paradrop", f"x{number}", f"10.8.{number}.1") for number in range(120)]
        results = await asyncio.gather(*flood, return_exceptions=True)
        assert not any(isinstance(result, LockedOutError) for result in results)


@pytest.mark.parametrize("settings", [INSECURE])
async def test_insecure_default_login_is_for_this_machine_until_there_is_a_password(access, settings, caplog):
    first = await access.start()
    assert first is not None
    assert first.password is None
    sign_in = access._sign_in
    with caplog.at_level(logging.WARNING):
        for client in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            assert (await sign_in.verify("paradrop", "", client)).name == "paradrop"
    assert "without a password" in caplog.text
    for client in (LAN, "unix", "", "::ffff:10.0.0.1"):
        await refused(sign_in, "paradrop", "", client)
    await refused(sign_in, "other", "", "127.0.0.1")
    await refused(sign_in, "paradrop", "guess", "127.0.0.1")
    await access.users.change_password(INTERNAL, "paradrop", "x")
    await refused(sign_in, "paradrop", "", "127.0.0.1")
    assert await sign_in.verify("paradrop", "x", LAN)
