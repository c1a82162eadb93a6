import os
import stat
from pathlib import Path

import pytest

from wayhouse.cli import choice


@pytest.fixture(autouse=True)
def no_daemon_of_this_machine(monkeypatch):
    monkeypatch.setattr(choice, "local_sockets", lambda env: iter(()))


def _file():
    return Path(os.environ["HOME"]) / ".config/wayhouse/logins.json"


def _password(gateway):
    return gateway.password.encode() + b"\n"


def test_sign_in_work_and_sign_out(bare, gateway):
    result = bare("login", gateway.http, "--user", "paradrop", "--password-stdin", stdin=_password(gateway))
    assert result.code == 0
    assert result.out == f"Signed in to {gateway.http} as paradrop (admin).\n"
    assert stat.S_IMODE(_file().stat().st_mode) == 0o600
    assert gateway.password not in _file().read_text()
    assert bare("whoami", "--json").json == {
        "gateway": gateway.http,
        "name": "paradrop",
        "domain": "localhost",
        "role": "admin",
    }
    assert bare("logout").out == f"Signed out of {gateway.http}.\n"
    assert bare("whoami").code == 3
    assert bare("logout").code == 2


def test_a_wrong_password_is_4_and_saves_nothing(bare, gateway):
    result = bare("login", gateway.http, "--user", "nobody", "--password-stdin", stdin=b"wrong\n")
    assert result.code == 4
    assert "wrong" not in result.out
    assert not _file().exists()


def test_a_one_time_code(bare, gateway):
    link = bare("--data", gateway.base, "sign-in", "--json").json
    assert link["url"] == gateway.http + link["path"]
    code = link["path"].partition("code=")[2]
    assert bare("login", gateway.http, "--code", code).code == 0
    assert bare("login", gateway.http, "--code", code).code == 4


def test_a_token(bare, gateway, monkeypatch):
    made = bare("--data", gateway.base, "token", "add", "robot", "--json").json
    result = bare("login", gateway.http, "--with-token", "--json", stdin=made["token"].encode())
    assert result.json == {"gateway": gateway.http, "name": "paradrop", "role": "admin"}
    assert bare("chute", "ls").code == 0
    monkeypatch.setenv("WAYHOUSE_TOKEN", "wrong")
    assert bare("chute", "ls").code == 4


def test_a_token_in_the_environment_needs_no_login(bare, gateway, monkeypatch):
    made = bare("--data", gateway.base, "token", "add", "robot2", "--json").json
    monkeypatch.setenv("WAYHOUSE_TOKEN", made["token"])
    monkeypatch.setenv("WAYHOUSE_GATEWAY", gateway.http)
    assert bare("whoami").code == 0


def test_a_certificate_of_nobody_is_not_taken_unasked(bare, gateway):
    result = bare("login", gateway.https, "--password-stdin", stdin=_password(gateway))
    assert result.code == 2
    assert f"--fingerprint {gateway.fingerprint}" in result.err
    assert not _file().exists()


def test_the_pinned_certificate_is_remembered(bare, gateway):
    words = ("login", gateway.https, "--fingerprint", gateway.fingerprint, "--password-stdin")
    assert bare(*words, stdin=_password(gateway)).code == 0
    assert bare("whoami", "--json").json["gateway"] == gateway.https
    result = bare("whoami", "--fingerprint", "ab" * 32)
    assert result.code == 3
    assert "somebody may be listening" in result.err


def test_a_person_may_trust_a_certificate_once(bare, gateway, monkeypatch):
    asked = []

    def confirm(self, question, *, otherwise):
        asked.append(question)
        return True

    monkeypatch.setattr("wayhouse.cli.screen.Screen.confirm", confirm)
    result = bare("login", gateway.https, "--password-stdin", stdin=_password(gateway))
    assert result.code == 0
    assert gateway.fingerprint in result.err
    assert bare("whoami").code == 0
    assert len(asked) == 1


def test_whoever_does_not_trust_it_sends_nothing(bare, gateway, monkeypatch):
    monkeypatch.setattr("wayhouse.cli.screen.Screen.confirm", lambda *_, **__: False)
    assert bare("login", gateway.https, "--password-stdin", stdin=_password(gateway)).code == 1
    assert not _file().exists()


def test_insecure_is_remembered_too(bare, gateway):
    assert bare("login", gateway.https, "--insecure", "--password-stdin", stdin=_password(gateway)).code == 0
    assert bare("whoami").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("unix:/run/x.sock",),
        ("http://x/path",),
        ("http://127.0.0.1:1", "--password-stdin", "--with-token"),
        ("http://127.0.0.1:1", "--with-token"),
        ("http://127.0.0.1:1",),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(bare, words):
    result = bare("login", *words)
    assert result.code == 2
    assert result.err.count("\n") == 1


def test_nobody_there_is_3(bare, free_port):
    assert bare("login", f"http://127.0.0.1:{free_port}", "--password-stdin", stdin=b"x\n").code == 3
    assert bare("login", f"https://127.0.0.1:{free_port}", "--password-stdin", stdin=b"x\n").code == 3


def test_who_one_is(cli):
    assert "owner" in cli("whoami").out
    assert "/sign-in?code=" in cli("sign-in").out
