"""Which addresses of a peer are checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.ice.pair import Credentials, Remote
from wayhouse.overlay.ice.remotes import remotes_of, usable
from wayhouse.overlay.model import Candidate, CandidateType


def candidate(**more: object) -> Candidate:
    values = {
        "host": "192.0.2.1",
        "port": 4000,
        "type": CandidateType.HOST,
        "priority": 7,
        "foundation": "1",
        "username": "user",
        "password": "word",
    }
    return Candidate(**(values | more))  # type: ignore[arg-type]


def test_a_good_one() -> None:
    (found,) = remotes_of([candidate()])
    assert found == (Credentials("user", "word"), Remote(("192.0.2.1", 4000), CandidateType.HOST, 7))


@pytest.mark.parametrize(
    "more",
    [
        {"port": 0},
        {"port": 65536},
        {"protocol": "tcp"},
        {"component": 2},
        {"username": ""},
        {"password": "x" * 300},
        {"host": "localhost"},
    ],
)
def test_bad_ones(more: dict[str, object]) -> None:
    assert list(remotes_of([candidate(**more)])) == []


def test_what_a_peer_says_of_itself_is_put_right() -> None:
    (found,) = remotes_of([candidate(type=CandidateType.PEER_REFLEXIVE, priority=-5, protocol="UDP")])
    assert found[1].type is CandidateType.SERVER_REFLEXIVE
    assert found[1].priority == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("169.254.1.1", "169.254.1.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", None),
        ("::ffff:127.0.0.1", None),
        ("::1", None),
        ("0.0.0.0", None),
        ("::", None),
        ("224.0.0.1", None),
        ("ff02::1", None),
        ("255.255.255.255", None),
        ("fe80::1", None),
        ("fe80::1%eth0", None),
        ("abc.local", None),
        ("", None),
    ],
)
def test_usable(text: str, address: str | None) -> None:
    assert usable(text) == address


@given(st.text(max_size=50), st.integers())
def test_any_text(text: str, number: int) -> None:
    list(remotes_of([candidate(host=text, port=number, priority=number, username=text, password=text)]))
