from pathlib import Path
from types import SimpleNamespace

import pytest

from wayhouse.access.model import FirstBoot
from wayhouse.base.clock import SystemClock
from wayhouse.chutes.ports import EngineInfo
from wayhouse.gateway import certificate
from wayhouse.gateway.firstboot import banner
from wayhouse.gateway.settings import GatewaySettings

GATEWAY = SimpleNamespace(
    engine_info=EngineInfo(name="docker", version="27", limits=("No memory limits here.",))
)


def said(first=None, *, host="127.0.0.1", tls=None, data=None):
    return banner(
        first, GATEWAY, host=host, port=8080, tls=tls, bus="tcp://127.0.0.1:5514", options_data=data
    )


def test_the_first_time_it_says_how_to_get_in():
    text = said(FirstBoot("paradrop", "abcd-efgh", "code1"))
    assert "http://127.0.0.1:8080/sign-in?code=code1" in text
    assert "user paradrop, password abcd-efgh" in text


def test_a_password_that_was_given_is_not_repeated():
    assert "as given in WAYHOUSE_ADMIN_PASSWORD" in said(FirstBoot("paradrop", None, "code1"))


def test_later_it_holds_no_secret():
    text = said()
    assert "password" not in text
    assert "code=" not in text
    assert "docker (27)" in text
    assert "note: No memory limits here." in text
    assert "tcp://127.0.0.1:5514" in text


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("fd00::1", "http://[fd00::1]:8080"),
        ("gw", "http://gw:8080"),
    ],
)
def test_the_address_can_be_opened(host, url):
    assert f"ready: {url}\n" in said(host=host)


def test_with_tls_it_shows_the_fingerprint(tmp_path):
    pair = certificate.files(GatewaySettings(tls="self-made"), tmp_path, SystemClock())
    text = said(tls=pair)
    assert "https://127.0.0.1:8080" in text
    assert certificate.fingerprint(pair[0]) in text


def test_the_command_to_try_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--data 'my data' chute install hello" in said(data=Path("my data"))
    (tmp_path / "examples" / "hello").mkdir(parents=True)
    assert "chute install examples/hello" in said()
