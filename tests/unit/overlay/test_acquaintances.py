"""Who is heard, where they are, and when they are gone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay.acquaintances import MAX_PEERS, Acquaintances, bare
from wayhouse.overlay.model import Heard, NoSuchPeerError, PeerGone, PeerSeen

ME, A, B = "0" * 40, "a" * 40, "b" * 40
VIA = "xmpp:me@d"


def known(**roster: str) -> Acquaintances:
    one = Acquaintances(VIA, "me@d", {"named@d"}, ME)
    one.roster({f"{name}@d": subscription for name, subscription in roster.items()}, is_whole=True)
    return one


def at(name: str, uid: str) -> str:
    return f"{name}@d/tincan{uid}"


def test_heard_are_own_devices_friends_and_those_who_are_named() -> None:
    one = known(both="both", to="to", other="from", nobody="none")
    heard = [
        name
        for name in ("me", "both", "to", "named", "other", "nobody", "stranger")
        if one.hears(f"{name}@d/x")
    ]
    assert heard == ["me", "both", "to", "named"]
    assert one.hears("ME@D/x")
    assert one.may_befriend("Named@d/y")
    assert not one.may_befriend("both@d")
    assert one.wanted() == ["named@d"]
    one.roster({"named@d": "both"}, is_whole=False)
    assert one.wanted() == []
    assert bare("X@Y/z") == "x@y"


def test_presence_tells_where_a_peer_is() -> None:
    one = known(bob="both")
    with pytest.raises(NoSuchPeerError):
        one.jid_of(A)
    assert one.present(at("bob", A), "F") == [PeerSeen(A, "F", VIA)]
    assert one.jid_of(A) == at("bob", A)
    assert one.absent(at("bob", A) + "2") == []
    assert one.absent(at("bob", A)) == [PeerGone(A, VIA)]
    assert one.absent(at("bob", A)) == []


def test_a_message_tells_where_a_peer_is_too() -> None:
    one = known(bob="both")
    assert one.heard(at("bob", A) + "suffix", "con_req", "x") == [Heard(A, "con_req", "x", VIA)]
    assert one.jid_of(A) == at("bob", A) + "suffix"


def test_strangers_other_programs_and_oneself_are_not_there() -> None:
    one = known(bob="both")
    for jid in (at("stranger", A), "bob@d/laptop", "bob@d", at("bob", ME), at("me", ME), ""):
        assert one.present(jid, "F") == []
        assert one.heard(jid, "con_req", "x") == []


def test_nobody_takes_over_anothers_uid() -> None:
    one = known(bob="both", mallory="both")
    one.present(at("bob", A), "F")
    assert one.present(at("mallory", A), "EVIL") == []
    assert one.heard(at("mallory", A), "con_req", "x") == []
    assert one.absent(at("mallory", A)) == []
    assert one.jid_of(A) == at("bob", A)
    assert one.present(at("me", A), "F") == [PeerSeen(A, "F", VIA)]  # but one's own device may
    one.absent(at("me", A))
    assert one.present(at("mallory", A), "F") == [PeerSeen(A, "F", VIA)]


def test_who_is_no_friend_any_more_is_gone() -> None:
    one = known(bob="both", carol="both")
    one.present(at("bob", A), "")
    one.present(at("carol", B), "")
    assert one.roster({"bob@d": "remove"}, is_whole=False) == [PeerGone(A, VIA)]
    assert one.roster({}, is_whole=True) == [PeerGone(B, VIA)]


def test_a_new_session_forgets_those_who_do_not_come_back() -> None:
    one = known(bob="both")
    one.present(at("bob", A), "")
    one.present(at("bob", B), "")
    one.new_session()
    one.present(at("bob", A), "")
    assert one.expire_stale() == [PeerGone(B, VIA)]
    assert one.expire_stale() == []


def test_there_is_a_limit() -> None:
    one = known(bob="both")
    for number in range(MAX_PEERS + 5):
        one.present(at("bob", f"{number + 1:040x}"), "")
    assert one.present(at("bob", A), "") == []
    assert one.present(at("bob", f"{1:040x}"), "") != []


JIDS = st.sampled_from([at("bob", A), at("mallory", A), at("me", A), at("bob", B), "x"]) | st.text()
STEPS = st.tuples(st.sampled_from(["present", "absent", "heard", "new", "expire"]), JIDS)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=30))
def test_gone_comes_only_after_seen(steps: list[tuple[str, str]]) -> None:
    one = known(bob="both", mallory="both")
    there: set[str] = set()
    for verb, jid in steps:
        if verb == "new":
            one.new_session()
            continue
        events = {
            "present": lambda jid=jid: one.present(jid, ""),
            "absent": lambda jid=jid: one.absent(jid),
            "heard": lambda jid=jid: one.heard(jid, "k", "d"),
            "expire": one.expire_stale,
        }[verb]()
        for event in events:
            if isinstance(event, PeerGone):
                there.remove(event.uid)
            elif isinstance(event, PeerSeen | Heard):
                there.add(event.uid)
    for uid in there:
        assert one.jid_of(uid)
