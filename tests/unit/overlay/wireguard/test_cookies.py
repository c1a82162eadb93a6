"""mac1, mac2 and cookies: what a loaded responder asks for, and what the other side makes of it."""

from __future__ import annotations

import secrets

import pytest

from wayhouse.overlay.wireguard.cookies import Envelope, Guard
from wayhouse.overlay.wireguard.load import LoadMeter, RateLimiter
from wayhouse.overlay.wireguard.messages import BadHandshakeError
from wayhouse.overlay.wireguard.sources import source_of

PUBLIC = secrets.token_bytes(32)
BODY = b"\1\0\0\0\x09\0\0\0" + bytes(108)
HERE = source_of(("192.0.2.1", 1))
THERE = source_of(("192.0.2.1", 2))


def guard(per_s: int) -> Guard:
    return Guard(PUBLIC, LoadMeter(per_s), RateLimiter())


def test_without_load_mac1_is_enough() -> None:
    assert guard(100).admit(Envelope(PUBLIC).close(BODY, 0.0), HERE, 0.0) is None


def test_a_wrong_mac1_gets_no_answer_loaded_or_not() -> None:
    for per_s in (0, 100):
        with pytest.raises(BadHandshakeError) as caught:
            guard(per_s).admit(Envelope(secrets.token_bytes(32)).close(BODY, 0.0), HERE, 0.0)
        assert caught.value.reason == "bad-mac1"


def test_under_load_a_cookie_is_given_and_then_asked_for() -> None:
    door, envelope = guard(0), Envelope(PUBLIC)
    reply = door.admit(envelope.close(BODY, 0.0), HERE, 0.0)
    assert reply is not None
    assert len(reply) == 64
    assert reply[:8] == b"\3\0\0\0\x09\0\0\0"
    envelope.take_cookie(reply, 0.0)
    message = envelope.close(BODY, 1.0)
    assert message[-16:] != bytes(16)
    assert door.admit(message, HERE, 1.0) is None
    assert door.admit(message, THERE, 1.0) is not None


def test_a_cookie_ends_on_both_sides() -> None:
    door, envelope = guard(0), Envelope(PUBLIC)
    envelope.take_cookie(door.admit(envelope.close(BODY, 0.0), HERE, 0.0) or b"", 0.0)
    late = envelope.close(BODY, 110.0)
    assert door.admit(late, HERE, 121.0) is not None
    assert envelope.close(BODY, 116.0)[-16:] == bytes(16)


def test_a_source_with_a_cookie_is_limited() -> None:
    door, envelope = guard(0), Envelope(PUBLIC)
    envelope.take_cookie(door.admit(envelope.close(BODY, 0.0), HERE, 0.0) or b"", 0.0)
    message = envelope.close(BODY, 0.0)
    for _ in range(5):
        assert door.admit(message, HERE, 0.0) is None
    with pytest.raises(BadHandshakeError) as caught:
        door.admit(message, HERE, 0.0)
    assert caught.value.reason == "rate-limited"


def test_a_cookie_that_was_not_asked_for_is_no_cookie() -> None:
    door, envelope = guard(0), Envelope(PUBLIC)
    with pytest.raises(BadHandshakeError):
        envelope.take_cookie(bytes(64), 0.0)
    reply = door.admit(envelope.close(BODY, 0.0), HERE, 0.0) or b""
    forged = reply[:-1] + bytes([reply[-1] ^ 1])
    with pytest.raises(BadHandshakeError):
        envelope.take_cookie(forged, 0.0)
    envelope.take_cookie(reply, 0.0)
    with pytest.raises(BadHandshakeError) as caught:
        envelope.take_cookie(reply, 0.0)
    assert caught.value.reason == "unexpected"
