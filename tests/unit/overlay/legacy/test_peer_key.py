import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.legacy.peer_key import PeerKey

UID = "ab" * 20


@pytest.mark.parametrize(("size", "digest"), [(20, Digest.SHA1), (32, Digest.SHA256)])
def test_a_uid_and_a_fingerprint(size, digest):
    text = ":".join(["0F"] * size)
    assert peer_key.decode(peer_key.encode(UID, text)) == PeerKey(bytes.fromhex(UID), digest, b"\x0f" * size)


def test_in_the_clear_there_is_only_the_uid():
    assert peer_key.encode(UID, peer_key.IN_THE_CLEAR) == bytes.fromhex(UID)
    assert peer_key.decode(bytes.fromhex(UID)) == PeerKey(bytes.fromhex(UID))


@pytest.mark.parametrize(("uid", "text"), [("x", ""), (UID, "0F"), (UID, "0f" * 20)])
def test_what_is_none(uid, text):
    with pytest.raises(BadInputError):
        peer_key.encode(uid, text)


@given(st.binary(max_size=60))
def test_any_bytes(data):
    if len(data) in (20, 40, 52):
        assert peer_key.decode(data).uid == data[:20]
    else:
        with pytest.raises(BadInputError):
            peer_key.decode(data)
