import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.clock import ManualClock
from wayhouse.overlay.membership import Administrator, Group, Revocations, revoke
from wayhouse.overlay.model import BadBindingError, NoSuchPeerError
from wayhouse.overlay.revocation_spread import LIST, RevocationSpread, decode, encode
from wayhouse.overlay.trust import Membership, MemoryPins, Trust

ADMIN = Administrator(bytes(range(32)), "home")
GROUP = Group(overlay="home", admin_key=ADMIN.public_key, secret=b"s" * 32)
KEY = b"k" * 32
A, B, C = "a" * 40, "b" * 40, "c" * 40
FIRST = revoke(Revocations(overlay="home"), uids=frozenset({"d" * 40}))
OLD, NEW = ADMIN.revocations(FIRST), ADMIN.revocations(revoke(FIRST, tickets=frozenset({"t"})))


class Sent(list):
    def __call__(self, uid, kind, data):
        if uid == C:
            raise NoSuchPeerError("gone")
        assert kind == LIST
        self.append((uid, decode(data)))


def spread(signed=None):
    place = Membership(group=GROUP, ticket=ADMIN.ticket(KEY), ticket_key=KEY)
    sent = Sent()
    return RevocationSpread(Trust(MemoryPins(), ManualClock(), place, signed), sent), sent


def test_a_peer_gets_the_list_once():
    one, sent = spread(OLD)
    one.share(A)
    one.share(A)
    one.share(C)
    assert sent == [(A, OLD)]
    empty, nothing = spread()
    empty.share(A)
    assert nothing == []


def test_a_newer_list_goes_on_to_all_but_who_sent_it():
    one, sent = spread(OLD)
    assert one.hear(A, encode(NEW), (A, B, C))
    assert sent == [(B, NEW)]
    assert not one.hear(B, encode(NEW), (A, B, C))
    assert sent == [(B, NEW)]


def test_an_older_list_is_answered_with_the_newer_one_once():
    one, sent = spread(NEW)
    for _ in range(5):
        assert not one.hear(A, encode(OLD), (A, B))
    assert sent == [(A, NEW)]


def test_what_is_not_signed_goes_nowhere():
    one, sent = spread(OLD)
    forged = Administrator.create("home").revocations(revoke(revoke(FIRST)))
    with pytest.raises(BadBindingError):
        one.hear(A, encode(forged), (A, B))
    assert sent == []


def test_a_list_that_is_too_long_is_kept_here(caplog):
    uids = frozenset(hashlib.sha1(bytes([number % 256, number // 256])).hexdigest() for number in range(4000))
    one, sent = spread(ADMIN.revocations(revoke(FIRST, uids=uids)))
    one.share(A)
    assert sent == []
    assert "too long" in caplog.text


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()))
)
def test_no_text_raises_anything_else(text):
    one, _ = spread(OLD)
    with pytest.raises(BadBindingError):
        one.hear(A, text, (A, B))
