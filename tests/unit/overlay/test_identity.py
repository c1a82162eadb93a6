import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.access.model import UnsafeFileError
from wayhouse.overlay import identity
from wayhouse.overlay.identity import Digest, Identity
from wayhouse.overlay.model import BadBindingError
from wayhouse.overlay.tincan import is_fingerprint

UID = "0123456789abcdef0123456789abcdef01234567"
SECRET = bytes(range(32))


def test_the_certificate_names_the_uid_and_signs_itself():
    own = Identity(SECRET, UID)
    found = x509.load_der_x509_certificate(own.certificate)
    assert found.subject.rfc4514_string() == f"CN={UID}"
    found.verify_directly_issued_by(found)
    assert identity.read_certificate(own.certificate).uid == UID


def test_the_same_secret_and_uid_make_the_same_identity():
    one, other = Identity(SECRET, UID), Identity(SECRET, UID)
    assert one.certificate == other.certificate
    assert one.tunnel_public_key == other.tunnel_public_key
    assert Identity(SECRET, "f" * 40).certificate != one.certificate
    assert Identity(SECRET, "f" * 40).tunnel_public_key == one.tunnel_public_key
    assert Identity(bytes(32), UID).tunnel_public_key != one.tunnel_public_key


def test_fingerprints_are_those_of_openssl():
    own = Identity(SECRET, UID)
    for digest, characters in ((Digest.SHA1, 59), (Digest.SHA256, 95)):
        text = own.fingerprint(digest)
        assert len(text) == digest.characters == characters
        assert is_fingerprint(text)
        assert bytes.fromhex(text.replace(":", "")) == hashlib.new(digest.value, own.certificate).digest()
        assert identity.digest_of(text) is digest


def test_signatures():
    own = Identity(SECRET, UID)
    certificate = identity.read_certificate(own.certificate)
    assert certificate.verify(own.sign(b"x"), b"x")
    assert not certificate.verify(own.sign(b"x"), b"y")
    assert not certificate.verify(b"", b"x")
    assert not identity.verify(b"short", bytes(64), b"x")


def test_it_is_kept_in_a_file_of_its_owner(tmp_path):
    folder = tmp_path / "node"
    first = identity.load_or_create(folder, UID)
    path = folder / identity.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert identity.load_or_create(folder, UID).certificate == first.certificate
    path.write_text("damaged")
    with pytest.raises(UnsafeFileError):
        identity.load_or_create(folder, UID)


def test_nothing_secret_is_shown():
    own = Identity(SECRET, UID)
    assert repr(own) == f"Identity({UID})"
    assert len(own.tunnel_private_key) == 32


@pytest.mark.parametrize(("secret", "uid"), [(b"short", UID), (SECRET, "x"), (SECRET, UID.upper())])
def test_it_is_made_of_the_right_things(secret, uid):
    with pytest.raises(ValueError, match="identity"):
        Identity(secret, uid)


def _other_certificate(common_names: list[str]) -> bytes:
    import datetime

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in common_names])
    now = datetime.datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
    )
    made = made.not_valid_before(now).not_valid_after(now.replace(year=2040))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("names", [[UID], [], [UID, UID]])
def test_certificates_of_others_are_refused(names):
    with pytest.raises(BadBindingError):
        identity.read_certificate(_other_certificate(names))


GOOD = Identity(SECRET, UID).certificate


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255))))
def test_no_bytes_raise_anything_else(data):
    if isinstance(data, tuple):
        data = GOOD[: data[0]] + bytes((data[1],)) + GOOD[data[0] + 1 :]
    try:
        assert len(identity.read_certificate(data).uid) == 40
    except BadBindingError as error:
        assert error.message  # noqa: PT017 - either way is right


def test_a_long_certificate_is_not_read():
    with pytest.raises(BadBindingError, match="too long"):
        identity.read_certificate(GOOD + bytes(2048))
