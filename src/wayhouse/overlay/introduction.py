"""What nodes say to each other on a local network: sealed questions and answers, and the tag by which an overlay's nodes know each other.

Used by `drivers/lan_post.py` and `drivers/mdns.py`. Pure. Each connection carries one question and its answer:

    server: "WHL1", 16 random bytes
    client: length (4 bytes), 16 random bytes, its uid (20), sealed [status, port, kind, data]; a question without a kind asks who is there
    server: length (4 bytes), sealed [status]

Sealed is ChaCha20-Poly1305 with a key made of the group's secret, the overlay's name, the direction and both random values: whoever has not the
secret can neither read, forge nor play again, and whoever has it is a member. An overlay without a secret is open: the seal only keeps
overlays apart there, and who a peer is shows when the link is made.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from wayhouse.base.codec import decode_json, encode_json
from wayhouse.base.errors import BadInputError, ForbiddenError
from wayhouse.overlay.model import is_uid
from wayhouse.overlay.stanzas import MAX_DATA, MAX_STATUS, BadStanzaError, check_message, check_status

MAGIC = b"WHL1"
NONCE = 16
UID = 20
SEAL = 16
GREETING = len(MAGIC) + NONCE
MAX_FRAME = 6 * MAX_DATA + 4096
"""JSON may need six bytes for a character."""
MAX_REPLY = 6 * MAX_STATUS + 256


class BadIntroductionError(BadInputError):
    code = "bad-introduction"
    title = "What came over the local network cannot be understood"


class NotAMemberError(ForbiddenError):
    code = "not-a-member"
    title = "This node is not of our overlay"


class Introduction(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a node says: what it tells everybody, the port at which it listens, and a message, or none."""

    status: str
    port: int
    kind: str = ""
    data: str = ""


class Seal:
    """The keys of an overlay."""

    def __init__(self, overlay: str, secret: bytes | None) -> None:
        root = hmac.digest(b"wayhouse introduction", secret or b"", hashlib.sha256)
        self._root = hmac.digest(root, overlay.encode("utf-8", "replace"), hashlib.sha256)

    @property
    def tag(self) -> str:
        """What may be shown to everybody: 32 hexadecimal digits."""
        return self._key(b"tag")[:16].hex()

    def seal(self, direction: bytes, nonces: bytes, names: bytes, text: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        return ChaCha20Poly1305(self._key(direction + nonces)).encrypt(bytes(12), text, names)

    def open(self, direction: bytes, nonces: bytes, names: bytes, sealed: bytes) -> bytes:
        """Raises `NotAMemberError`."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        try:
            return ChaCha20Poly1305(self._key(direction + nonces)).decrypt(bytes(12), sealed, names)
        except InvalidTag as error:
            raise NotAMemberError("The seal is broken: it has another secret, or another overlay.") from error

    def _key(self, use: bytes) -> bytes:
        return hmac.digest(self._root, use, hashlib.sha256)


class Question:
    """The client's side of one connection."""

    def __init__(self, seal: Seal, sender: str, receiver: str, nonce: bytes) -> None:
        self._seal = seal
        self._sender = bytes.fromhex(sender)
        self._names = self._sender + bytes.fromhex(receiver)
        self._nonce = nonce
        self._nonces = b""

    def ask(self, greeting: bytes, said: Introduction) -> bytes:
        """The frame, with its length in front. Raises `BadIntroductionError` for what is no greeting, and `BadStanzaError`."""
        if len(greeting) != GREETING or not greeting.startswith(MAGIC):
            raise BadIntroductionError("What listens there is no node.")
        if said.kind:
            check_message(said.kind, said.data)
        self._nonces = greeting[len(MAGIC) :] + self._nonce
        sealed = self._seal.seal(b"question", self._nonces, self._names, encode_json(said))
        return framed(self._nonce + self._sender + sealed)

    def read(self, frame: bytes) -> str:
        """The other's status. Raises `NotAMemberError` or `BadIntroductionError`."""
        text = self._seal.open(b"answer", self._nonces, self._names, frame)
        return _status(decode_json(text, tuple[str], what="answer")[0])


class Answer:
    """The server's side of one connection; `nonce` is in `greeting`."""

    def __init__(self, seal: Seal, receiver: str, nonce: bytes) -> None:
        self._seal = seal
        self._receiver = bytes.fromhex(receiver)
        self._nonces = nonce
        self._names = b""
        self.greeting = MAGIC + nonce

    def read(self, frame: bytes) -> tuple[str, Introduction]:
        """The sender's uid, and what it says. Raises `NotAMemberError` or `BadIntroductionError`."""
        if len(frame) < NONCE + UID + SEAL:
            raise BadIntroductionError("The question is too short.")
        self._nonces += frame[:NONCE]
        sender = frame[NONCE : NONCE + UID]
        self._names = sender + self._receiver
        text = self._seal.open(b"question", self._nonces, self._names, frame[NONCE + UID :])
        said = decode_json(text, Introduction, what="question")
        if not 0 < said.port < 65_536:
            raise BadIntroductionError("The port in a question is from 1 to 65535.")
        _status(said.status)
        if said.kind:
            _message(said)
        return sender.hex(), said

    def reply(self, status: str) -> bytes:
        return framed(self._seal.seal(b"answer", self._nonces, self._names, encode_json((status,))))


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def frame_length(head: bytes, most: int) -> int:
    """Raises `BadIntroductionError`."""
    length = int.from_bytes(head, "big")
    if not SEAL <= length <= most:
        raise BadIntroductionError(f"A frame has from {SEAL} to {most} bytes.")
    return length


def make_properties(seal: Seal, uid: str) -> dict[str, str]:
    """What multicast DNS shows to everybody."""
    return {"v": "1", "tag": seal.tag, "uid": uid}


def read_properties(seal: Seal, properties: dict[bytes, bytes | None]) -> str | None:
    """The uid of a node of this overlay; None: it is of another, or is no node."""
    tag, uid = properties.get(b"tag") or b"", properties.get(b"uid") or b""
    if not hmac.compare_digest(tag, seal.tag.encode()) or not is_uid(uid.decode("ascii", "replace")):
        return None
    return uid.decode()


def _status(text: str) -> str:
    try:
        return check_status(text)
    except BadStanzaError as error:
        raise BadIntroductionError(error.message) from error


def _message(said: Introduction) -> None:
    try:
        check_message(said.kind, said.data)
    except BadStanzaError as error:
        raise BadIntroductionError(error.message) from error
