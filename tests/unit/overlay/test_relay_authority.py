from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts.certificates import Authority
from wayhouse.overlay import relay_authority
from wayhouse.overlay.relay_authority import BadAuthorityError


@pytest.fixture
def pem(tmp_path: Path) -> str:
    return Authority(tmp_path / "ca.pem").certificate.read_text()


def test_one_or_several_are_trusted_besides_those_of_the_machine(pem: str, tmp_path: Path) -> None:
    both = f"Who signs:\n{pem}\nand\n{Authority(tmp_path / 'b.pem').certificate.read_text()}"
    relay_authority.check(both)
    first, second = relay_authority.fingerprints(both)
    assert (first,) == relay_authority.fingerprints(pem)
    assert first != second
    assert len(first) == 95
    assert relay_authority.fingerprints("") == ()
    usual = len(ssl.create_default_context().get_ca_certs())
    assert len(relay_authority.tls_context(both).get_ca_certs()) == usual + 2


def test_there_is_always_a_check(pem: str) -> None:
    for text in ("", pem):
        context = relay_authority.tls_context(text)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_what_is_none_is_refused(pem: str, tmp_path: Path) -> None:
    Authority(tmp_path / "c.pem").issue(tmp_path / "s.pem", tmp_path / "s.key", "x", ())
    key = (tmp_path / "s.key").read_text()
    for text, why in (
        ("nonsense", "no certificate"),
        ("/etc/ssl/ca.pem", "no certificate"),
        (pem + key, "private key"),
        (pem * 20, "longer than"),
        (pem.replace("M", "?"), "cannot be read"),
        (pem[:200], "cannot be read"),
        (pem.replace("BEGIN", "BEGIN\N{SNOWMAN}", 1), "no certificate"),
        (pem + "\N{SNOWMAN}", "no certificate"),
    ):
        with pytest.raises(BadAuthorityError, match=why) as caught:
            relay_authority.check(text)
        assert caught.value.fields["path"] == "relay_ca"


@given(st.text(max_size=200), st.integers(0, 300))
def test_anything_is_read_or_refused(text: str, place: int) -> None:
    for given_text in (text, f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----", text * place):
        with contextlib.suppress(BadAuthorityError):
            relay_authority.check(given_text)
            assert relay_authority.fingerprints(given_text)


def test_why_a_relay_cannot_be_reached() -> None:
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "unable to get local issuer certificate"
    told = relay_authority.explain(untrusted)
    assert "unable to get local issuer certificate" in told
    assert "--relay-ca FILE" in told
    assert relay_authority.explain(OSError("no route")) == "no route"
    assert relay_authority.explain(TimeoutError()) == "the relay cannot be reached"
