import stat

import pytest

from wayhouse.api.client_transport import Trust
from wayhouse.base.errors import BadInputError
from wayhouse.cli.logins import Login, Logins

ANN = Login(user="ann", token="secret", fingerprint="ab")
BEN = Login(user="ben", token="other", insecure=True)


def test_the_last_login_is_the_current_one(tmp_path):
    logins = Logins(tmp_path / "new" / "logins.json")
    assert logins.current is None
    logins.save("http://a:1", ANN)
    logins.save("http://b:1", BEN)
    assert logins.current == "http://b:1"
    assert logins.find("http://a:1") == ANN
    assert logins.forget("http://b:1")
    assert logins.current == "http://a:1"
    assert not logins.forget("http://b:1")
    assert logins.forget("http://a:1")
    assert logins.current is None


def test_only_the_owner_can_read_it(tmp_path):
    path = tmp_path / "w" / "logins.json"
    path.parent.mkdir()
    path.write_text("{}")
    path.chmod(0o644)
    Logins(path).save("http://a:1", ANN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["logins.json"]


def test_where_it_is():
    assert str(Logins.of({"HOME": "/home/ann"})._path) == "/home/ann/.config/wayhouse/logins.json"
    assert str(Logins.of({"HOME": "/x", "XDG_CONFIG_HOME": "/c"})._path) == "/c/wayhouse/logins.json"


@pytest.mark.parametrize("text", ["{", "[]", '{"gateways": {"a": {}}}'])
def test_a_broken_file_says_what_to_do(tmp_path, text):
    (tmp_path / "logins.json").write_text(text)
    with pytest.raises(BadInputError, match="Remove it"):
        Logins(tmp_path / "logins.json").current  # noqa: B018


def test_secrets_are_not_shown():
    assert "secret" not in repr(ANN)
    assert (ANN.trust, BEN.trust) == (Trust("ab"), Trust(insecure=True))
