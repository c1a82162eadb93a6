"""Noise_IKpsk2: known values, both sides against each other, and everything forged."""

from __future__ import annotations

import secrets

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.wireguard import noise
from wayhouse.overlay.wireguard.messages import BadHandshakeError, nonce
from wayhouse.overlay.wireguard.noise import Identity, Initiated, Initiation

STAMP = bytes(11) + b"\1"


def test_the_constants_are_those_that_every_implementation_has() -> None:
    assert noise.CHAIN.hex() == "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36"
    assert noise.HASH.hex() == "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3"


@pytest.mark.parametrize(
    ("key", "data", "outputs"),
    [
        (
            b"test-key",
            b"test-input",
            [
                "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
                "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
                "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
            ],
        ),
        (
            b"wireguard",
            b"wireguard",
            [
                "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
                "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
                "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160",
            ],
        ),
        (
            b"",
            b"",
            [
                "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
                "58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
                "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e",
            ],
        ),
    ],
)
def test_the_key_derivation_gives_the_published_values(key: bytes, data: bytes, outputs: list[str]) -> None:
    assert [found.hex() for found in noise.derive(key, data, 3)] == outputs


class Pair:
    """Two identities that know each other."""

    def __init__(self) -> None:
        self.left = Identity(secrets.token_bytes(32))
        self.right = Identity(secrets.token_bytes(32))
        self.shared = self.left.shared(self.right.public_key)

    def initiation(self) -> Initiation:
        return Initiation(self.left, self.right.public_key, self.shared, 77, STAMP)

    def read(self, message: bytes) -> Initiated:
        return Initiated(self.right, message, self.right.shared)


def test_both_sides_come_to_the_same_keys() -> None:
    pair = Pair()
    psk = secrets.token_bytes(32)
    initiation = pair.initiation()
    initiated = pair.read(initiation.message)
    assert (initiated.public_key, initiated.stamp, initiated.remote_index) == (
        pair.left.public_key,
        STAMP,
        77,
    )
    response, theirs = initiated.respond(88, psk)
    ours = initiation.finish(response, psk)
    assert (ours.remote_index, theirs.remote_index) == (88, 77)
    for one, other in ((ours, theirs), (theirs, ours)):
        sealed = one.send_cipher.encrypt(nonce(0), b"packet", None)
        assert other.receive_cipher.decrypt(nonce(0), sealed, None) == b"packet"


def test_two_handshakes_never_have_the_same_keys() -> None:
    pair = Pair()
    messages = {pair.initiation().message for _ in range(5)}
    assert len(messages) == 5


def test_every_changed_byte_of_an_initiation_is_noticed() -> None:
    pair = Pair()
    message = pair.initiation().message
    for at in range(8, len(message)):
        forged = bytearray(message)
        forged[at] ^= 0x80
        with pytest.raises(BadHandshakeError):
            pair.read(bytes(forged))


def test_every_changed_byte_of_a_response_is_noticed_and_the_true_one_still_counts() -> None:
    pair = Pair()
    initiation = pair.initiation()
    response, _ = pair.read(initiation.message).respond(88, noise.NO_PSK)
    for at in range(12, len(response)):
        forged = bytearray(response)
        forged[at] ^= 1
        with pytest.raises(BadHandshakeError):
            initiation.finish(bytes(forged), noise.NO_PSK)
    assert initiation.finish(response, noise.NO_PSK).remote_index == 88


def test_another_preshared_key_is_noticed() -> None:
    pair = Pair()
    initiation = pair.initiation()
    response, _ = pair.read(initiation.message).respond(88, bytes(31) + b"\1")
    with pytest.raises(BadHandshakeError) as caught:
        initiation.finish(response, noise.NO_PSK)
    assert caught.value.reason == "forged"


def test_weak_keys_are_refused() -> None:
    identity = Identity(secrets.token_bytes(32))
    with pytest.raises(BadHandshakeError) as caught:
        identity.shared(bytes(32))
    assert caught.value.reason == "weak-key"


def test_a_private_key_has_32_bytes() -> None:
    with pytest.raises(BadInputError, match="wg genkey"):
        Identity(bytes(31))
