"""Membership in a group.

# covers: overlay/tickets.py
"""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay import membership
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.membership import Administrator, Group, revoke
from wayhouse.overlay.model import BadBindingError, BadInvitationError
from wayhouse.overlay.tickets import Proof, Revocations, Signed

UID, OTHER = "a" * 40, "b" * 40
ADMIN = Administrator(bytes(range(32)), "home")
KEY = bytes(range(32, 64))
GROUP = Group(overlay="home", admin_key=ADMIN.public_key, secret=b"s" * 32)
NODE = Identity(b"n" * 32, UID)
HASH = hashlib.sha256(NODE.certificate).hexdigest()
NONE = Revocations(overlay="home")
NOW = 1_000.0


def proof(ticket: Signed, key: bytes = KEY) -> bytes:
    return membership.join(ticket, key, UID, NODE.certificate)


def refused(
    data: bytes,
    *,
    uid: str = UID,
    certificate_hash: str = HASH,
    revoked: Revocations = NONE,
    group: Group = GROUP,
) -> str:
    with pytest.raises(BadBindingError) as error:
        group.verify(data, uid, certificate_hash, revoked, NOW)
    return error.value.message


def test_the_chain_from_administrator_to_node():
    ticket = ADMIN.ticket(KEY, expires=2_000, role="member", tags=("server", "lab"))
    found = GROUP.verify(proof(ticket), UID, HASH, NONE, NOW)
    assert (found.overlay, found.role, found.tags, found.expires) == (
        "home",
        "member",
        ("server", "lab"),
        2_000,
    )
    assert found == GROUP.read_ticket(ticket)


def test_who_is_no_member():
    ticket = ADMIN.ticket(KEY)
    stranger = Administrator.create("home")
    assert "invitation" in refused(b"")
    assert "damaged" in refused(b"x")
    assert "not signed by the administrator" in refused(proof(stranger.ticket(KEY)))
    assert "another network" in refused(proof(Administrator(ADMIN.private_key, "office").ticket(KEY)))
    assert "another node" in refused(proof(ticket, b"k" * 32))
    assert "another node" in refused(proof(ticket), uid=OTHER)
    assert "another node" in refused(proof(ticket), certificate_hash="0" * 64)


def test_tickets_end_and_are_renewed():
    signed = ADMIN.ticket(KEY, expires=999)
    assert "expired" in refused(proof(signed))
    renewed = revoke(NONE, renewed={GROUP.read_ticket(signed).id: 5_000})
    assert GROUP.verify(proof(signed), UID, HASH, renewed, NOW)
    ended = revoke(NONE, renewed={GROUP.read_ticket(signed).id: 1})
    assert "expired" in refused(proof(signed), revoked=ended)


def test_tickets_and_uids_are_taken_back():
    signed = ADMIN.ticket(KEY)
    ticket = GROUP.read_ticket(signed)
    assert "taken back" in refused(proof(signed), revoked=revoke(NONE, tickets=frozenset({ticket.id})))
    assert "taken back" in refused(proof(signed), revoked=revoke(NONE, uids=frozenset({UID})))
    assert GROUP.verify(proof(signed), UID, HASH, revoke(NONE, uids=frozenset({OTHER})), NOW)
    with pytest.raises(BadInvitationError):
        revoke(NONE, uids=frozenset({"x"}))


def test_lists_are_signed_and_numbered():
    first = revoke(NONE, uids=frozenset({UID}))
    second = revoke(first, tickets=frozenset({"t"}), renewed={"u": 5})
    assert (first.serial, second.serial) == (1, 2)
    assert (second.uids, second.tickets, second.renewed) == (first.uids, frozenset({"t"}), {"u": 5})
    assert GROUP.read_revocations(ADMIN.revocations(second)) == second
    with pytest.raises(BadBindingError, match="not signed"):
        GROUP.read_revocations(Administrator.create("home").revocations(second))
    with pytest.raises(BadBindingError, match="another network"):
        GROUP.read_revocations(ADMIN.revocations(msgspec.structs.replace(second, overlay="office")))


def test_a_ticket_is_no_list_and_a_list_no_ticket():
    with pytest.raises(BadBindingError, match="not signed"):
        GROUP.read_revocations(ADMIN.ticket(KEY))
    with pytest.raises(BadBindingError, match="not signed"):
        GROUP.read_ticket(ADMIN.revocations(NONE))


def test_preshared_keys_are_the_pairs_own():
    assert GROUP.preshared_key(UID, OTHER) == GROUP.preshared_key(OTHER, UID)
    assert len(GROUP.preshared_key(UID, OTHER)) == 32
    keys = {
        GROUP.preshared_key(UID, OTHER),
        GROUP.preshared_key(UID, "c" * 40),
        Group(overlay="home", admin_key=ADMIN.public_key, secret=b"t" * 32).preshared_key(UID, OTHER),
        Group(overlay="office", admin_key=ADMIN.public_key, secret=b"s" * 32).preshared_key(UID, OTHER),
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    "more", [{"role": "a b"}, {"tags": ("",)}, {"tags": ("x",) * 17}, {"tags": ("a" * 64,)}]
)
def test_names_of_tickets(more):
    with pytest.raises(BadInvitationError):
        ADMIN.ticket(KEY, **more)


def test_nothing_secret_is_shown():
    assert "s" * 32 not in repr(GROUP)
    assert ADMIN.private_key.hex() not in repr(ADMIN)
    assert str(ADMIN.private_key) not in repr(ADMIN)


def test_new_keys_are_new():
    assert len(membership.new_key()) == 32
    assert membership.new_key() != membership.new_key()


GOOD = proof(ADMIN.ticket(KEY))


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            Proof, st.builds(Signed, st.binary(max_size=9), st.binary(max_size=65)), st.binary(max_size=65)
        ).map(msgspec.msgpack.encode),
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)),
    )
)
def test_no_proof_raises_anything_else(data):
    if isinstance(data, tuple):
        data = GOOD[: data[0]] + bytes((GOOD[data[0]] ^ data[1],)) + GOOD[data[0] + 1 :]
    assert refused(data)
