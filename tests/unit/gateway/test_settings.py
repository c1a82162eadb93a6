import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.base.settings import Paths
from wayhouse.gateway import settings
from wayhouse.gateway.settings import Settings


@pytest.fixture
def paths(tmp_path):
    found = Paths.under(tmp_path)
    found.config.mkdir()
    return found


def test_without_a_file_the_defaults_hold(paths):
    assert settings.load(paths, {}) == Settings()


def test_the_file_then_the_environment(paths, tmp_path):
    (paths.config / "wayhouse.toml").write_text('[gateway]\nlisten = "0.0.0.0:80"\ntls = "self-made"\n')
    tree = settings.load(paths, {"WAYHOUSE_GATEWAY_LISTEN": ":9000"})
    assert (tree.gateway.listen, tree.gateway.tls) == (":9000", "self-made")
    other = tmp_path / "other.toml"
    other.write_text("[api]\nmax_body_bytes = 10\n")
    assert settings.load(paths, {}, file=other).api.max_body_bytes == 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gateway]\nlisen = 1", "gateway"), ("[gateway]\nlisten = 1", "gateway.listen"), ("[nothing]\n", "nothing"),
        ('[gateway]\ntls = "on"', "gateway.tls"), ("[chutes]\nfirst_port = 'x'", "chutes.first_port"), ("nonsense", "TOML"),
        ('[web]\ndomains = "x"', "web.domains"), ("[access]\nlogin_attempts = 0", "access.login_attempts"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_place(paths, text, told):
    (paths.config / "wayhouse.toml").write_text(text)
    with pytest.raises(BadInputError, match=told):
        settings.load(paths, {})


def test_the_password_is_no_setting(paths):
    settings.load(paths, {"WAYHOUSE_ADMIN_PASSWORD": "x", "WAYHOUSE_DATA": "/x"})
    with pytest.raises(BadInputError, match="WAYHOUSE_ACCESS_PASSWORD"):
        settings.load(paths, {"WAYHOUSE_ACCESS_PASSWORD": "x"})


def test_paradrops_names_are_shown_beside_ours(paths):
    shown = settings.legacy(Settings(), paths)
    assert shown["portal_server_port"] == 8080
    assert shown["external_data_dir"].endswith("/chute-data/{chute}")
    assert settings.plain(Settings())["gateway"]["listen"] == "127.0.0.1:8080"
