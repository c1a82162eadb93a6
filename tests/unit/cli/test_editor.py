"""An editor that changes, leaves, breaks or is not there: what was typed is never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.cli.editor import edit


@pytest.fixture
def change(tmp_path):
    """Runs an editor that is a shell script."""

    def run(script, apply=lambda _: None):
        editor = tmp_path / "editor"
        editor.write_text(f"#!/bin/sh\n{script}\n")
        editor.chmod(0o755)
        env = {"EDITOR": str(editor)}
        return edit("before\n", apply, env, prefix="a/b c", suffix=".toml", again="wayhouse take")

    return run


def test_changed_and_not(change):
    texts = []
    assert change('echo after > "$1"', texts.append)
    assert texts == ["after\n"]
    assert not change("true", texts.append)
    assert texts == ["after\n"]


def test_a_fault_keeps_the_text(change):
    def refuse(_):
        raise BadInputError("No.")

    with pytest.raises(BadInputError) as caught:
        change('echo after > "$1"', refuse)
    path = caught.value.message.rpartition("wayhouse take ")[2]
    assert Path(path).read_text() == "after\n"
    Path(path).unlink()


def test_editors_that_do_not_work(change):
    with pytest.raises(BadInputError, match="failed"):
        change("exit 1")
    with pytest.raises(BadInputError, match="no editor"):
        edit("x", lambda _: None, {"EDITOR": "/no/such/editor"}, prefix="a", suffix="", again="x")
