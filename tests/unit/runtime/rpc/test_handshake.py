"""Challenge, digest, verdict; and the mark by which two that know wire v1 find each other."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.runtime.exceptions import AuthError
from wayhouse.runtime.rpc import handshake


def test_the_old_digest() -> None:
    salt = b"s" * 20
    expected = hmac.new(b"key", salt, hashlib.md5).digest()
    assert handshake.make_digest(handshake.CHALLENGE + salt, "key") == expected
    assert handshake.validate_digest(salt, expected, [None, "other", "key"]) == "key"
    assert handshake.validate_digest(salt, expected, [None, "other"]) is None
    assert handshake.make_digest(handshake.CHALLENGE + salt, None) == handshake.make_digest(
        handshake.CHALLENGE + salt, ""
    )
    with pytest.raises(Exception, match="wrong challenge"):
        handshake.make_digest(salt, "key")


def test_salts_are_fresh_and_marked_unless_told() -> None:
    one, two = handshake.make_salt(), handshake.make_salt()
    assert one != two
    assert len(one) == 20
    assert handshake.is_marked(one)
    assert not handshake.is_marked(handshake.make_salt(wire=0))
    assert not handshake.is_marked(one[:-1] + bytes([one[-1] ^ 1]))


@pytest.mark.parametrize(
    "response", [b'{"authenticated": false}', '{"authenticated": 1}', b'{"authenticated": null}']
)
def test_a_refusal(response: bytes | str) -> None:
    with pytest.raises(AuthError):
        handshake.finish_challenge(response)


@pytest.mark.parametrize("response", [b"{}", b"[]", b"", b"\xff", b"[" * 100_000])
def test_no_verdict_at_all(response: bytes) -> None:
    with pytest.raises(Exception, match="verdict is missing"):
        handshake.finish_challenge(response)
    assert handshake.finish_challenge(b'{"authenticated": true}') is None


def test_hello_and_proof() -> None:
    salt, nonce = handshake.make_salt(), bytes(16)
    hello = handshake.read_hello(handshake.make_hello(salt, "key", nonce))
    assert hello is not None
    key, proof = handshake.validate_hello(salt, hello, ["other", "key"])
    assert key == "key"
    assert handshake.is_proven(proof, "key", salt, nonce)
    assert not handshake.is_proven(proof, "other", salt, nonce)
    assert not handshake.is_proven(hello.digest, "key", salt, nonce), (
        "what the client sent cannot be sent back"
    )
    assert handshake.validate_hello(salt, hello, ["other"]) == (None, "")
    assert handshake.validate_hello(handshake.make_salt(), hello, ["key"]) == (None, "")


@given(st.binary(max_size=200))
def test_no_hello_breaks(data: bytes) -> None:
    assert handshake.read_hello(data) is None or data.startswith(handshake.HELLO)
    handshake.read_hello(handshake.HELLO + data)
    handshake.read_verdict(data)
