import ssl
import stat

import pytest

from wayhouse.base.clock import ManualClock, SystemClock
from wayhouse.base.errors import BadInputError
from wayhouse.gateway import certificate
from wayhouse.gateway.settings import GatewaySettings

SELF_MADE = GatewaySettings(tls="self-made")


def fits(pair):
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*pair)


def test_off_is_none(tmp_path):
    assert certificate.files(GatewaySettings(), tmp_path, SystemClock()) is None


def test_one_is_made_once_and_kept(tmp_path):
    pair = certificate.files(SELF_MADE, tmp_path / "keys", SystemClock())
    fits(pair)
    assert stat.S_IMODE(pair[1].stat().st_mode) == 0o600
    before = certificate.fingerprint(pair[0])
    assert len(before.split(":")) == 32
    assert certificate.files(SELF_MADE, tmp_path / "keys", SystemClock()) == pair
    assert certificate.fingerprint(pair[0]) == before


def test_it_is_made_anew_before_it_ends(tmp_path):
    clock = ManualClock(SystemClock().wall())
    first = certificate.fingerprint(certificate.files(SELF_MADE, tmp_path, clock)[0])
    clock.advance(700 * 86400)
    assert certificate.fingerprint(certificate.files(SELF_MADE, tmp_path, clock)[0]) == first
    clock.advance(100 * 86400)
    assert certificate.fingerprint(certificate.files(SELF_MADE, tmp_path, clock)[0]) != first


@pytest.mark.parametrize("damage", ["certificate", "key", "other"])
def test_what_is_damaged_is_made_anew(tmp_path, damage):
    pair = certificate.files(SELF_MADE, tmp_path / "a", SystemClock())
    if damage == "other":  # a crash between the two files
        other = certificate.files(SELF_MADE, tmp_path / "b", SystemClock())
        pair[1].write_bytes(other[1].read_bytes())
    else:
        pair[damage == "key"].write_text("damaged")
    fits(certificate.files(SELF_MADE, tmp_path / "a", SystemClock()))


def test_what_is_given_must_be_there(tmp_path):
    with pytest.raises(BadInputError, match=r"gateway\.tls_certificate"):
        certificate.files(GatewaySettings(tls="given"), tmp_path, SystemClock())
    missing = GatewaySettings(tls="given", tls_certificate=str(tmp_path / "no"), tls_key=str(tmp_path / "no"))
    with pytest.raises(BadInputError, match="cannot be read"):
        certificate.files(missing, tmp_path, SystemClock())
    pair = certificate.files(SELF_MADE, tmp_path, SystemClock())
    given = GatewaySettings(tls="given", tls_certificate=str(pair[0]), tls_key=str(pair[1]))
    assert certificate.files(given, tmp_path / "unused", SystemClock()) == pair
