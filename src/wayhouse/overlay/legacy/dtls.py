"""DTLS as old nodes speak it (RFC 4347, RFC 6347), of one connection, as a machine over OpenSSL's memory buffers.

Used by `channel.py`. Rules: no socket and no clock but OpenSSL's own for repeating a flight; the other end's certificate is believed by its fingerprint
alone, and that always; nothing a datagram holds raises; the weak ciphers that old ends need are allowed here and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from wayhouse.base import ids
from wayhouse.overlay.identity import Digest

DTLS_1_0 = 0xFEFF
LEAST_BITS = 1024
"""Of the other end's RSA key: those of 2013 are no longer."""
MTU = 1200
"""Bytes of a datagram of the handshake."""
MOST_PLAINTEXT = 16_384
MOST_RECORDS = 1000
"""Of one datagram, and those that came too early."""
_CIPHERS = (
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA"
    b":DHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA:AES256-SHA:AES128-SHA:@SECLEVEL=0"
)
_HEADER = struct.Struct("!BHHHIH")
"""Type, version, epoch, the number in it (in two parts) and the length of a record (RFC 6347 section 4.1)."""
HANDSHAKE, CLIENT_HELLO = 22, 1
WRONG_CERTIFICATE = "The peer shows another certificate than the one whose fingerprint was told: somebody pretends to be it, or it was made anew."


def is_dtls(datagram: bytes) -> bool:
    """As RFC 7983 tells them apart."""
    return bool(datagram) and 20 <= datagram[0] <= 63


def is_client_hello(datagram: bytes) -> bool:
    """Of a new handshake, not protected by a session."""
    return (
        len(datagram) > _HEADER.size
        and datagram[0] == HANDSHAKE
        and datagram[13] == CLIENT_HELLO
        and not epoch(datagram)
    )


def epoch(datagram: bytes) -> int:
    """Of its first record: 0 until keys are in use."""
    return int.from_bytes(datagram[3:5], "big")


def records(data: bytes) -> list[bytes]:
    """Of what OpenSSL wrote one after another; each is a datagram."""
    found = []
    while len(data) >= _HEADER.size:
        end = _HEADER.size + int.from_bytes(data[11:13], "big")
        found.append(data[:end])
        data = data[end:]
    return found


class Credentials:
    """A key and its certificate, read once, with a context of OpenSSL for each role."""

    def __init__(self, pem: bytes) -> None:
        """Raises `ValueError` if they are none."""
        key, certificate = serialization.load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("the key of an old node is RSA")  # noqa: TRY004 - what the text holds is wrong
        self.uid = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        self._secret = ids.token_hex(256).encode()
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_min_proto_version(DTLS_1_0)
        self.context.set_cipher_list(_CIPHERS)
        self.context.set_options(
            SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION
        )
        self.context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        self.context.set_cookie_generate_callback(self._cookie)
        self.context.set_cookie_verify_callback(
            lambda end, cookie: hmac.compare_digest(cookie, self._cookie(end))
        )

    def __repr__(self) -> str:
        return "Credentials()"

    def _cookie(self, end: SSL.Connection) -> bytes:
        """One for each connection: it is answered over the path alone, so that only who is there can send it back."""
        return hmac.digest(self._secret, end.get_app_data().name, "sha256")


class DtlsSession:
    """One end. Feed it with `receive` and `tick`, then take `outbox()`. `why` says what ended it."""

    def __init__(self, credentials: Credentials, digest: Digest, value: bytes, *, is_server: bool) -> None:
        """`value` is the digest of the only certificate that is believed."""
        self.name = ids.token_hex(128).encode()
        self.is_server = is_server
        self.is_established = False
        self.is_over = False
        self.why = ""
        self._digest, self._value = digest, value
        self._is_listening = is_server
        self._is_wrong = False
        self._outbox: list[bytes] = []
        self._end = SSL.Connection(credentials.context)
        self._end.set_app_data(self)
        self._end.set_ciphertext_mtu(MTU)
        if is_server:
            self._end.set_accept_state()
        else:
            self._end.set_connect_state()

    @property
    def is_busy(self) -> bool:
        """A handshake is under way with somebody who answers."""
        return not (self._is_listening or self.is_established or self.is_over)

    @property
    def version(self) -> str:
        """Such as `DTLSv1`, with the cipher; empty before there is one."""
        cipher = self._end.get_cipher_name()
        return f"{self._end.get_protocol_version_name()} {cipher}" if cipher else ""

    def begin(self) -> None:
        """The client speaks first."""
        self._turn()

    def receive(self, datagram: bytes) -> list[bytes]:
        """What was sent to us in it; nothing for what cannot be read."""
        if self.is_over or not is_dtls(datagram):
            return []
        self._end.bio_write(datagram)
        # One record has one plaintext, and looking for another costs as much. Else all is read, lest something be left for the next datagram.
        is_one = self.is_established and records(datagram) == [datagram]
        return self._turn(1 if is_one else MOST_RECORDS)

    def send(self, plaintext: bytes) -> bool:
        """Whether it went into the outbox."""
        if not self.is_established or self.is_over or not 0 < len(plaintext) <= MOST_PLAINTEXT:
            return False
        try:
            self._end.send(plaintext)
        except SSL.Error as error:
            self._fail(error)
            return False
        self._flush()
        return not self.is_over

    def outbox(self) -> list[bytes]:
        found, self._outbox = self._outbox, []
        return found

    def wait_s(self) -> float | None:
        """Until `tick` is wanted; None if it is not."""
        return None if self.is_over or self._is_listening else self._end.DTLSv1_get_timeout()

    def tick(self) -> None:
        """Repeats a flight that was not answered in time."""
        wait_s = self.wait_s()
        if wait_s is not None and wait_s <= 0:
            try:
                self._end.DTLSv1_handle_timeout()
            except SSL.Error as error:
                self._fail(error)
            self._flush()

    def close(self) -> None:
        """Tells the other end, if there is one."""
        if self.is_established and not self.is_over:
            try:
                self._end.shutdown()
            except SSL.Error as error:
                self._fail(error)
            self._flush()
        self.is_over = True

    def believes(self, certificate: crypto.X509) -> bool:
        """Whether it is the one; called by OpenSSL for what the other end shows."""
        shown = certificate.to_cryptography()
        der, key = shown.public_bytes(serialization.Encoding.DER), shown.public_key()
        digest = hashlib.new(self._digest.value, der, usedforsecurity=False).digest()
        is_strong = not isinstance(key, RSAPublicKey) or key.key_size >= LEAST_BITS
        is_right = is_strong and hmac.compare_digest(digest, self._value)
        self._is_wrong = self._is_wrong or not is_right
        return is_right

    # Inside.

    def _turn(self, most: int = 0) -> list[bytes]:
        found: list[bytes] = []
        try:
            self._advance()
            while self.is_established and len(found) < most:
                found.append(self._end.recv(MOST_PLAINTEXT))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.is_over, self.why = True, "The peer has ended the session."
        except SSL.Error as error:
            self._fail(error)
        self._flush()
        return found

    def _advance(self) -> None:
        if self._is_listening:
            self._end.DTLSv1_listen()
            self._is_listening = False
        if not self.is_established:
            self._end.do_handshake()
            self.is_established = True

    def _flush(self) -> None:
        while True:
            try:
                found = records(self._end.bio_read(1 << 16))
            except SSL.WantReadError:
                return
            self._outbox += map(_as_first, found) if self._is_listening else found

    def _fail(self, error: SSL.Error) -> None:
        self.is_over = True
        self.why = (
            WRONG_CERTIFICATE
            if self._is_wrong
            else f"The peer and this node do not agree in DTLS ({_reason(error)})."
        )


def _verify(end: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _is_fine: int) -> bool:
    """Who signed it, and for how long, is of no matter: it is the one, or it is not."""
    session: DtlsSession = end.get_app_data()
    try:
        return depth == 0 and session.believes(certificate)
    except Exception:  # noqa: BLE001 - a border: what cannot be read is not believed
        return False


def _as_first(record: bytes) -> bytes:
    """A demand for the cookie. OpenSSL gives it the number of the hello, and begins with 1 after it whatever that was: a client whose first hello was lost
    would take what follows for a repetition."""
    return record[:5] + bytes(6) + record[11:]


def _reason(error: SSL.Error) -> str:
    """Of OpenSSL's words the last ones."""
    found = error.args[0] if error.args else ""
    if isinstance(found, list) and found:
        return str(found[-1][-1])
    return type(error).__name__
