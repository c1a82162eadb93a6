import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from tests.parts.old_ends import LARGE, SMALL, credentials, digest, exchange, identity, session
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy import dtls, old_identity
from wayhouse.overlay.legacy.dtls import Credentials, DtlsSession


def joined() -> tuple[DtlsSession, DtlsSession]:
    client, server = session(SMALL, LARGE), session(LARGE, SMALL)
    client.begin()
    exchange(client, server)
    return client, server


def test_a_handshake_and_data_both_ways():
    client, server = session(SMALL, LARGE), session(LARGE, SMALL)
    assert not client.send(b"too early")
    client.begin()
    told = exchange(client, server)
    assert client.is_established
    assert server.is_established
    assert client.version.startswith("DTLSv1.2 ECDHE-RSA-AES")
    assert max(map(len, told)) <= dtls.MTU
    assert client.send(b"a frame" * 100)
    (datagram,) = client.outbox()
    assert b"frame" not in datagram
    assert server.receive(datagram) == [b"a frame" * 100]
    assert server.receive(datagram) == [], "once only"
    assert server.send(b"back")
    assert client.receive(server.outbox()[0]) == [b"back"]
    assert client.wait_s() is None


def test_the_server_makes_nothing_before_the_cookie_came_back():
    client, server = session(SMALL, LARGE), session(LARGE, SMALL)
    client.begin()
    (hello,) = client.outbox()
    assert dtls.is_client_hello(hello)
    for _ in range(3):
        server.receive(hello)
        (answer,) = server.outbox()
        assert answer[13] == 3, "HelloVerifyRequest"
        assert not server.is_busy
    client.receive(answer)
    (again,) = client.outbox()
    other = session(LARGE, SMALL)
    other.receive(again)
    assert not other.is_busy, "a cookie is good for one connection"
    server.receive(again)
    assert server.is_busy


@pytest.mark.parametrize("liar", ["client", "server"])
def test_who_has_another_certificate_is_refused(liar):
    wrong = digest("3" * 40)
    client = session(SMALL, LARGE, believed=wrong if liar == "server" else None)
    server = session(LARGE, SMALL, believed=wrong if liar == "client" else None)
    client.begin()
    exchange(client, server)
    refusing, refused = (server, client) if liar == "client" else (client, server)
    assert (refusing.is_over, refusing.is_established, refusing.why) == (True, False, dtls.WRONG_CERTIFICATE)
    assert not refusing.send(b"x")
    assert not refused.send(b"x") or not refusing.receive(b"".join(refused.outbox()))


def test_a_short_key_is_refused_even_if_its_fingerprint_was_told():
    key = generate_private_key(65537, 1024).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    old = old_identity.OldIdentity(key, LARGE)
    value = bytes.fromhex(old.fingerprint().replace(":", ""))
    for least, is_fine in ((dtls.LEAST_BITS, True), (2048, False)):
        before, dtls.LEAST_BITS = dtls.LEAST_BITS, least
        try:
            client = session(SMALL, LARGE, believed=value)
            server = DtlsSession(
                Credentials(old.tunnel_private_key), Digest.SHA1, digest(SMALL), is_server=True
            )
            client.begin()
            exchange(client, server)
            assert client.is_established is is_fine
        finally:
            dtls.LEAST_BITS = before


def test_sha_256_fingerprints_too():
    client = DtlsSession(credentials(SMALL), Digest.SHA256, digest(LARGE, Digest.SHA256), is_server=False)
    server = session(LARGE, SMALL)
    client.begin()
    exchange(client, server)
    assert client.is_established


def test_an_end_that_knows_dtls_1_0_alone():
    old = Credentials(identity(SMALL).tunnel_private_key)
    old.context.set_max_proto_version(dtls.DTLS_1_0)
    client = DtlsSession(old, Digest.SHA1, digest(LARGE), is_server=False)
    server = session(LARGE, SMALL)
    client.begin()
    exchange(client, server)
    assert server.version.startswith("DTLSv1 ")
    client.send(b"x" * 1334)
    (datagram,) = client.outbox()
    assert len(datagram) < 1450, "fits into a datagram that is not cut"
    assert server.receive(datagram) == [b"x" * 1334]


@pytest.mark.parametrize("cipher", [b"NULL-SHA256", b"ADH-AES128-SHA", b"AES128-SHA256"])
def test_other_ciphers_than_those_are_not_taken(cipher):
    weak = Credentials(identity(SMALL).tunnel_private_key)
    weak.context.set_cipher_list(cipher + b":@SECLEVEL=0")
    client = DtlsSession(weak, Digest.SHA1, digest(LARGE), is_server=False)
    server = session(LARGE, SMALL)
    client.begin()
    exchange(client, server)
    assert not server.is_established
    assert server.is_over
    assert "do not agree" in server.why


def test_a_flight_that_is_lost_is_sent_again():
    client, server = session(SMALL, LARGE), session(LARGE, SMALL)
    client.begin()
    exchange(
        client,
        server,
        keep=lambda datagram: datagram[13] != 11,
    )  # certificates
    assert not client.is_established
    client.tick()
    assert client.outbox() == [], "not yet"
    while client.wait_s() > 0 or server.wait_s() > 0:
        time.sleep(max(client.wait_s(), server.wait_s()))
    client.tick()
    server.tick()
    exchange(client, server)
    assert server.is_established


def test_a_hello_that_is_lost_is_sent_again():
    client, server = session(SMALL, LARGE), session(LARGE, SMALL)
    client.begin()
    client.outbox()
    while client.wait_s() > 0:
        time.sleep(client.wait_s())
    client.tick()
    exchange(client, server)
    assert server.is_established, "without another pause"


def test_the_end_of_a_session_is_told():
    client, server = joined()
    server.close()
    assert client.receive(server.outbox()[0]) == []
    assert client.is_over
    assert "ended" in client.why
    assert not client.send(b"x")
    assert client.receive(b"\x17" * 40) == []
    assert not server.send(b"x")


def test_no_second_handshake_inside_a_session():
    client, server = joined()
    with pytest.raises(SSL.Error):
        client._end.renegotiate()
    exchange(client, server)
    assert not server.is_over


@pytest.fixture(scope="module")
def ends():
    return joined()


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([20, 21, 22, 23, 24, 25, 63]), st.booleans(), st.integers(0, 2)
)
def test_nothing_that_comes_harms_a_session(ends, data, kind, is_shaped, number):
    client, server = ends
    shaped = (
        bytes((kind,)) + b"\xfe\xfd" + number.to_bytes(2, "big") + bytes(6) + len(data).to_bytes(2, "big")
    )
    client.receive(shaped + data if is_shaped else data)
    assert client.send(b"still there")
    assert [one for sent in client.outbox() for one in server.receive(sent)] == [b"still there"]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([20, 21, 22, 23, 64]), st.booleans())
def test_nothing_that_comes_raises_in_a_handshake(data, kind, is_shaped):
    for end in (session(SMALL, LARGE), session(LARGE, SMALL)):
        if not end.is_server:
            end.begin()
        head = bytes((kind,)) + b"\xfe\xff" + bytes(8) + len(data).to_bytes(2, "big")
        assert end.receive(head + data if is_shaped else data) == []
        assert not end.is_established
        end.tick()
        end.outbox()


def test_a_hello_that_was_changed_is_no_harm():
    client = session(SMALL, LARGE)
    client.begin()
    (hello,) = client.outbox()
    for place in range(0, len(hello), 3):
        server = session(LARGE, SMALL)
        server.receive(hello[:place] + bytes((hello[place] ^ 0xFF,)) + hello[place + 1 :])
        server.receive(hello[:place])
        assert not server.is_busy


def test_words_about_datagrams():
    assert not dtls.is_dtls(b"")
    assert not dtls.is_dtls(b"\x00\x01")
    assert dtls.is_dtls(b"\x16")
    assert not dtls.is_client_hello(b"\x16\xfe\xff")
    assert dtls.records(b"\x16") == []
    one = b"\x16\xfe\xff" + bytes(8) + b"\x00\x02ab"
    assert dtls.records(one + one) == [one, one]


def test_keys_that_are_none():
    der = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = identity(SMALL).tunnel_private_key
    for wrong in (b"", b"no PEM", der + pem[pem.index(b"-----BEGIN CERT") :]):
        with pytest.raises(ValueError):
            Credentials(wrong)
    assert repr(credentials(SMALL)) == "Credentials()"
    assert credentials(SMALL).uid == SMALL
