import socket
import ssl
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.api.client_errors import UnreachableError, UntrustedError
from wayhouse.api.client_transport import (
    Place,
    Trust,
    connect,
    fingerprint_of,
    read_fingerprint,
    show_fingerprint,
)
from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import BadInputError
from wayhouse.gateway import certificate
from wayhouse.gateway.settings import GatewaySettings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://gateway:8080", "http://gateway:8080"),
        ("https://gateway", "https://gateway:443"),
        ("http://gateway/", "http://gateway:80"),
        ("gateway", "http://gateway:8080"),
        ("10.0.0.1:9000", "http://10.0.0.1:9000"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("unix:/run/wayhouse/wayhouse.sock", "unix:/run/wayhouse/wayhouse.sock"),
        ("unix:///run/w.sock", "unix:/run/w.sock"),
    ],
)
def test_places_as_people_write_them(text, shown):
    assert str(Place.parse(text)) == shown
    assert Place.parse(shown) == Place.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://a b",
        "http://x/path",
        "http://x?q",
        "unix:",
        "http://[::1",
    ],
)
def test_what_is_no_place(text):
    with pytest.raises(BadInputError):
        Place.parse(text)


def test_secrets_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(BadInputError) as caught:
        Place.parse("http://ann:geheim@gateway")
    assert "geheim" not in str(caught.value)


@given(st.text())
def test_no_text_breaks_the_reading_of_places(text):
    try:
        place = Place.parse(text)
    except BadInputError:
        return
    assert "\n" not in place.host
    assert "\r" not in place.host


def test_fingerprints_as_people_write_them():
    digits = "ab" * 32
    assert read_fingerprint(show_fingerprint(digits)) == digits
    assert read_fingerprint("SHA256:" + digits.upper()) == digits
    for text in ("", "ab", "zz" * 32):
        with pytest.raises(BadInputError):
            read_fingerprint(text)


def test_a_socket_that_is_not_there(tmp_path):
    with pytest.raises(UnreachableError, match="wayhouse up"):
        connect(Place.at(tmp_path / "none.sock"), Trust(), wait_s=1)


def test_a_path_too_long_for_a_socket(tmp_path):
    with pytest.raises(UnreachableError):
        connect(Place.at(tmp_path / ("x" * 200)), Trust(), wait_s=1)


def test_a_port_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UnreachableError, match=str(port)):
        connect(Place("http", "127.0.0.1", port), Trust(), wait_s=1)


def test_a_host_that_nobody_knows():
    with pytest.raises(UnreachableError):
        connect(Place("http", "no-such-host.invalid", 80), Trust(), wait_s=1)


@pytest.fixture
def tls(tmp_path):
    """A TLS server with a certificate of its own; gives its place and the fingerprint."""
    cert, key = certificate.files(GatewaySettings(tls="self-made"), tmp_path, SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_handshakes, args=(listener, context), daemon=True).start()
    yield Place("https", "127.0.0.1", listener.getsockname()[1]), certificate.fingerprint(Path(cert))
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _handshakes(listener, context):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()


def test_a_certificate_of_nobody_is_not_trusted(tls):
    with pytest.raises(UntrustedError):
        connect(tls[0], Trust(), wait_s=5)


def test_the_fingerprint_is_the_one_that_the_gateway_prints(tls):
    place, printed = tls
    assert show_fingerprint(fingerprint_of(place)) == printed


def test_the_pinned_certificate_is_taken(tls):
    place, printed = tls
    connect(place, Trust(read_fingerprint(printed)), wait_s=5).close()


def test_another_certificate_than_the_pinned_one_is_not(tls):
    place, printed = tls
    with pytest.raises(UntrustedError, match=printed):
        connect(place, Trust("ab" * 32), wait_s=5)


def test_anything_goes_if_somebody_says_so(tls):
    connect(tls[0], Trust(insecure=True), wait_s=5).close()


def test_tls_where_there_is_none():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UnreachableError):
            connect(Place("https", "127.0.0.1", listener.getsockname()[1]), Trust(), wait_s=5)
        thread.join()
