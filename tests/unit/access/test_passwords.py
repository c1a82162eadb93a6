import asyncio

import pytest

from wayhouse.access.model import AccessSettings, WeakPasswordError
from wayhouse.access.passwords import AT_ONCE, MAX_WAITING, Passwords, demand_strong, fits
from wayhouse.base.errors import TooManyRequestsError

CHEAP = AccessSettings(argon2_memory_kib=8, argon2_time=1)
CRYPT = (
    "$6$wayhousesalt$Mtxs1/o0xGQREAeVTfap6EKZluKwiqE5vxnATs0x67i2L1pbdH36WtAmq/g7H2QSJMVN1aSxwwvO1b7Q/tPNU1"
)


async def test_a_hash_fits_its_password_alone():
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "correct horse ")
    assert not await passwords.verify(stored, "")
    assert not await passwords.verify(stored, "x" * 1025)
    assert not await passwords.verify(stored, "\udcff")


async def test_the_costs_are_those_that_owasp_names():
    assert "$m=19456,t=2,p=1$" in await Passwords(AccessSettings()).hash("x")


async def test_nobody_and_damaged_hashes_are_false():
    passwords = Passwords(CHEAP)
    assert not await passwords.verify(None, "x")
    for stored in ("", "$argon2id$", "plain", "$6$short"):
        assert not await passwords.verify(stored, "x")


async def test_paradrops_hashes_are_checked_too():
    assert await Passwords(CHEAP).verify(CRYPT, "correct horse")
    assert not await Passwords(CHEAP).verify(CRYPT, "wrong horse")


async def test_outdated_hashes_are_known():
    stored = await Passwords(CHEAP).hash("x")
    assert not Passwords(CHEAP).is_outdated(stored)
    assert Passwords(AccessSettings(argon2_memory_kib=16, argon2_time=1)).is_outdated(stored)
    assert Passwords(CHEAP).is_outdated(CRYPT)


async def test_a_flood_waits_in_a_bounded_line():
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("x")
    flood = [passwords.verify(stored, "y") for _ in range(3 * MAX_WAITING)]
    answers = await asyncio.gather(*flood, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, TooManyRequestsError)]
    assert answers.count(False) + len(refused) == len(answers)
    assert len(refused) >= len(answers) - MAX_WAITING - 10 * AT_ONCE
    assert refused[0].fields["retry_after_s"] > 0
    assert await passwords.verify(stored, "x")


async def test_a_waiter_that_gives_up_leaves_the_line():
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("x")
    waiters = [asyncio.ensure_future(passwords.verify(stored, "y")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert await passwords.verify(stored, "x")


def test_fits():
    assert fits("x")
    assert fits("x" * 1024)
    assert not any(map(fits, ["", "x" * 1025, "é" * 513, "\ud800"]))


def test_weak_passwords_are_refused_with_a_reason():
    for bad, why in (
        ("", "at least one"),
        ("x" * 1025, "1024"),
        ("seven77", "8"),
        ("Paradrop", "other than"),
    ):
        with pytest.raises(WeakPasswordError, match=why):
            demand_strong(bad, "paradrop")
    demand_strong("eight888", "paradrop")
    demand_strong("x", "paradrop", insecure=True)
    with pytest.raises(WeakPasswordError):
        demand_strong("", "paradrop", insecure=True)
