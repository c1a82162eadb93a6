"""STUN messages: RFC 5769's examples, round trips, signatures, and any bytes at all."""

from __future__ import annotations

import aioice.stun
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.stun import BadStunError

TRANSACTION = bytes(range(12))
SAMPLE_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
SAMPLE_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
SAMPLE_PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def test_the_request_of_rfc_5769() -> None:
    message = stun.decode(SAMPLE_REQUEST)
    assert (message.method, message.kind) == (stun.BINDING, stun.REQUEST)
    assert message.text(stun.USERNAME) == "evtj:h6vY"
    assert message.number(stun.PRIORITY) == 0x6E0001FF
    assert message.number(stun.ICE_CONTROLLED) == 0x932FF9B151263B36
    assert message.is_signed_by(SAMPLE_PASSWORD)
    assert not message.is_signed_by(b"another")
    assert message.unknown() == ()


def test_the_response_of_rfc_5769() -> None:
    message = stun.decode(SAMPLE_RESPONSE)
    assert (message.method, message.kind) == (stun.BINDING, stun.SUCCESS)
    assert message.address(stun.XOR_MAPPED_ADDRESS) == ("192.0.2.1", 32853)
    assert message.is_signed_by(SAMPLE_PASSWORD)


def test_the_long_term_key_of_rfc_5769() -> None:
    key = stun.long_term_key("\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "example.org", "TheMatrIX")
    sample = bytes.fromhex(
        "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000"
        "0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700"
        "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
    )
    assert stun.decode(sample).is_signed_by(key)


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7"])
def test_addresses_go_and_come_back(host: str) -> None:
    data = stun.encode(
        stun.BINDING,
        stun.SUCCESS,
        TRANSACTION,
        [
            (stun.XOR_MAPPED_ADDRESS, stun.xor_address((host, 4711), TRANSACTION)),
            (stun.OTHER_ADDRESS, stun.pack_address((host, 12))),
        ],
        key=b"k",
        has_fingerprint=True,
    )
    message = stun.decode(data)
    assert message.address(stun.XOR_MAPPED_ADDRESS) == (host, 4711)
    assert message.plain_address(stun.OTHER_ADDRESS) == (host, 12)
    assert message.address(stun.XOR_PEER_ADDRESS) is None
    assert message.is_signed_by(b"k")
    theirs = aioice.stun.parse_message(data)
    assert theirs.attributes["XOR-MAPPED-ADDRESS"] == (host, 4711)
    assert theirs.check_message_integrity(b"k")


def test_what_follows_the_integrity_is_not_believed() -> None:
    data = stun.encode(stun.BINDING, stun.REQUEST, TRANSACTION, [(stun.USERNAME, b"a:b")], key=b"k")
    added = bytes.fromhex("00250000")
    data = data[:2] + (len(data) - 20 + 4).to_bytes(2, "big") + data[4:] + added
    message = stun.decode(data)
    assert message.get(stun.USE_CANDIDATE) is None
    assert message.is_signed_by(b"k")


def test_errors_and_unknown_attributes() -> None:
    attributes = [(stun.ERROR_CODE, stun.error_value(438, "Stale\nNonce")), (0x7FFE, b"new"), (0x9000, b"")]
    message = stun.decode(stun.encode(stun.ALLOCATE, stun.ERROR, TRANSACTION, attributes))
    assert message.error() == (438, "StaleNonce")
    assert message.unknown() == (0x7FFE,)
    assert stun.decode(stun.encode(stun.ALLOCATE, stun.ERROR, TRANSACTION)).error() == (0, "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SAMPLE_REQUEST[:-1],
        SAMPLE_REQUEST[:-2] + b"xx",
        SAMPLE_REQUEST[:4] + b"\0" + SAMPLE_REQUEST[5:],
        stun.encode(1, 0, TRANSACTION, [(stun.MESSAGE_INTEGRITY, b"short")]),
        stun.encode(1, 0, TRANSACTION, [(0x9999, b"")] * 80),
        b"\0\1\0\4" + SAMPLE_REQUEST[4:20] + b"\0\6\0\xff",
    ],
)
def test_bad_messages(data: bytes) -> None:
    with pytest.raises(BadStunError):
        stun.decode(data)


def test_a_bad_address() -> None:
    for value in (b"", b"\0\3\0\1abcd", b"\0\1\0\1abc"):
        with pytest.raises(BadStunError):
            stun.unpack_address(value)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.binary(min_size=12, max_size=12))
def test_any_bytes(body: bytes, transaction: bytes) -> None:
    for data in (body, b"\0\1" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + transaction + body):
        try:
            message = stun.decode(data)
            message.error()
            message.unknown()
            message.text(stun.USERNAME)
            message.number(stun.PRIORITY)
            message.is_signed_by(b"k")
            message.address(stun.XOR_MAPPED_ADDRESS)
            message.plain_address(stun.OTHER_ADDRESS)
        except BadStunError:
            pass
