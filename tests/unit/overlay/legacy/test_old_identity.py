import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wayhouse.access.model import UnsafeFileError
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy import old_identity, peer_key
from wayhouse.overlay.legacy.dtls import Credentials

UID = "12" * 20


def test_the_same_key_and_uid_make_the_same_certificate(tmp_path):
    one, again = (old_identity.load_or_create(tmp_path, UID) for _ in range(2))
    other = old_identity.load_or_create(tmp_path, "34" * 20)
    assert one.certificate == again.certificate != other.certificate
    assert stat.S_IMODE((tmp_path / old_identity.FILE).stat().st_mode) == 0o600
    assert len(one.fingerprint()) == 59
    assert peer_key.decode(one.tunnel_public_key).digest is Digest.SHA1
    assert repr(one) == f"Identity({UID})"


def test_openssl_of_2013_could_read_it(tmp_path):
    made = old_identity.load_or_create(tmp_path, UID)
    certificate = x509.load_der_x509_certificate(made.certificate)
    assert certificate.subject.rfc4514_string() == f"CN={UID}"
    assert certificate.public_key().key_size == 2048
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    certificate.verify_directly_issued_by(certificate)
    assert Credentials(made.tunnel_private_key).uid == UID


@pytest.mark.parametrize("content", ["", "short", "A" * 1600, "*" * 1600])
def test_a_damaged_file_is_not_used(tmp_path, content):
    (tmp_path / old_identity.FILE).write_text(content)
    with pytest.raises(UnsafeFileError, match="Move it away"):
        old_identity.load_or_create(tmp_path, UID)


def test_other_keys_are_none():
    der = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError):
        old_identity.OldIdentity(der, UID)
