import asyncio

import pytest

from wayhouse.access.model import INTERNAL, Identity, NoSuchUserError, Role
from wayhouse.base.errors import ForbiddenError, UnauthenticatedError

ADMIN = Identity("paradrop", role=Role.ADMIN, via="jwt")


@pytest.fixture
async def links(access):
    await access.start("first password")
    return access.links


async def test_a_code_works_once(links, database):
    code = await links.create(ADMIN)
    assert len(code) == 43
    assert code not in str(database.read("SELECT * FROM access_signin_links"))
    assert (await links.redeem(code, "10.0.0.1")).name == "paradrop"
    with pytest.raises(UnauthenticatedError):
        await links.redeem(code, "10.0.0.1")


async def test_two_at_once_one_gets_in(links):
    code = await links.create(ADMIN)
    results = await asyncio.gather(
        *(links.redeem(code, "10.0.0.1") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, Identity) for result in results) == 1


async def test_it_ends_after_an_hour_with_the_password_and_with_the_user(links, access, clock):
    code = await links.create(ADMIN)
    clock.advance(3600)
    with pytest.raises(UnauthenticatedError):
        await links.redeem(code, "10.0.0.1")
    code = await links.create(ADMIN)
    await access.users.change_password(INTERNAL, "paradrop", "another password")
    with pytest.raises(UnauthenticatedError):
        await links.redeem(code, "10.0.0.1")


async def test_bad_codes_are_refused_and_written_down(links, access, flush):
    for code in ("", "x", "\udcff", "x" * 10_000):
        with pytest.raises(UnauthenticatedError):
            await links.redeem(code, "10.0.0.1")
    await flush()
    assert [entry.outcome for entry in access.audit.entries() if entry.action == "link.redeem"] == [
        "refused"
    ] * 4


async def test_nobody_signs_in_as_somebody_stronger(links, access):
    await access.users.add(INTERNAL, "boss", "long enough", Role.OWNER)
    with pytest.raises(ForbiddenError):
        await links.create(ADMIN, "boss")
    with pytest.raises(NoSuchUserError):
        await links.create(ADMIN, "nobody")
