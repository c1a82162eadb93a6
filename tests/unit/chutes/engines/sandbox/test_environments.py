"""Languages, cache names, and what a build step is told. The steps themselves run in the contract tests."""

# covers: chutes/engines/sandbox/build_step.py, chutes/engines/sandbox/abilities.py

from __future__ import annotations

from pathlib import Path

import pytest

from wayhouse.chutes.engines.sandbox import abilities
from wayhouse.chutes.engines.sandbox.build_step import build_environment
from wayhouse.chutes.engines.sandbox.environments import Environments, find_program, fingerprint
from wayhouse.chutes.model import EngineError


def quiet(_line: str) -> None:
    return None


async def test_nothing_is_needed(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    made = await Environments(tmp_path, "").make(None, app, quiet)
    assert (made.paths, made.binds) == ((), {})
    (app / "requirements.txt").write_text("# nothing\n\n")
    if Path("/usr/bin/python3").exists():
        assert (await Environments(tmp_path, "").make("python3", app, quiet)).caches == ()


async def test_a_language_that_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot run apps in cobol"):
        await Environments(tmp_path, "").make("cobol", tmp_path, quiet)
    if not Path("/usr/bin/python2").exists():
        with pytest.raises(EngineError, match="install Docker"):
            find_program("python2")


def test_cache_names_follow_what_matters(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = fingerprint("python3.11", "flask", tmp_path)
    assert first == fingerprint("python3.11", "flask", tmp_path)
    (tmp_path / "a").write_text("2")
    others = {fingerprint("python3.11", "flask", tmp_path), fingerprint("python3.12", "flask", None)}
    assert first not in others
    assert len(others) == 2


def test_the_daemon_s_environment_stays_outside() -> None:
    seen = build_environment(
        {"SECRET": "x", "PIP_INDEX_URL": "https://here", "http_proxy": "p", "PATH": "/mine"}
    )
    assert seen["PIP_INDEX_URL"] == "https://here"
    assert seen["http_proxy"] == "p"
    assert seen["PATH"] != "/mine"
    assert "SECRET" not in seen


def test_limits_are_sentences() -> None:
    poor, rich = (
        list(abilities.limits(kinds, api=True))
        for kinds in (frozenset[str](), frozenset({"memory", "pids", "cpu"}))
    )
    assert len(poor) == len(rich) + 3
    assert all(sentence.endswith(".") for sentence in poor)
