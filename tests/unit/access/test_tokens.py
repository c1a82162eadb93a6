import base64
import json
import secrets

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from wayhouse.access.model import INTERNAL, Identity, Role
from wayhouse.access.ports import NoChuteTokens
from wayhouse.access.service import Access
from wayhouse.access.tokens import MAX_CACHED, MAX_TOKEN
from wayhouse.base.errors import BadInputError, UnauthenticatedError

ADMIN = Identity("paradrop", role=Role.ADMIN)


@pytest.fixture
async def sessions(access):
    await access.start("first password")
    return access._sessions


def forge(sessions, key=None, algorithm="HS256", **changes):
    claims = jwt.decode(sessions.issue(ADMIN), options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value != "drop"}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key or sessions._secret, algorithm=algorithm)


def test_the_claims_are_those_of_the_api(sessions, clock):
    token = sessions.issue(ADMIN)
    claims = jwt.decode(
        token, sessions._secret, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False}
    )
    assert {"iat", "iss", "sub", "exp", "domain", "role", "jti", "epoch"} == set(claims)
    assert claims["exp"] == claims["iat"] + 2592000 == int(clock.wall()) + 2592000
    assert (claims["iss"], claims["sub"], claims["domain"], claims["role"]) == (
        "node-1",
        "paradrop",
        "localhost",
        "admin",
    )
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize("node", [None, ""])
async def test_an_unprovisioned_node_is_a_null_issuer(database, tmp_path, clock, settings, node):
    access = Access(database, tmp_path / "keys", settings, clock, NoChuteTokens(), node_id=lambda: node)
    await access.start("first password")
    token = access.issue(ADMIN)
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["iss"] is None
    assert access.identify_bearer(token).name == "paradrop"


def test_who_comes_back(sessions):
    assert sessions.identify(sessions.issue(ADMIN)) == Identity(
        "paradrop", "localhost", Role.ADMIN, via="jwt"
    )
    cloud = Identity("m@x.org", "paradrop.org", Role.TRUSTED)
    assert sessions.identify(sessions.issue(cloud)) == Identity(
        "m@x.org", "paradrop.org", Role.TRUSTED, via="jwt"
    )


def test_it_ends_in_time_also_when_remembered(sessions, clock):
    token = sessions.issue(ADMIN)
    clock.advance(2592000 - 1)
    assert sessions.identify(token)
    clock.advance(1)
    with pytest.raises(UnauthenticatedError):
        sessions.identify(token)


def test_forged_tokens_are_refused(sessions):
    good = sessions.issue(ADMIN)
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    forged = [
        "None",
        "",
        "a.b.c",
        good + "x",
        good[:-2],
        f"{head}.{body}.",
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        "x" * (MAX_TOKEN + 1),
        "\udcff.\udcff.\udcff",
        forge(sessions, key="0" * 64),
        forge(sessions, algorithm="HS384"),
        forge(sessions, algorithm="HS512"),
        forge(sessions, exp="drop"),
        forge(sessions, jti="drop"),
        forge(sessions, exp="soon"),
        forge(sessions, role="king"),
        forge(sessions, epoch="drop"),
        forge(sessions, epoch="0" * 32),
        forge(sessions, sub="nobody"),
        forge(sessions, sub=5),
        forge(sessions, exp=1),
    ]
    for token in forged:
        with pytest.raises(UnauthenticatedError) as caught:
            sessions.identify(token)
        assert token == "" or token not in caught.value.message
    assert sessions.identify(good)


async def test_it_ends_with_the_password_and_with_the_user(access, sessions):
    token = sessions.issue(ADMIN)
    assert sessions.identify(token)
    await access.users.change_password(INTERNAL, "paradrop", "another password")
    with pytest.raises(UnauthenticatedError):
        sessions.identify(token)
    await access.users.add(INTERNAL, "bob", "long enough", Role.USER)
    bob = sessions.issue(Identity("bob", role=Role.USER))
    assert sessions.identify(bob).name == "bob"
    await access.users.remove(INTERNAL, "bob")
    await access.users.add(INTERNAL, "bob", "long enough", Role.USER)
    with pytest.raises(UnauthenticatedError):
        sessions.identify(bob)


async def test_a_lower_role_holds_at_once(access, sessions):
    await access.users.add(INTERNAL, "bob", "long enough", Role.ADMIN)
    token = sessions.issue(Identity("bob", role=Role.ADMIN))
    await access.users.set_role(INTERNAL, "bob", Role.GUEST)
    assert sessions.identify(token).role is Role.GUEST
    high = sessions.issue(Identity("bob", role=Role.OWNER))
    assert sessions.identify(high).role is Role.GUEST


async def test_signing_out_ends_one_session_also_after_a_restart(access, sessions, database, clock):
    one, two = sessions.issue(ADMIN), sessions.issue(ADMIN)
    await sessions.sign_out(one)
    with pytest.raises(UnauthenticatedError):
        sessions.identify(one)
    with pytest.raises(UnauthenticatedError):
        await sessions.sign_out(one)
    assert sessions.identify(two)
    assert len(database.read("SELECT * FROM access_signed_out")) == 1
    clock.advance(2592001)
    await sessions.sign_out(sessions.issue(ADMIN))
    assert len(database.read("SELECT * FROM access_signed_out")) == 1


def test_memory_is_bounded(sessions):
    for _ in range(MAX_CACHED + 10):
        sessions._cache[secrets.token_hex(8)] = sessions._claims(sessions.issue(ADMIN))
    sessions.identify(sessions.issue(ADMIN))
    assert len(sessions._cache) <= MAX_CACHED


def test_tokens_get_no_session(sessions):
    for identity in (
        Identity("hello", "chute", chute="hello", via="chute"),
        Identity("paradrop", role=Role.ADMIN, via="api-token"),
    ):
        with pytest.raises(BadInputError):
            sessions.issue(identity)
    with pytest.raises(UnauthenticatedError):
        sessions.issue(Identity("nobody"))


@limits(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(), st.binary().map(lambda data: ".".join([base64.urlsafe_b64encode(data).decode()] * 3))
    )
)
async def test_no_text_crashes_it(sessions, text):
    with pytest.raises(UnauthenticatedError):
        sessions.identify(text)
