import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay import candidates
from wayhouse.overlay.model import BadCandidateError, Candidate, CandidateType

SEED = "x8Kd01Qz:1:udp:192.168.1.2:43546:2130706431:ufrag:pwd:local:eth0:0:1302982778"
PLAIN = Candidate(
    id="x8Kd01Qz",
    host="192.168.1.2",
    port=43546,
    type=CandidateType.HOST,
    priority=2130706431,
    foundation="1302982778",
    username="ufrag",
    password="pwd",
    interface="eth0",
)


def like(**changed) -> Candidate:
    """One without an interface."""
    return msgspec.structs.replace(PLAIN, **{"id": "a", "priority": 9, "interface": "", **changed})


def test_the_form_of_2013():
    assert candidates.decode(SEED) == (PLAIN,)
    assert candidates.encode([PLAIN]) == SEED


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (CandidateType.HOST, "local"),
        (CandidateType.SERVER_REFLEXIVE, "stun"),
        (CandidateType.PEER_REFLEXIVE, "prflx"),
        (CandidateType.RELAYED, "relay"),
    ],
)
def test_types_have_libjingles_names(kind, word):
    word = SEED.replace(":local:", f":{word}:")
    assert candidates.decode_one(word).type is kind
    assert candidates.encode_one(candidates.decode_one(word)) == word


def test_ipv6_survives_and_old_parsers_skip_it():
    six = like(host="2001:db8::7", port=5)
    word = candidates.encode_one(six)
    assert " " not in word
    assert len(word.split(":")) < 12
    assert candidates.decode_one(word) == six
    full = like(host="2001:db8:1:2:3:4:5:6", port=5)
    assert len(candidates.encode_one(full).split(":")) < 12
    assert candidates.decode(candidates.encode([six, PLAIN, full])) == (PLAIN, six, full)


def test_words_of_other_kinds_are_skipped():
    cas = f"short:word wh1:abc ip4=1.2.3.4 {SEED} {SEED} {SEED.replace('udp', 'tcp')} {SEED}:more:fields"
    assert candidates.decode(cas) == (PLAIN,)
    assert candidates.other_words(cas) == ["short:word", "wh1:abc", "ip4=1.2.3.4"]
    assert candidates.decode("") == ()


def test_the_best_come_first_and_not_too_many():
    many = [like(id=str(n), host="192.0.2.1", port=n, priority=n) for n in range(1, 100)]
    shown = candidates.decode(candidates.encode(many))
    assert [one.port for one in shown] == list(range(99, 83, -1))
    assert len(candidates.decode(" ".join(map(candidates.encode_one, many)))) == candidates.MOST_CANDIDATES


@pytest.mark.parametrize(
    "word",
    [
        "a:b",
        SEED.replace("192.168.1.2", "example.org"),
        SEED.replace("192.168.1.2", "127.0.0.1"),
        SEED.replace("192.168.1.2", "224.0.0.1"),
        SEED.replace("192.168.1.2", "0.0.0.0"),
        SEED.replace("192.168.1.2", "255.255.255.255"),
        SEED.replace("43546", "0"),
        SEED.replace("43546", "65536"),
        SEED.replace("43546", "-1"),
        SEED.replace("43546", "٣"),
        SEED.replace("2130706431", "99999999999"),
        SEED.replace("local", "host"),
        SEED.replace("ufrag", "u<rag"),
        SEED.replace("pwd", "p" * 257),
        SEED.replace(":", ",").replace("x8", "6=x8"),
        "6=a,1,udp,fe80::1%eth0,5,9,u,p,local,eth0,0,f",
        "6=a,1,udp,::1,5,9,u,p,local,eth0,0,f",
    ],
)
def test_what_cannot_be_used_is_refused(word):
    with pytest.raises(BadCandidateError):
        candidates.decode_one(word)


def test_credentials_are_random_and_long_enough():
    username, password = candidates.random_credentials()
    assert len(username) >= 4
    assert len(password) >= 22
    assert candidates.random_credentials() != (username, password)


WORDS = st.lists(
    st.sampled_from(["1", "udp", "192.0.2.1", "2001:db8::1", "99", "u", "local", "6=", "", "wh1", "\ud7ff"]),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.builds(str.join, st.sampled_from(":, "), WORDS), max_size=4).map(" ".join),
    )
)
def test_no_text_raises(text):
    found = candidates.decode(text)
    assert len(found) <= candidates.MOST_CANDIDATES
    assert candidates.decode(candidates.encode(found, most=99)) == tuple(
        sorted(found, key=lambda one: -one.priority)
    )


@given(
    st.builds(
        Candidate,
        host=st.one_of(st.just("198.51.100.7"), st.just("2001:db8::99")),
        port=st.integers(1, 65535),
        type=st.sampled_from(CandidateType),
        priority=st.integers(0, 2**32 - 1),
        foundation=st.text("abc/+019", max_size=9),
        username=st.text("abcXYZ0+/", max_size=9),
        password=st.text("abcXYZ0+/=", max_size=30),
        interface=st.text("abc0.-_", max_size=15),
        generation=st.integers(0, 99),
        id=st.text("abc", min_size=1, max_size=8),
    )
)
def test_round_trip(candidate):
    assert candidates.decode_one(candidates.encode_one(candidate)) == candidate
