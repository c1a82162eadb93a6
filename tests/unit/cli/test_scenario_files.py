"""Scenarios as files: add, edit, export and import."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.parts.automation_gateway import house, tell
from wayhouse.automation import scenario_file, store_form
from wayhouse.automation.scenario import Conf, Scenario

__all__ = ["house", "tell"]

HELLO = Scenario(name="hello", conf=Conf(active=True), code="log('hi')\n")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hello.toml"
    path.write_text(scenario_file.write_toml(HELLO))
    return path


def test_add(tell, file):
    added = tell("scenario", "add", file)
    assert "scenario enable hello" in added.err
    assert tell("scenario", "show", "hello", "--json").json["view"]["is_active"] is False
    awake = tell("scenario", "add", file, "--replace", "--enable")
    assert awake.out == "hello is added and awake.\n"
    assert tell("scenario", "add", "-", "--replace", stdin=file.read_bytes()).code == 0
    assert tell("scenario", "add", "nothing.toml").code == 2
    assert tell("scenario", "add", "-", stdin=b"name = 1").code == 1


def test_edit(tell, file, tmp_path, monkeypatch):
    tell("scenario", "add", file)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/hi/hello/ "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    assert tell("scenario", "edit", "hello").out == "hello is changed.\n"
    assert "hello" in tell("scenario", "show", "hello", "--code").out
    editor.write_text("#!/bin/sh\ntrue\n")
    assert "Nothing was changed" in tell("scenario", "edit", "hello").err
    editor.write_text("#!/bin/sh\necho 'x = [' >> \"$1\"\n")
    refused = tell("scenario", "edit", "hello")
    assert refused.code == 2
    kept = refused.err.split("scenario add --replace ")[1].strip()
    assert "x = [" in Path(kept).read_text()
    Path(kept).unlink()


def test_export_and_import(tell, file, tmp_path):
    tell("scenario", "add", file, "--enable")
    out = tmp_path / "out.toml"
    assert tell("scenario", "export", "hello", out).out == f"hello is in {out}.\n"
    assert scenario_file.read(out.read_text()).conf.active is False
    whole = tell("scenario", "export", "hello", "--whole", "--form", "json")
    assert json.loads(whole.out)["conf"]["active"] is True
    store = tmp_path / "store.json"
    store.write_text(json.dumps({**store_form.write([HELLO]), "scenario.main.keys": '["hello", "ghost"]'}))
    refused = tell("scenario", "import", store)
    assert (refused.out, refused.code) == ("", 1)
    assert "hello is not: There is a scenario" in refused.err
    assert "ghost is not" in refused.err
    taken = tell("scenario", "import", store, out, "--replace", "--as-it-was")
    assert taken.out == "hello is added.\nhello is added.\n"
    assert tell("scenario", "import", out, "--replace", "--json").json_lines == [
        {"added": ["hello"], "refused": {}}
    ]
    assert tell("scenario", "export", "nobody").code == 1
    assert tell("scenario", "export", "hello", tmp_path / "no" / "where").code == 2
