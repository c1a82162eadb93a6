"""Signing in without telling the password: the client's side of SCRAM (RFC 5802, RFC 7677), bound to the TLS channel where both can.

Used by `drivers/xmpp_login.py`. Pure. Rule: the server proves that it knows the password too, or it is not believed; it cannot keep us computing,
and cannot ask for so little work that the password could be guessed from the answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata

from wayhouse.base.errors import ForbiddenError

HASHES = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
"""The mechanisms without `-PLUS`, the best first."""
LEAST_ITERATIONS, MOST_ITERATIONS = 4096, 500_000
_MAX_MESSAGE = 4096


class ScramError(ForbiddenError):
    code = "scram-failed"
    title = "The server could not be signed in to"


def prepared(password: str) -> str:
    """SASLprep (RFC 4013), as far as it changes what people type: odd spaces, invisible characters, compatibility forms."""
    text = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    return unicodedata.normalize("NFKC", text)


class Scram:
    """One attempt: send `first()`, then `answer(challenge)`, then check `verify(success)`.

    `binding` is the channel's kind and data for a `-PLUS` mechanism. Without, `could_bind` says that we could have, so that a man in the
    middle who hides the `-PLUS` mechanisms is found out.
    """

    def __init__(
        self,
        mechanism: str,
        username: str,
        password: str,
        nonce: str,
        *,
        binding: tuple[str, bytes] | None = None,
        could_bind: bool = False,
    ) -> None:
        self._hash = HASHES[mechanism.removesuffix("-PLUS")]
        self._password = prepared(password).encode()
        self._nonce = nonce
        flag = f"p={binding[0]}" if binding else "y" if could_bind else "n"
        self._header = f"{flag},,".encode()
        self._binding = binding[1] if binding else b""
        name = prepared(username).replace("=", "=3D").replace(",", "=2C")
        self._first_bare = f"n={name},r={nonce}".encode()
        self._server_signature: bytes | None = None

    def first(self) -> bytes:
        return self._header + self._first_bare

    def answer(self, challenge: bytes) -> bytes:
        """Raises `ScramError`."""
        fields = _fields(challenge)
        nonce = fields.get("r", "")
        if self._server_signature is not None or "m" in fields:
            raise ScramError("The server does not keep to SCRAM.")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ScramError("The server answered another question than ours.")
        salted = self._salted(fields.get("s", ""), fields.get("i", ""))
        bound = base64.b64encode(self._header + self._binding).decode()
        bare = f"c={bound},r={nonce}".encode()
        message = b",".join((self._first_bare, challenge, bare))
        client_key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self._hash, client_key).digest(), message)
        self._server_signature = self._hmac(self._hmac(salted, b"Server Key"), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return bare + b",p=" + base64.b64encode(proof)

    def verify(self, success: bytes) -> None:
        """Raises `ScramError` if the server does not know the password."""
        given = _binary(_fields(success).get("v", "")) if success else b""
        if self._server_signature is None or not hmac.compare_digest(given, self._server_signature):
            raise ScramError("The server could not prove that it knows the password: it may be an impostor.")

    def _salted(self, salt: str, iterations: str) -> bytes:
        count = (
            int(iterations) if iterations.isascii() and iterations.isdigit() and len(iterations) < 10 else 0
        )
        if not LEAST_ITERATIONS <= count <= MOST_ITERATIONS:
            raise ScramError(
                f"The server asks for {count} rounds; from {LEAST_ITERATIONS} to {MOST_ITERATIONS} are done."
            )
        return hashlib.pbkdf2_hmac(self._hash, self._password, _binary(salt), count)

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash)


def _fields(message: bytes) -> dict[str, str]:
    try:
        text = message.decode() if len(message) <= _MAX_MESSAGE else ""
    except UnicodeDecodeError:
        text = ""
    pairs = [part.partition("=") for part in text.split(",")]
    return {name: value for name, _, value in pairs if len(name) == 1}


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ScramError("The server does not keep to SCRAM.") from error
