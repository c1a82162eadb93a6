"""Sealed introductions: members understand each other, nobody else can read, forge, change or repeat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.introduction import (
    MAX_FRAME,
    NONCE,
    Answer,
    BadIntroductionError,
    Introduction,
    NotAMemberError,
    Question,
    Seal,
    frame_length,
    make_properties,
    read_properties,
)
from wayhouse.overlay.stanzas import MAX_DATA, BadStanzaError

A, B, C = "a" * 40, "b" * 40, "c" * 40
OURS = Seal("home", b"secret")
SAID = Introduction("FPR", 4711, "con_req", "hello")
N1, N2 = bytes(NONCE), b"\1" * NONCE


def asked(
    seal: Seal = OURS, sender: str = A, receiver: str = B, said: Introduction = SAID
) -> tuple[Question, bytes]:
    question = Question(seal, sender, receiver, N1)
    return question, question.ask(Answer(seal, receiver, N2).greeting, said)[4:]


def test_members_understand_each_other() -> None:
    question, frame = asked()
    answer = Answer(OURS, B, N2)
    assert answer.read(frame) == (A, SAID)
    assert b"hello" not in frame
    assert question.read(answer.reply("STATUS")[4:]) == "STATUS"


@pytest.mark.parametrize(
    "other", [Seal("home", b"other"), Seal("work", b"secret"), Seal("home", None), Seal("home", b"")]
)
def test_others_are_no_members(other: Seal) -> None:
    _, frame = asked(other)
    with pytest.raises(NotAMemberError):
        Answer(OURS, B, N2).read(frame)
    assert other.tag != OURS.tag


def test_nothing_can_be_repeated_redirected_or_reflected() -> None:
    question, frame = asked()
    for again in (Answer(OURS, B, b"\2" * NONCE), Answer(OURS, C, N2)):
        with pytest.raises(NotAMemberError):
            again.read(frame)
    with pytest.raises(NotAMemberError):  # in another's name
        Answer(OURS, B, N2).read(frame[:NONCE] + bytes.fromhex(C) + frame[NONCE + 20 :])
    with pytest.raises(NotAMemberError):  # the question as its own answer
        question.read(frame[NONCE + 20 :])


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_no_byte_can_be_changed(place: int) -> None:
    _, frame = asked()
    changed = bytearray(frame)
    changed[place] ^= 1
    with pytest.raises(NotAMemberError):
        Answer(OURS, B, N2).read(bytes(changed))


@pytest.mark.parametrize(
    "said",
    [
        Introduction("F", 0, "", ""),
        Introduction("F", 70_000, "", ""),
        Introduction("x" * 300, 1, "", ""),
        Introduction("\0", 1, "", ""),
    ],
)
def test_a_member_cannot_say_everything(said: Introduction) -> None:
    _, frame = asked(said=said)
    with pytest.raises(BadIntroductionError):
        Answer(OURS, B, N2).read(frame)


def test_what_no_way_carries_is_not_sent() -> None:
    with pytest.raises(BadStanzaError):
        asked(said=Introduction("F", 1, "two words", ""))
    with pytest.raises(BadIntroductionError):
        Question(OURS, A, B, N1).ask(b"HTTP/1.1 400 Bad Req", SAID)


def test_what_a_member_forged_in_the_message_is_refused() -> None:
    for text in (
        b'["F",1,"two words",""]',
        b'["F",1,"k","\\u0000"]',
        b"[]",
        b'{"a":1}',
        b'["F",1,"k","d",5]',
        b"\xff",
    ):
        sealed = OURS.seal(b"question", N2 + N1, bytes.fromhex(A + B), text)
        with pytest.raises(BadInputError):
            Answer(OURS, B, N2).read(N1 + bytes.fromhex(A) + sealed)


def test_the_longest_message_fits() -> None:
    for data in ("x" * MAX_DATA, '"' * 33_000, "\t" * MAX_DATA, "𝄞" * 50_000):
        _, frame = asked(said=Introduction("F", 1, "k", data))
        assert frame_length(len(frame).to_bytes(4, "big"), MAX_FRAME) == len(frame)
        assert Answer(OURS, B, N2).read(frame)[1].data == data


def test_lengths_are_limited() -> None:
    for length in (0, 15, MAX_FRAME + 1, 2**32 - 1):
        with pytest.raises(BadIntroductionError):
            frame_length(length.to_bytes(4, "big"), MAX_FRAME)


def test_what_everybody_may_see() -> None:
    shown = make_properties(OURS, A)
    seen: dict[bytes, bytes | None] = {key.encode(): value.encode() for key, value in shown.items()}
    assert read_properties(OURS, seen) == A
    assert read_properties(Seal("work", b"secret"), seen) is None
    assert read_properties(OURS, {}) is None
    assert read_properties(OURS, seen | {b"uid": b"\xff" * 40}) is None
    assert read_properties(OURS, seen | {b"uid": None}) is None


@given(st.binary(max_size=120))
def test_no_frame_does_harm(frame: bytes) -> None:
    with pytest.raises((BadIntroductionError, NotAMemberError)):
        Answer(OURS, B, N2).read(frame)


@given(st.dictionaries(st.sampled_from([b"tag", b"uid", b"v"]), st.none() | st.binary()))
def test_no_property_does_harm(properties: dict[bytes, bytes | None]) -> None:
    assert read_properties(OURS, properties) is None
