"""SCRAM by the examples of its RFCs, and against servers that cheat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.scram import Scram, ScramError, prepared

RFC_5802 = (
    "SCRAM-SHA-1",
    "fyko+d2lbbFgONRv9qkxdawL",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
RFC_7677 = (
    "SCRAM-SHA-256",
    "rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


@pytest.mark.parametrize(("mechanism", "nonce", "challenge", "answer", "success"), [RFC_5802, RFC_7677])
def test_the_examples_of_the_rfcs(
    mechanism: str, nonce: str, challenge: bytes, answer: bytes, success: bytes
) -> None:
    scram = Scram(mechanism, "user", "pencil", nonce)
    assert scram.first() == f"n,,n=user,r={nonce}".encode()
    assert scram.answer(challenge) == answer
    scram.verify(success)


def test_the_channel_is_bound_and_hiding_that_is_found_out() -> None:
    bound = Scram("SCRAM-SHA-256-PLUS", "a=b,c", "p", "n", binding=("tls-unique", b"\1\2"))
    assert bound.first() == b"p=tls-unique,,n=a=3Db=2Cc,r=n"
    assert bound.answer(b"r=nX,s=QSXCR+Q6sek8bf92,i=4096").startswith(b"c=cD10bHMtdW5pcXVlLCwBAg==,r=nX,p=")
    assert Scram("SCRAM-SHA-256", "u", "p", "n", could_bind=True).first() == b"y,,n=u,r=n"


CHEATS = [
    b"",
    b"\xff\xfe",
    b"r=other,s=QSXCR+Q6sek8bf92,i=4096",
    b"r=nonce,s=QSXCR+Q6sek8bf92,i=4096",
    b"r=nonceX,s=QSXCR+Q6sek8bf92,i=4095",
    b"r=nonceX,s=QSXCR+Q6sek8bf92,i=1",
    b"r=nonceX,s=QSXCR+Q6sek8bf92,i=4000000000",
    b"r=nonceX,s=QSXCR+Q6sek8bf92,i=999999999999999999999",
    b"r=nonceX,s=QSXCR+Q6sek8bf92,i=-4096",
    b"r=nonceX,s=***,i=4096",
    b"m=ext,r=nonceX,s=QSXCR+Q6sek8bf92,i=4096",
    b"r=nonceX,s=QSXCR+Q6sek8bf92",
    b"r=nonceX," + b"x" * 5000,
]


@pytest.mark.parametrize("challenge", CHEATS)
def test_a_cheating_challenge_is_not_answered(challenge: bytes) -> None:
    with pytest.raises(ScramError):
        Scram("SCRAM-SHA-256", "u", "p", "nonce").answer(challenge)


def test_a_server_without_the_password_is_not_believed() -> None:
    for success in (b"", b"v=", b"v=AAAA", b"e=other-error", b"v=***"):
        scram = Scram(RFC_5802[0], "user", "pencil", RFC_5802[1])
        scram.answer(RFC_5802[2])
        with pytest.raises(ScramError):
            scram.verify(success)
    with pytest.raises(ScramError):  # success without a challenge
        Scram(RFC_5802[0], "user", "pencil", RFC_5802[1]).verify(RFC_5802[4])
    again = Scram(RFC_5802[0], "user", "pencil", RFC_5802[1])
    again.answer(RFC_5802[2])
    with pytest.raises(ScramError):
        again.answer(RFC_5802[2])


def test_passwords_are_prepared() -> None:
    assert prepared("I\u00adX") == "IX"
    assert prepared("\u2168") == "IX"
    assert prepared("a\u00a0b") == "a b"


@given(st.binary(max_size=200))
def test_no_message_does_harm(message: bytes) -> None:
    scram = Scram("SCRAM-SHA-1", "u", "p", "n")
    with pytest.raises(ScramError):
        scram.answer(message)
    with pytest.raises(ScramError):
        scram.verify(message)
