from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay.announcement import address_word, split, told_address
from wayhouse.overlay.candidates import decode

PRINT = fingerprint_of("x")


def test_the_address_is_a_word_that_old_parsers_skip() -> None:
    assert address_word("10.0.0.1") == "ip4=10.0.0.1"
    assert decode(address_word("10.0.0.1")) == ()
    assert told_address("wh1:abc ip4=10.0.0.1 ip4=10.0.0.2") == "10.0.0.1"


def test_what_is_no_address_of_a_node_is_none() -> None:
    for text in ("300.1.1.1", "127.0.0.1", "224.0.0.1", "0.0.0.0", "fd50::1", "", "01.2.3.4"):
        assert told_address(f"1:2 {address_word(text)}") == ""
    assert told_address("") == ""


def test_the_fingerprint_comes_first() -> None:
    assert split(f"{PRINT} a b") == (PRINT, "a b")
    assert split(PRINT) == (PRINT, "")
    assert split(f" {PRINT}") is None
    assert split("") is None


@given(st.one_of(st.text(max_size=200), st.text(alphabet="ip4=0123456789. ", max_size=60)))
def test_any_text_is_read(text: str) -> None:
    split(text)
    found = told_address(text)
    assert told_address(address_word(found)) == found
