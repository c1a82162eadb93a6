"""How a server is recognised, and what people are told when it is not."""

from __future__ import annotations

import hashlib
import socket
import ssl

import pytest

from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.xmpp_tls import explain, make_context, pin_of, refusal

PLAIN = XmppAccount(jid="a@b", password="p")
PINNED = XmppAccount(jid="a@b", password="p", pin=hashlib.sha256(b"der").hexdigest())


def test_a_certificate_is_always_checked() -> None:
    context = make_context(PLAIN)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not refusal(PLAIN, b"any: the context has checked it")
    with pytest.raises(OSError, match="No such file"):
        make_context(XmppAccount(jid="a@b", password="p", ca_file="/nowhere/ca.pem"))


def test_a_pin_is_one_certificate() -> None:
    assert make_context(PINNED).verify_mode is ssl.CERT_NONE
    assert not refusal(PINNED, b"der")
    for other in (b"other", b"", None):
        assert "another certificate than the pinned one" in refusal(PINNED, other)
    assert pin_of(b"der") == PINNED.pin


def test_people_are_told_what_to_do() -> None:
    untrusted = ssl.SSLCertVerificationError(1, "x")
    untrusted.verify_message = "self-signed certificate"
    assert "CA file" in explain(untrusted)
    assert "TLS" in explain(ssl.SSLError(1, "x"))
    assert "DNS" in explain(socket.gaierror(-2, "unknown"))
    assert "Connection refused" in explain(ConnectionRefusedError(111, "Connection refused"))
    assert "lost" in explain(None)
