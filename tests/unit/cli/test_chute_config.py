import sys
from pathlib import Path

import pytest
import yaml

from wayhouse.cli.chute_config import read_fields


def _environment(cli):
    return cli("chute", "config", "hello", "--json").json["environment"]


def test_it_is_shown_as_yaml(cli, app):
    app()
    told = yaml.safe_load(cli("chute", "config", "hello").out)
    assert told["name"] == "hello"
    assert told == cli("chute", "config", "hello", "--json").json


def test_set_keeps_the_rest(cli, app):
    app()
    result = cli(
        "chute", "config", "hello", "--set", "environment.SHAPE=round", "--set", "description=Nice one"
    )
    assert result.out == "hello runs with its new specification.\n"
    assert _environment(cli) == {"COLOUR": "red", "SHAPE": "round"}
    assert cli("chute", "show", "hello", "--json").json["description"] == "Nice one"


def test_set_reaches_into_services(cli, app):
    app()
    assert cli("chute", "config", "hello", "--set", "services.main.environment.A=1").code == 0
    document = cli("chute", "config", "hello", "--json").json
    assert document["services"]["main"]["environment"] == {"A": "1"}
    assert document["services"]["main"]["image"] == "nginx"


def test_fields_from_a_file_or_standard_input(cli, app, tmp_path):
    app()
    (tmp_path / "fields.yaml").write_text("environment: {ONE: 1}\n")
    assert cli("chute", "config", "hello", "--file", tmp_path / "fields.yaml").code == 0
    assert _environment(cli) == {"ONE": "1"}
    assert cli("chute", "config", "hello", "--file", "-", "--json", stdin=b'{"environment": {}}').code == 0
    assert _environment(cli) == {}


def _editor(monkeypatch, tmp_path, script):
    program = tmp_path / "editor.py"
    program.write_text(f"import sys\npath = sys.argv[1]\n{script}\n")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {program}")


def test_edit(cli, app, tmp_path, monkeypatch):
    app()
    _editor(monkeypatch, tmp_path, "t = open(path).read().replace('red', 'blue'); open(path, 'w').write(t)")
    assert cli("chute", "config", "hello", "--edit").code == 0
    assert _environment(cli) == {"COLOUR": "blue"}


def test_an_edit_that_changes_nothing(cli, app, tmp_path, monkeypatch):
    app()
    _editor(monkeypatch, tmp_path, "pass")
    result = cli("chute", "config", "hello", "--edit")
    assert (result.code, result.err) == (0, "Nothing was changed.\n")


@pytest.mark.parametrize("text", ["{", "services: 7", "environment: []"])
def test_what_was_typed_is_kept_after_a_fault(cli, app, tmp_path, monkeypatch, text):
    app()
    _editor(monkeypatch, tmp_path, f"open(path, 'w').write({text!r})")
    result = cli("chute", "config", "hello", "--edit")
    assert result.code in {1, 2}
    kept = Path(result.err.split("--file ")[1].strip())
    assert kept.read_text() == text
    kept.unlink()


def test_an_editor_that_fails_changes_nothing(cli, app, monkeypatch):
    app()
    for editor in ("false", "no-such-editor-at-all"):
        monkeypatch.setenv("VISUAL", editor)
        result = cli("chute", "config", "hello", "--edit")
        assert result.code == 2
        assert "editor" in result.err


def test_one_way_at_a_time(cli):
    assert cli("chute", "config", "hello", "--edit", "--set", "a=b").code == 2


def test_a_file_must_hold_a_mapping(tmp_path):
    from wayhouse.base.errors import BadInputError

    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    for name in ("list.yaml", "binary", "missing"):
        with pytest.raises(BadInputError):
            read_fields(str(tmp_path / name))
