"""The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard uses it (whitepaper section 5.4).

Used by `device.py`. Rule: what is read changes nothing of what is kept, so that a forged message costs time and nothing else; a refusal is
a `BadHandshakeError`, whatever was wrong. No key is ever in a text.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.wireguard.messages import (
    INITIATION,
    KEY_SIZE,
    RESPONSE,
    BadHandshakeError,
    head,
    index_at,
)

NO_PSK = bytes(KEY_SIZE)
_NONCE = bytes(12)


def blake2s(*parts: bytes) -> bytes:
    return hashlib.blake2s(b"".join(parts)).digest()


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.blake2s)


def derive(key: bytes, data: bytes, count: int) -> list[bytes]:
    """The whitepaper's KDF: HKDF (RFC 5869) with BLAKE2s, `count` outputs of 32 bytes."""
    secret = _hmac(key, data)
    found: list[bytes] = []
    last = b""
    for number in range(1, count + 1):
        last = _hmac(secret, last + bytes([number]))
        found.append(last)
    return found


CHAIN = blake2s(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
HASH = blake2s(CHAIN, b"WireGuard v1 zx2c4 Jason@zx2c4.com")


class Identity:
    """The static key of this side. Raises `BadInputError` if it is not 32 bytes."""

    __slots__ = ("_private", "public_key")

    def __init__(self, private_key: bytes) -> None:
        if len(private_key) != KEY_SIZE:
            raise BadInputError("A WireGuard private key has 32 bytes; make one with `wg genkey`.")
        self._private = X25519PrivateKey.from_private_bytes(private_key)
        self.public_key = self._private.public_key().public_bytes_raw()

    def shared(self, public_key: bytes) -> bytes:
        """The Diffie-Hellman secret with this key. Raises `BadHandshakeError` if the key is a weak one."""
        return exchange(self._private, public_key)


def exchange(private: X25519PrivateKey, public_key: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise BadHandshakeError("weak-key") from None


class Symmetric:
    """Noise's symmetric state: the chaining key and the hash of all that was said."""

    __slots__ = ("chain", "hash", "key")

    def __init__(self, responder: bytes) -> None:
        self.chain = CHAIN
        self.hash = blake2s(HASH, responder)
        self.key = b""

    def copy(self) -> Symmetric:
        twin = Symmetric.__new__(Symmetric)
        twin.chain, twin.hash, twin.key = self.chain, self.hash, self.key
        return twin

    def mix_ephemeral(self, public_key: bytes) -> None:
        self.mix_hash(public_key)
        (self.chain,) = derive(self.chain, public_key, 1)

    def mix_hash(self, data: bytes) -> None:
        self.hash = blake2s(self.hash, data)

    def mix(self, secret: bytes) -> None:
        self.chain, self.key = derive(self.chain, secret, 2)

    def mix_psk(self, psk: bytes) -> None:
        self.chain, mixed, self.key = derive(self.chain, psk, 3)
        self.mix_hash(mixed)

    def seal(self, plain: bytes) -> bytes:
        sealed = ChaCha20Poly1305(self.key).encrypt(_NONCE, plain, self.hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        try:
            plain = ChaCha20Poly1305(self.key).decrypt(_NONCE, sealed, self.hash)
        except InvalidTag:
            raise BadHandshakeError("forged") from None
        self.mix_hash(sealed)
        return plain


class SessionKeys:
    """What a handshake gave: the two transport ciphers, and their keys for who makes ciphers of its own."""

    __slots__ = ("receive_cipher", "receive_key", "remote_index", "send_cipher", "send_key")

    def __init__(self, send: bytes, receive: bytes, remote_index: int) -> None:
        self.send_key, self.receive_key = send, receive
        self.send_cipher = ChaCha20Poly1305(send)
        self.receive_cipher = ChaCha20Poly1305(receive)
        self.remote_index = remote_index


class Initiation:
    """An initiation of ours that waits for its response. `message` has no macs yet."""

    __slots__ = ("_ephemeral", "_identity", "_state", "index", "message")

    def __init__(
        self, identity: Identity, peer: bytes, static_shared: bytes, index: int, stamp: bytes
    ) -> None:
        self._identity = identity
        self.index = index
        self._ephemeral = X25519PrivateKey.generate()
        ephemeral = self._ephemeral.public_key().public_bytes_raw()
        self._state = state = Symmetric(peer)
        state.mix_ephemeral(ephemeral)
        state.mix(exchange(self._ephemeral, peer))
        static = state.seal(identity.public_key)
        state.mix(static_shared)
        self.message = head(INITIATION, index) + ephemeral + static + state.seal(stamp)

    def finish(self, response: bytes, psk: bytes) -> SessionKeys:
        """From the 92 bytes of a response to this. Raises `BadHandshakeError`, and then the true response may still come."""
        ephemeral = response[12:44]
        state = self._state.copy()
        state.mix_ephemeral(ephemeral)
        (state.chain,) = derive(state.chain, exchange(self._ephemeral, ephemeral), 1)
        (state.chain,) = derive(state.chain, self._identity.shared(ephemeral), 1)
        state.mix_psk(psk)
        state.open(response[44:60])
        send, receive = derive(state.chain, b"", 2)
        return SessionKeys(send, receive, index_at(response, 4))


class Initiated:
    """An initiation of a peer, read and authentic: from `public_key`, made at `stamp`."""

    __slots__ = ("_ephemeral", "_state", "public_key", "remote_index", "stamp")

    def __init__(self, identity: Identity, message: bytes, shared_with: Callable[[bytes], bytes]) -> None:
        """`shared_with` gives the static secret with a peer of this public key, and raises `BadHandshakeError` for a stranger."""
        self.remote_index = index_at(message, 4)
        self._ephemeral = message[8:40]
        self._state = state = Symmetric(identity.public_key)
        state.mix_ephemeral(self._ephemeral)
        state.mix(identity.shared(self._ephemeral))
        self.public_key = state.open(message[40:88])
        state.mix(shared_with(self.public_key))
        self.stamp = state.open(message[88:116])

    def respond(self, index: int, psk: bytes) -> tuple[bytes, SessionKeys]:
        """The response, without its macs, and the keys. To be called once."""
        state = self._state
        private = X25519PrivateKey.generate()
        ephemeral = private.public_key().public_bytes_raw()
        state.mix_ephemeral(ephemeral)
        (state.chain,) = derive(state.chain, exchange(private, self._ephemeral), 1)
        (state.chain,) = derive(state.chain, exchange(private, self.public_key), 1)
        state.mix_psk(psk)
        message = head(RESPONSE, index, self.remote_index) + ephemeral + state.seal(b"")
        receive, send = derive(state.chain, b"", 2)
        return message, SessionKeys(send, receive, self.remote_index)
