import itertools

import pytest

from wayhouse.access.model import CHUTE_DOMAIN, Identity, Role
from wayhouse.access.policy import CHUTE_REFUSAL, TABLE, Right, demand, permits
from wayhouse.base.errors import ForbiddenError, UnauthenticatedError

G, U, T, A, OWN = Role
ALICE = ("alice", "localhost")
BOB = ("bob", "localhost")


def person(role, via="jwt"):
    return Identity("alice", "localhost", role, via=via)


def token(chute):
    return Identity(chute, CHUTE_DOMAIN, Role.GUEST, chute=chute, via="chute")


# who may, of all people, by right and by whose chute it is
PEOPLE = [
    (Right.OPEN, None, None, {G, U, T, A, OWN}),
    (Right.SEE, None, None, {G, U, T, A, OWN}),
    (Right.SEE_CHUTES, None, None, {G, U, T, A, OWN}),
    (Right.USE_CHUTE, "hello", BOB, {A, OWN}),
    (Right.USE_CHUTE, "hello", ALICE, {G, U, T, A, OWN}),
    (Right.USE_CHUTE, "hello", ("alice", "paradrop.org"), {A, OWN}),
    (Right.USE_CHUTE, "absent", None, {G, U, T, A, OWN}),
    (Right.USE_CHUTE, None, None, {A, OWN}),
    (Right.CHANGE_CHUTE, "hello", BOB, {A, OWN}),
    (Right.CHANGE_CHUTE, "hello", ALICE, {T, A, OWN}),
    (Right.CHANGE_CHUTE, "absent", None, {T, A, OWN}),
    (Right.CHANGE_CHUTE, None, None, {A, OWN}),
    (Right.SEE_CHANGES, None, None, {U, T, A, OWN}),
    (Right.CHANGE_SELF, None, None, {U, T, A, OWN}),
    (Right.MANAGE_USERS, None, None, {A, OWN}),
    (Right.ADMINISTER, None, None, {A, OWN}),
    (Right.ADMINISTER, "hello", ALICE, {A, OWN}),
    (Right.SEE_DEVICES, None, None, {U, T, A, OWN}),
    (Right.COMMAND_DEVICES, None, None, {U, T, A, OWN}),
    (Right.CHANGE_DEVICES, None, None, {A, OWN}),
    (Right.AUTOMATE, None, None, {A, OWN}),
    (Right.SEE_OVERLAYS, None, None, {U, T, A, OWN}),
    (Right.CHANGE_OVERLAYS, None, None, {A, OWN}),
]


@pytest.mark.parametrize(("right", "chute", "owner", "may"), PEOPLE)
def test_people(right, chute, owner, may):
    assert {role for role in Role if permits(right, person(role), chute_owner=owner, chute=chute)} == may


# what the token of chute "hello" may
TOKENS = [
    (Right.OPEN, None, True),
    (Right.SEE, None, True),
    (Right.SEE_CHUTES, None, True),
    (Right.SEE_CHUTES, "hello", True),
    (Right.SEE_CHUTES, "wiki", False),
    (Right.USE_CHUTE, "hello", True),
    (Right.USE_CHUTE, "wiki", False),
    (Right.USE_CHUTE, None, False),
    (Right.CHANGE_CHUTE, "hello", False),
    (Right.CHANGE_CHUTE, "absent", False),
    (Right.SEE_CHANGES, None, True),
    (Right.SEE_CHANGES, "hello", True),
    (Right.SEE_CHANGES, "wiki", False),
    (Right.CHANGE_SELF, None, False),
    (Right.MANAGE_USERS, None, False),
    (Right.ADMINISTER, None, False),
    (Right.ADMINISTER, "hello", False),
    (Right.SEE_DEVICES, None, False),
    (Right.COMMAND_DEVICES, None, False),
    (Right.CHANGE_DEVICES, None, False),
    (Right.AUTOMATE, None, False),
    (Right.SEE_OVERLAYS, None, False),
    (Right.CHANGE_OVERLAYS, None, False),
]


@pytest.mark.parametrize(("right", "chute", "may"), TOKENS)
@pytest.mark.parametrize("owner", [None, ALICE])
def test_a_chutes_own_token(right, chute, may, owner):
    assert permits(right, token("hello"), chute=chute, chute_owner=owner) is may


def test_the_table_names_every_right_but_the_open_one():
    assert set(TABLE) == set(Right) - {Right.OPEN}
    assert {right for right, *_ in PEOPLE} == set(Right)
    assert {right for right, *_ in TOKENS} == set(Right)


def test_nobody_may_only_what_is_open():
    assert [right for right in Right if permits(right, None, chute="hello", chute_owner=ALICE)] == [
        Right.OPEN
    ]
    with pytest.raises(UnauthenticatedError):
        demand(Right.SEE, None)
    assert demand(Right.OPEN, None) is None


def test_a_chute_identity_without_a_chute_may_nothing():
    broken = Identity("x", CHUTE_DOMAIN, Role.OWNER, chute=None, via="chute")
    assert not any(permits(right, broken, chute="x") for right in Right if right is not Right.OPEN)


def test_a_chute_token_gains_nothing_from_a_high_role_or_the_owners_name():
    sly = Identity("alice", "localhost", Role.OWNER, chute="hello", via="chute")
    assert not permits(Right.ADMINISTER, sly)
    assert not permits(Right.USE_CHUTE, sly, chute="wiki", chute_owner=ALICE)


def test_an_api_token_serves_for_all_but_passwords_and_users():
    for role, right in itertools.product(Role, Right):
        expected = permits(right, person(role)) and right not in {Right.CHANGE_SELF, Right.MANAGE_USERS}
        assert permits(right, person(role, "api-token")) is expected


def test_refusals_say_what_to_do():
    with pytest.raises(ForbiddenError) as caught:
        demand(Right.USE_CHUTE, person(U), chute="hello", chute_owner=BOB)
    assert caught.value.message == CHUTE_REFUSAL
    with pytest.raises(ForbiddenError, match="role admin, and yours is trusted"):
        demand(Right.ADMINISTER, person(T))
    with pytest.raises(ForbiddenError, match="own token cannot"):
        demand(Right.ADMINISTER, token("hello"))
    with pytest.raises(ForbiddenError, match="API token cannot"):
        demand(Right.CHANGE_SELF, person(A, "api-token"))
    assert demand(Right.ADMINISTER, person(A)) == person(A)
