import pytest

from wayhouse.access.api_tokens import MAX_PER_OWNER
from wayhouse.access.model import INTERNAL, Identity, NoSuchTokenError, NoSuchUserError, Role
from wayhouse.access.service import Access
from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, UnauthenticatedError

ADMIN = Identity("paradrop", role=Role.ADMIN, via="jwt")
BOB = Identity("bob", role=Role.TRUSTED, via="jwt")


@pytest.fixture
async def tokens(access: Access):
    await access.start("first password")
    await access.users.add(INTERNAL, "bob", "long enough", Role.TRUSTED)
    return access.api_tokens


async def test_a_token_stands_for_its_owner(tokens, database):
    token, secret = await tokens.create(ADMIN, "script")
    assert secret.startswith("wht_")
    assert len(secret) == 4 + 43
    assert tokens.identify(secret) == Identity("paradrop", "localhost", Role.ADMIN, via="api-token")
    assert secret not in str(database.read("SELECT * FROM access_api_tokens"))
    assert secret not in repr(token)
    assert tokens.all_of("paradrop")[0].id == token.id
    assert tokens.all_of("bob") == []


async def test_it_never_reaches_further_than_its_owner(tokens, access):
    _, low = await tokens.create(ADMIN, "reads", role=Role.USER)
    assert tokens.identify(low).role is Role.USER
    _, bobs = await tokens.create(BOB, "mine")
    await access.users.set_role(INTERNAL, "bob", Role.GUEST)
    assert tokens.identify(bobs).role is Role.GUEST
    with pytest.raises(ForbiddenError):
        await tokens.create(BOB, "more", role=Role.ADMIN)


async def test_root_makes_tokens_for_others_and_the_default_user(tokens):
    root = Identity("root", role=Role.OWNER, via="peer")
    _, secret = await tokens.create(root, "cli")
    assert tokens.identify(secret) == Identity("paradrop", role=Role.ADMIN, via="api-token")
    _, secret = await tokens.create(root, "cli", owner="bob", role=Role.ADMIN)
    assert tokens.identify(secret).role is Role.TRUSTED
    with pytest.raises(NoSuchUserError):
        await tokens.create(root, "cli", owner="nobody")


async def test_it_ends_by_time_by_revocation_and_with_the_owner(tokens, access, clock):
    _, short = await tokens.create(ADMIN, "short", lifetime_s=60)
    clock.advance(59)
    assert tokens.identify(short)
    clock.advance(1)
    with pytest.raises(UnauthenticatedError):
        tokens.identify(short)

    token, secret = await tokens.create(BOB, "script")
    with pytest.raises(NoSuchTokenError):
        await tokens.revoke(BOB, token.id, owner="paradrop")
    await tokens.revoke(BOB, token.id, owner="bob")
    with pytest.raises(UnauthenticatedError):
        tokens.identify(secret)
    with pytest.raises(NoSuchTokenError):
        await tokens.revoke(BOB, token.id)

    _, secret = await tokens.create(BOB, "script")
    await access.users.remove(INTERNAL, "bob")
    await access.users.add(INTERNAL, "bob", "long enough", Role.ADMIN)
    with pytest.raises(UnauthenticatedError):
        tokens.identify(secret)


async def test_the_weak_cannot_end_the_strong(tokens):
    token, _ = await tokens.create(ADMIN, "script")
    with pytest.raises(ForbiddenError):
        await tokens.revoke(BOB, token.id)


async def test_last_use_is_known_and_written_seldom(tokens, clock, database, flush):
    _, secret = await tokens.create(ADMIN, "script")
    first = clock.wall()
    for _ in range(10):
        tokens.identify(secret)
        clock.advance(1)
    assert tokens.all_of()[0].last_used == first
    clock.advance(60)
    tokens.identify(secret)
    assert tokens.all_of()[0].last_used == clock.wall()
    await flush()
    assert database.read("SELECT last_used FROM access_api_tokens") == [(clock.wall(),)]


async def test_bad_wishes(tokens):
    for name in ("", " ", "x" * 65, "a\nb"):
        with pytest.raises(BadInputError):
            await tokens.create(ADMIN, name)
    for lifetime_s in (0, -5, float("nan"), float("inf")):
        with pytest.raises(BadInputError):
            await tokens.create(ADMIN, "x", lifetime_s=lifetime_s)
    with pytest.raises(BadInputError):
        await tokens.create(Identity("hello", "chute", chute="hello", via="chute"), "x")
    for text in ("wht_", "wht_x", "wht_\udcff"):
        with pytest.raises(UnauthenticatedError):
            tokens.identify(text)


async def test_not_too_many(tokens):
    for number in range(MAX_PER_OWNER):
        await tokens.create(BOB, f"t{number}")
    with pytest.raises(ConflictError):
        await tokens.create(BOB, "one more")
