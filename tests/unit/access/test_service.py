import base64
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.access.model import (
    INTERNAL,
    AccessSettings,
    Identity,
    Role,
    WeakPasswordError,
    WrongCredentialsError,
)
from wayhouse.access.ports import NoChuteTokens
from wayhouse.access.service import Access
from wayhouse.base.errors import BadInputError, ForbiddenError, UnauthenticatedError, WayhouseError

ADMIN = Identity("paradrop", role=Role.ADMIN, via="jwt")
CHEAP = AccessSettings(argon2_memory_kib=8, argon2_time=1)
LAN = "10.0.0.1"
CRYPT = (
    "$6$wayhousesalt$Mtxs1/o0xGQREAeVTfap6EKZluKwiqE5vxnATs0x67i2L1pbdH36WtAmq/g7H2QSJMVN1aSxwwvO1b7Q/tPNU1"
)


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
async def started(access):
    await access.start("first:password")
    return access


async def test_the_first_start_says_once_how_to_get_in(access):
    first = await access.start()
    assert first.username == "paradrop"
    identity, _ = await access.login("paradrop", first.password, LAN)
    assert identity == Identity("paradrop", "localhost", Role.ADMIN, via="jwt")
    identity, token = await access.redeem_link(first.link_code, LAN)
    assert await access.authenticate(f"Bearer {token}", client=LAN) == identity
    assert await access.start() is None
    assert await access.start("something else") is None


async def test_a_first_password_given_is_not_said_back(access):
    assert (await access.start("first:password")).password is None
    assert await access.login("paradrop", "first:password", LAN)


async def test_a_weak_first_password_stops_the_start(access):
    with pytest.raises(WeakPasswordError):
        await access.start("short")
    assert (await access.start()).password


async def test_everything_survives_a_restart(started, database, tmp_path, clock):
    _, token = await started.login("paradrop", "first:password", LAN)
    _, api = await started.api_tokens.create(ADMIN, "script")
    again = Access(database, tmp_path / "keys", CHEAP, clock, NoChuteTokens())
    assert await again.start() is None
    assert await again.authenticate(f"Bearer {token}") == ADMIN
    assert (await again.authenticate(f"Bearer {api}")).via == "api-token"


async def test_without_the_insecure_setting_the_empty_password_is_replaced(database, tmp_path, clock):
    def make(settings):
        return Access(database, tmp_path / "keys", settings, clock, NoChuteTokens())

    insecure = AccessSettings(argon2_memory_kib=8, argon2_time=1, insecure_default_login=True)
    assert (await make(insecure).start()).password is None
    assert await make(insecure).start() is None
    secure = make(CHEAP)
    first = await secure.start()
    assert await secure.login("paradrop", first.password, LAN)
    with pytest.raises(WrongCredentialsError):
        await secure.login("paradrop", "", "127.0.0.1")


@pytest.mark.parametrize(
    "header",
    [
        f"Basic {b64('paradrop:first:password')}",
        "Basic paradrop:first:password",
        "bAsIc paradrop:first:password",
    ],
)
async def test_basic_in_both_forms(started, header):
    assert await started.authenticate(header, client=LAN) == Identity(
        "paradrop", role=Role.ADMIN, via="basic"
    )


async def test_bearers_of_every_kind_and_the_cookie(started):
    _, session = await started.login("paradrop", "first:password", LAN)
    _, api = await started.api_tokens.create(ADMIN, "script")
    assert (await started.authenticate(f"bearer {session}")).via == "jwt"
    assert (await started.authenticate(f"Bearer {api}")).via == "api-token"
    assert await started.authenticate("Bearer aaaa") == Identity(
        "hello", "chute", Role.GUEST, chute="hello", via="chute"
    )
    _, cookie = await started.login("paradrop", "first:password", LAN, for_page=True)
    assert (await started.authenticate(None, cookie_token=cookie, client=LAN)).via == "jwt"


async def test_a_cookie_that_an_app_has_read_is_worth_nothing_to_it(started):
    """Browsers send the page's cookie to all ports of the machine, so to apps."""
    _, cookie = await started.login("paradrop", "first:password", LAN, for_page=True)
    _, bearer = await started.login("paradrop", "first:password", LAN)
    with pytest.raises(UnauthenticatedError):
        await started.authenticate(None, cookie_token=cookie, client="172.17.0.2")
    with pytest.raises(UnauthenticatedError):
        await started.authenticate(f"Bearer {cookie}", client=LAN)
    with pytest.raises(UnauthenticatedError):
        await started.authenticate(None, cookie_token=bearer, client=LAN)
    await started.sign_out(cookie)
    with pytest.raises(UnauthenticatedError):
        await started.authenticate(None, cookie_token=cookie, client=LAN)


async def test_a_cookie_is_a_session_and_nothing_else(started):
    _, api = await started.api_tokens.create(ADMIN, "script")
    for cookie in ("aaaa", api, "", None):
        with pytest.raises(UnauthenticatedError):
            await started.authenticate(None, cookie_token=cookie)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer",
        "Bearer None",
        "Bearer null",
        "Digest x",
        "Bearer wht_x",
        "Bearer cccc",
        "Basic cGFyYWRyb3A=",
        "Basic paradrop:wrong",
        f"Basic {b64('nobody:first:password')}",
        "Basic =",
        "Basic :",
    ],
)
async def test_everything_else_is_401_even_with_a_good_cookie(started, header):
    _, session = await started.login("paradrop", "first:password", LAN)
    with pytest.raises(UnauthenticatedError):
        await started.authenticate(header, cookie_token=session, client=LAN)


async def test_pdtools_first_two_guesses_lock_nobody_out(started):
    for _ in range(100):
        with pytest.raises(UnauthenticatedError):
            await started.authenticate("Bearer None", client=LAN)
        with pytest.raises(WrongCredentialsError):
            await started.login("paradrop", "", LAN)
    assert await started.login("paradrop", "first:password", LAN)


def test_root_and_the_daemon_own_the_machine(access):
    assert access.identify_peer(0) == Identity("root", role=Role.OWNER, via="peer")
    assert access.identify_peer(os.geteuid()) is not None
    assert access.identify_peer(54321) is None
    assert access.identify_peer(-1) is None


async def test_signing_out(started):
    _, session = await started.login("paradrop", "first:password", LAN)
    await started.sign_out(session)
    with pytest.raises(UnauthenticatedError):
        await started.authenticate(f"Bearer {session}")
    with pytest.raises(UnauthenticatedError):
        await started.sign_out("Bearer x")


async def test_an_api_token_cannot_become_a_session(started):
    _, api = await started.api_tokens.create(ADMIN, "script")
    with pytest.raises(BadInputError):
        started.issue(await started.authenticate(f"Bearer {api}"))


async def test_reset_ends_everything_and_never_leaves_an_empty_password(started):
    _, session = await started.login("paradrop", "first:password", LAN)
    _, api = await started.api_tokens.create(ADMIN, "script")
    code = await started.links.create(ADMIN)
    await started.users.add(ADMIN, "bob", "long enough", Role.ADMIN)
    new = await started.reset(ADMIN)
    for header in (
        f"Bearer {session}",
        f"Bearer {api}",
        "Basic bob:long enough",
        "Basic paradrop:first:password",
    ):
        with pytest.raises(UnauthenticatedError):
            await started.authenticate(header, client=LAN)
    with pytest.raises(UnauthenticatedError):
        await started.redeem_link(code, LAN)
    with pytest.raises(WrongCredentialsError):
        await started.login("paradrop", "", "127.0.0.1")
    assert await started.login("paradrop", new.password, LAN)


async def test_reset_is_not_a_way_up(started):
    await started.users.add(INTERNAL, "boss", "long enough", Role.OWNER)
    with pytest.raises(ForbiddenError):
        await started.reset(ADMIN)
    assert await started.reset(INTERNAL)


async def test_a_paradrop_password_file_can_be_taken_over(started):
    taken, left_out = await started.import_password_file(ADMIN, f"alice:{CRYPT}\nold:$1$x$y\n")
    assert (taken, left_out) == (["alice"], ["old"])
    assert await started.login("alice", "correct horse", LAN)
    with pytest.raises(BadInputError):
        await started.import_password_file(ADMIN, "no colon")


async def test_the_audit_log_tells_the_story_without_secrets(started, flush, caplog):
    identity, session = await started.login("paradrop", "first:password", LAN)
    _, api = await started.api_tokens.create(identity, "script")
    with pytest.raises(WrongCredentialsError):
        await started.login("paradrop", "a bad guess", LAN)
    await started.users.change_password(identity, "paradrop", "second password")
    await flush()
    entries = started.audit.entries()
    assert [entry.action for entry in reversed(entries)] == [
        "user.first",
        "link.create",
        "sign-in",
        "api-token.create",
        "sign-in",
        "user.password",
    ]
    for secret in ("first:password", "a bad guess", "second password", session, api):
        assert secret not in str(entries) + caplog.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.one_of(st.text(), st.text().map("Basic {}".format), st.text().map("Bearer {}".format)),
    client=st.text(),
)
async def test_no_header_crashes_it(started, header, client):
    with pytest.raises(WayhouseError) as caught:
        await started.authenticate(header, cookie_token=header, client=client)
    assert caught.value.status in {401, 429}
