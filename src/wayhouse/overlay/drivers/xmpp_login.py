"""Signs a client in with SCRAM, and with nothing else: the password never leaves, not even inside TLS.

Used by `xmpp_client.py` in place of slixmpp's own sign-in, which computes as long as the server says, on the event loop, with a nonce that can be
foreseen. Bound to the channel (`-PLUS`) by tls-unique with TLS 1.2, or by tls-server-end-point where the server offers that (XEP-0440).
"""

from __future__ import annotations

import base64
import binascii
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable

from wayhouse.base.ids import token_urlsafe
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.scram import HASHES, Scram, ScramError

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BINDINGS = "urn:xmpp:sasl-cb:0"
_FINAL = {
    "not-authorized": "The server refuses the name or the password.",
    "account-disabled": "The account is disabled.",
    "credentials-expired": "The password has expired.",
    "invalid-authzid": "The server refuses the name.",
}


class Refused(Exception):  # noqa: N818 - it is what happened
    """`is_final`: the same name and password will be refused again."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class Login:
    """One conversation; `send` takes the text of an element. Its verbs raise `Refused`."""

    def __init__(self, account: XmppAccount, send: Callable[[str], None]) -> None:
        self._account = account
        self._send = send
        self._scram: Scram | None = None

    def begin(self, features: ET.Element, tls: ssl.SSLObject) -> None:
        offered = {one.text or "" for one in features.iter(f"{{{SASL}}}mechanism")}
        kinds = {one.get("type", "") for one in features.iter(f"{{{BINDINGS}}}channel-binding")}
        binding = channel_binding(tls, kinds)
        mechanism = choose(offered, can_bind=binding is not None)
        is_bound = mechanism.endswith("-PLUS")
        self._scram = Scram(
            mechanism,
            self._account.jid.partition("@")[0],
            self._account.password,
            token_urlsafe(192),
            binding=binding if is_bound else None,
            could_bind=not any(one.endswith("-PLUS") for one in offered),
        )
        first = base64.b64encode(self._scram.first()).decode()
        self._send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>")

    def challenge(self, element: ET.Element) -> None:
        answer = base64.b64encode(self._attempt().answer(_content(element))).decode()
        self._send(f"<response xmlns='{SASL}'>{answer}</response>")

    def success(self, element: ET.Element) -> None:
        """Returns if the server has proved itself."""
        self._attempt().verify(_content(element))
        self._scram = None

    def failure(self, element: ET.Element) -> Refused:
        names = [child.tag.rpartition("}")[2] for child in element]
        final = next((_FINAL[name] for name in names if name in _FINAL), None)
        if final:
            return Refused(final, is_final=True)
        return Refused(f"The server does not let us in now: {(names or ['no reason given'])[0][:60]}.")

    def _attempt(self) -> Scram:
        if self._scram is None:
            raise ScramError("The server does not keep to SASL.")
        return self._scram


def choose(offered: set[str], *, can_bind: bool) -> str:
    """The best of the offered mechanisms. Raises `Refused`."""
    names = [f"{name}-PLUS" for name in HASHES] if can_bind else []
    for name in (*names, *HASHES):
        if name in offered:
            return name
    raise Refused("The server offers no SCRAM: every other way to sign in would show it the password.")


def channel_binding(tls: ssl.SSLObject, kinds: set[str]) -> tuple[str, bytes] | None:
    """What ties the sign-in to this very channel; `kinds` are those that the server knows, if it says (XEP-0440)."""
    if tls.version() == "TLSv1.2" and (not kinds or "tls-unique" in kinds):
        unique = tls.get_channel_binding("tls-unique")
        if unique:
            return "tls-unique", unique
    certificate = tls.getpeercert(True)
    point = end_point(certificate) if certificate and "tls-server-end-point" in kinds else None
    return ("tls-server-end-point", point) if point else None


def end_point(certificate: bytes) -> bytes | None:
    """RFC 5929 section 4.1: the certificate's hash, by the hash it was signed with, SHA-256 at least."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if algorithm is None:
        return None
    digest = hashes.Hash(hashes.SHA256() if algorithm.name in {"md5", "sha1"} else algorithm)
    digest.update(certificate)
    return digest.finalize()


def _content(element: ET.Element) -> bytes:
    text = (element.text or "").strip()
    try:
        return b"" if text == "=" else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ScramError("The server does not keep to SASL.") from error
