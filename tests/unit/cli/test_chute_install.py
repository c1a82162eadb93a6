import io
import tarfile

import pytest

SPEC = b"name: other\nservices: {main: {type: image, image: nginx}}\n"


@pytest.fixture
def removed(cli):
    """Names of apps to remove at the end."""
    names = []
    yield names
    for name in names:
        cli("chute", "rm", name, "--yes")


def _tar(text=SPEC, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        info = tarfile.TarInfo("./paradrop.yaml")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def test_a_folder_ends_with_its_address(cli, folder, removed):
    removed.append("hello")
    result = cli("chute", "install", folder(port=8000))
    assert result.code == 0
    assert result.out.startswith("hello is installed: http://127.0.0.1:")
    assert "Pulling image nginx" in result.err
    assert "Done in" in result.err


def test_json_is_one_document(cli, folder, removed):
    removed.append("hello")
    result = cli("chute", "install", folder(), "--json")
    assert result.err == ""
    assert result.json["chute"]["name"] == "hello"
    assert result.json["change"]["state"] == "succeeded"
    assert result.json["url"] is None


def test_name_and_env_are_laid_over_the_specification(cli, folder, removed):
    removed.append("mine")
    assert cli("chute", "install", folder(), "--name", "mine", "--env", "SHAPE=a=b").code == 0
    assert cli("chute", "show", "mine", "--json").json["environment"] == {"COLOUR": "red", "SHAPE": "a=b"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archives(cli, tmp_path, removed, mode):
    removed.append("other")
    (tmp_path / "app.tar").write_bytes(_tar(mode=mode))
    assert cli("chute", "install", tmp_path / "app.tar").code == 0
    assert cli("chute", "update", tmp_path / "app.tar", "--env", "A=b").code == 0
    assert cli("chute", "show", "other", "--json").json["environment"] == {"A": "b"}


def test_zstd(cli, tmp_path, removed):
    import zstandard

    removed.append("other")
    (tmp_path / "app.tar.zst").write_bytes(zstandard.compress(_tar()))
    assert cli("chute", "install", tmp_path / "app.tar.zst").code == 0
    assert cli("chute", "update", tmp_path / "app.tar.zst", "--env", "A=b").code == 0


def test_standard_input(cli, removed):
    removed.append("other")
    assert cli("chute", "install", "-", stdin=_tar()).code == 0
    result = cli("chute", "update", "-", stdin=_tar())
    assert result.code == 2
    assert "--name" in result.err
    assert cli("chute", "update", "-", "--name", "other", stdin=_tar()).code == 0


def test_an_address_is_fetched_by_the_gateway(cli):
    result = cli("chute", "install", "http://127.0.0.1:1/some/app.git")
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("wayhouse: ")
    assert cli("change", "history", "--limit", 1, "--json").json[0]["name"] == "app"
    assert cli("chute", "update", "http://127.0.0.1:1/some/app.git", "--env", "A=b").code == 1


def test_a_failed_build_gives_the_reason_and_1(cli, folder, gateway):
    gateway.engine.fail_next("create", "There is no such image.")
    result = cli("chute", "install", folder())
    assert result.code == 1
    assert result.err.splitlines()[-1] == "wayhouse: There is no such image."
    assert result.out == ""


def test_twice_is_refused(cli, app, folder):
    app()
    result = cli("chute", "install", folder())
    assert result.code == 1
    assert "already exists" in result.err


def test_update_says_so(cli, app, folder):
    app()
    assert cli("chute", "update", folder()).out == "hello is updated.\n"


def test_no_wait(cli, folder, removed):
    removed.append("hello")
    result = cli("chute", "install", folder(), "--no-wait", "--json")
    assert cli("change", "watch", result.json["change_id"]).code == 0


@pytest.mark.parametrize("words", [("no-such-folder",), (".git/x",), ("-",)])
def test_what_cannot_be_sent_is_wrong_usage(cli, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("chute", "install", *words)
    assert result.code in {1, 2}
    assert result.err.count("\n") == 1


def test_a_folder_without_a_specification(cli, tmp_path):
    result = cli("chute", "install", tmp_path)
    assert result.code == 2
    assert "paradrop.yaml" in result.err


def test_the_gateway_judges_the_specification(cli, folder):
    path = folder()
    (path / "paradrop.yaml").write_text("name: hello\nservices: {main: {type: nonsense}}\n")
    result = cli("chute", "install", path)
    assert result.code == 1
    assert "services.main.type" in result.err
