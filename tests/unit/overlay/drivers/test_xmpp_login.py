"""The sign-in: the best mechanism, the channel's data, and what a refusal means."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
import ssl
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.xmpp_login import SASL, Login, Refused, channel_binding, choose, end_point
from wayhouse.overlay.scram import ScramError

ACCOUNT = XmppAccount(jid="user@d", password="pencil")


def certificate(key: Any, algorithm: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "d")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


class Tls:
    """What a TLS connection says of itself."""

    def __init__(self, version: str, der: bytes = b"", unique: bytes | None = b"U") -> None:
        self._version, self._der, self._unique = version, der, unique

    def version(self) -> str:
        return self._version

    def getpeercert(self, _: bool) -> bytes:
        return self._der

    def get_channel_binding(self, _: str) -> bytes | None:
        return self._unique


def tls(*words: Any) -> ssl.SSLObject:
    return Tls(*words)  # type: ignore[return-value]


def test_the_best_is_chosen() -> None:
    offered = {"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256"}
    assert choose(offered, can_bind=True) == "SCRAM-SHA-1-PLUS"
    assert choose(offered, can_bind=False) == "SCRAM-SHA-256"
    for bad in (set(), {"PLAIN", "DIGEST-MD5", "EXTERNAL", "SCRAM-SHA-1-PLUS"}):
        with pytest.raises(Refused, match="no SCRAM"):
            choose(bad, can_bind=False)


def test_the_channel_is_bound_as_both_can() -> None:
    der = certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384())
    assert channel_binding(tls("TLSv1.2"), set()) == ("tls-unique", b"U")
    assert channel_binding(tls("TLSv1.2", der), {"tls-exporter"}) is None
    assert channel_binding(tls("TLSv1.3", der), set()) is None
    expected = ("tls-server-end-point", hashlib.sha384(der).digest())
    assert channel_binding(tls("TLSv1.3", der), {"tls-server-end-point"}) == expected
    assert channel_binding(tls("TLSv1.2", der, None), {"tls-unique", "tls-server-end-point"}) == expected
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None


def features(*mechanisms: str) -> ET.Element:
    root = ET.Element("features")
    for name in mechanisms:
        ET.SubElement(root, f"{{{SASL}}}mechanism").text = name
    return root


def element(name: str, content: bytes) -> ET.Element:
    one = ET.Element(f"{{{SASL}}}{name}")
    one.text = base64.b64encode(content).decode()
    return one


def test_a_conversation_shows_no_password_and_ends_with_a_proof() -> None:
    sent: list[str] = []
    login = Login(ACCOUNT, sent.append)
    login.begin(features("PLAIN", "SCRAM-SHA-256"), tls("TLSv1.3"))
    first = base64.b64decode(ET.fromstring(sent[0]).text or "")
    found = re.fullmatch(rb"y,,n=user,r=(.{32})", first)
    assert found is not None
    login.challenge(element("challenge", b"r=" + found[1] + b"X,s=QSXCR+Q6sek8bf92,i=4096"))
    assert b"p=" in base64.b64decode(ET.fromstring(sent[1]).text or "")
    assert "pencil" not in "".join(sent)
    with pytest.raises(ScramError, match="impostor"):
        login.success(element("success", b"v=AAAA"))


def test_nothing_is_believed_out_of_turn() -> None:
    login = Login(ACCOUNT, lambda _: None)
    for step in (login.challenge, login.success):
        with pytest.raises(ScramError):
            step(element("x", b"v=AAAA"))
    login.begin(features("SCRAM-SHA-1"), tls("TLSv1.3"))
    bad = ET.Element("challenge")
    bad.text = "***"
    with pytest.raises(ScramError):
        login.challenge(bad)


@pytest.mark.parametrize(
    ("condition", "is_final"),
    [
        ("not-authorized", True),
        ("account-disabled", True),
        ("temporary-auth-failure", False),
        ("x" * 999, False),
    ],
)
def test_what_a_refusal_means(condition: str, is_final: bool) -> None:
    failure = ET.Element(f"{{{SASL}}}failure")
    ET.SubElement(failure, f"{{{SASL}}}{condition}")
    refused = Login(ACCOUNT, lambda _: None).failure(failure)
    assert refused.is_final == is_final
    assert len(refused.reason) < 200
