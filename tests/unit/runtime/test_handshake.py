"""The handshake of wire v0, and who the kernel says is there."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket

import pytest

from wayhouse.runtime.exceptions import AuthError
from wayhouse.runtime.handshake import (
    CHALLENGE,
    finish_challenge,
    make_digest,
    make_salt,
    peer_credentials,
    validate_digest,
)


def test_the_digest_is_hmac_md5_over_the_twenty_bytes() -> None:
    salt = make_salt()
    assert len(salt) == 20
    assert make_digest(CHALLENGE + salt, "key") == hmac.new(b"key", salt, hashlib.md5).digest()
    assert make_digest(CHALLENGE + salt, None) == make_digest(CHALLENGE + salt, "")
    with pytest.raises(Exception, match="wrong challenge"):
        make_digest(salt, "key")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["a", "b"], "b"),
        ({0: None, "admin": "b"}, "b"),
        ([], None),
        ({0: "a", 1: None}, None),
        (["", "b"], "b"),
    ],
)
def test_the_key_that_made_the_digest_is_found(keys, found) -> None:
    salt = make_salt()
    digest = make_digest(CHALLENGE + salt, "b")
    assert validate_digest(salt, digest, keys) == found
    assert validate_digest(CHALLENGE + salt, digest, keys) == found


def test_the_empty_key_is_a_key_and_sha256_is_another_language() -> None:
    salt = make_salt()
    assert validate_digest(salt, make_digest(CHALLENGE + salt, None), ["x", ""]) == ""
    strong = make_digest(CHALLENGE + salt, "k", "sha256")
    assert len(strong) == 32
    assert validate_digest(salt, strong, ["k"]) is None
    assert validate_digest(salt, strong, ["k"], "sha256") == "k"
    assert validate_digest(salt, b"", ["k"]) is None


def test_the_verdict() -> None:
    finish_challenge('{"authenticated": true}')
    with pytest.raises(AuthError):
        finish_challenge(b'{"authenticated": false}')
    for answer in (b"{}", b"[]", b"nonsense", b"\xff", b"[" * 100_000):
        with pytest.raises(Exception, match="handshake"):
            finish_challenge(answer)


def test_the_kernel_knows_who_is_there() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert peer_credentials(left) == (os.getpid(), os.getuid(), os.getgid())
    with socket.socket() as tcp, pytest.raises(ValueError, match="UNIX"):
        peer_credentials(tcp)
