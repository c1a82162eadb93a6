"""The compiled mover is built where it can be, and used only when it is the right one and works."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.mover import built, environment
from wayhouse.bus.drivers import frames_compiled
from wayhouse.bus.drivers.frames_compiled import FILE, NAME, SWITCH, BuildError, build, load, main

USED = "from wayhouse.bus.drivers import frames; print(frames.IS_COMPILED, frames.receive_many)"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Its methods, with no mover of the environment in the way."""
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    importlib.invalidate_caches()
    return monkeypatch


@pytest.mark.parametrize(("kind", "used"), [("compiled", "True"), ("pure", "False")])
def test_a_process_uses_what_it_finds_unless_it_is_told_not_to(kind: str, used: str) -> None:
    variables = {"PYTHONPATH": str(built()), **environment(kind)}
    told = subprocess.run(
        [sys.executable, "-c", USED], env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    assert (told.stdout.split()[0], told.stderr) == (used, "")


def test_one_of_another_version_is_left_alone(
    at: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at.syspath_prepend(built())
    at.setattr(frames_compiled, "mark", lambda: "0123")
    assert load() is None
    assert "built for another version" in caplog.text
    at.undo()
    sys.modules.pop(NAME, None)


def test_one_that_does_not_work_is_left_alone(
    at: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_bytes(b"\x7fELF is not enough")
    at.syspath_prepend(tmp_path)
    assert load() is None
    assert "cannot be loaded" in caplog.text
    (tmp_path / FILE).unlink()
    (tmp_path / f"{NAME}.py").write_text("BUILD = 1\n")
    importlib.invalidate_caches()
    assert load() is None
    assert "is not used" in caplog.text
    sys.modules.pop(NAME, None)


def test_without_a_compiler_it_is_said_what_to_install(
    at: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="apt install gcc"):
        build(tmp_path)
    assert main([str(tmp_path)]) == 1
    assert "Wayhouse works without it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_is_quoted(at: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho no space left >&2; exit 1\n")
    compiler.chmod(0o755)
    at.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BuildError, match="no space left"):
        build(tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_headers_that_are_missing_are_named(at: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built()
    at.setattr(frames_compiled.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(BuildError, match=r"Python\.h"):
        build(tmp_path)


def test_it_is_quiet_where_there_is_none(at: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    at.setattr(sys, "path", [one for one in sys.path if not (Path(one) / FILE).exists()])
    with caplog.at_level(logging.DEBUG):
        assert load() is None
    assert caplog.records == []
