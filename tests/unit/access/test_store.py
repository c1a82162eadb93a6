import asyncio

from wayhouse.access.model import ApiToken, AuditEntry, Role, User
from wayhouse.access.store import MAX_OPEN_LINKS, AccessStore, digest_of

ALICE = User("alice", Role.ADMIN, "hash", "epoch", 1.0, 2.0)
BOB = User("bob", Role.USER, "hash", "epoch", 1.0, 2.0)


def token(token_id, owner):
    return ApiToken(token_id, "script", owner, Role.USER, 1.0, None, 9.0)


async def test_users_and_their_tokens_come_back_after_a_restart(database):
    store = AccessStore(database)
    await store.save_user(ALICE)
    await store.save_user(BOB)
    await store.add_api_token("d1", token("t1", "alice"))
    await store.add_api_token("d2", token("t2", "bob"))
    store.touch_api_token("t1", 5.0)
    await store.sign_out("jti", 9.0, now=1.0)
    again = AccessStore(database)
    assert sorted(user.name for user in again.users()) == ["alice", "bob"]
    assert next(user for user in again.users() if user.name == "alice") == ALICE
    assert again.api_tokens()["d2"] == token("t2", "bob")
    assert again.api_tokens()["d1"].last_used == 5.0
    assert again.signed_out() == {"jti": 9.0}


async def test_a_user_goes_with_tokens_and_links(database):
    store = AccessStore(database)
    for user in (ALICE, BOB):
        await store.save_user(user)
        await store.add_api_token(f"d-{user.name}", token(f"t-{user.name}", user.name))
        await store.add_link(f"l-{user.name}", user.name, expires=9.0, now=1.0)
    await store.remove_user("bob")
    assert list(store.api_tokens()) == ["d-alice"]
    assert await store.take_link("l-bob", now=1.0) is None
    await store.only_user(BOB)
    assert store.users() == [BOB]
    assert store.api_tokens() == {}
    assert await store.take_link("l-alice", now=1.0) is None


async def test_a_link_is_taken_once_however_many_reach_for_it(database):
    store = AccessStore(database)
    await store.add_link("d", "alice", expires=9.0, now=1.0)
    taken = await asyncio.gather(*(store.take_link("d", now=2.0) for _ in range(20)))
    assert taken.count("alice") == 1
    assert taken.count(None) == 19


async def test_old_links_and_too_many_go(database):
    store = AccessStore(database)
    await store.add_link("old", "alice", expires=2.0, now=1.0)
    assert await store.take_link("old", now=2.0) is None
    for number in range(MAX_OPEN_LINKS + 1):
        await store.add_link(f"d{number}", "alice", expires=9.0 + number, now=1.0)
    assert await store.take_link("d0", now=2.0) is None
    assert await store.take_link("d1", now=2.0) == "alice"


async def test_a_changed_password_closes_links(database):
    store = AccessStore(database)
    await store.add_link("d", "alice", expires=9.0, now=1.0)
    await store.save_user(ALICE, close_links=True)
    assert await store.take_link("d", now=1.0) is None


async def test_the_audit_log_keeps_the_newest(database, flush):
    store = AccessStore(database)
    for number in range(20):
        store.add_audit(AuditEntry(0, float(number), "w", "v", "c", "a", str(number), "ok"), keep=5)
    await flush()
    assert [entry.target for entry in store.audit(limit=100, before=None)] == ["19", "18", "17", "16", "15"]
    newest = store.audit(limit=2, before=None)
    assert [entry.target for entry in store.audit(limit=2, before=newest[-1].id)] == ["17", "16"]
    assert store.audit(limit=2, before=-(10**30)) == []
    assert len(store.audit(limit=9, before=10**30)) == 5


def test_digests_take_any_text():
    assert len(digest_of("x")) == len(digest_of("\udcff")) == 64
