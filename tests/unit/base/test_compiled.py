"""A compiled part is built where it can be, and used only when it is the right one and works."""

from __future__ import annotations

import importlib
import logging
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wayhouse.base import compiled
from wayhouse.base.compiled import BuildError, NoToolsError, Part, build, load, main

C = """
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include "answer.h"
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_wayhouse_tried", NULL, -1, NULL, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__wayhouse_tried(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyModule_AddIntConstant(module, "ANSWER", ANSWER);
    PyModule_AddStringConstant(module, "BUILD", BUILD);
    return module;
}
"""


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "tried.c").write_text(C)
    (folder / "answer.h").write_text("#define ANSWER 42\n")
    made = Part("_wayhouse_tried", folder, "WAYHOUSE_PURE_TRIED", "the compiled trial", "nobody")
    monkeypatch.delenv(made.switch, raising=False)
    monkeypatch.syspath_prepend(tmp_path / "into")
    yield made
    sys.modules.pop(made.module, None)


def works(module: Any) -> None:
    if module.ANSWER != 42:
        raise ImportError("the answer is another one")


def made(part: Part, tmp_path: Path) -> Path:
    try:
        found = build(part, tmp_path / "into")
    except NoToolsError as error:
        pytest.skip(str(error))
    importlib.invalidate_caches()
    return found


def test_it_is_built_and_used_unless_it_is_switched_off(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made(part, tmp_path).name == part.file
    assert load(part, works).ANSWER == 42  # type: ignore[union-attr]
    monkeypatch.setenv(part.switch, "1")
    assert load(part, works) is None


def test_one_of_other_sources_is_left_alone(
    part: Part, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made(part, tmp_path)
    (part.folder / "answer.h").write_text("#define ANSWER 43\n")
    assert load(part, works) is None
    assert "built for another version" in caplog.text


def test_one_that_does_not_work_is_left_alone(
    part: Part, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (part.folder / "answer.h").write_text("#define ANSWER 41\n")
    made(part, tmp_path)
    assert load(part, works) is None
    assert "the answer is another one" in caplog.text


def test_a_file_that_is_no_module(part: Part, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / part.file).write_bytes(b"\x7fELF is not enough")
    importlib.invalidate_caches()
    assert load(part, works) is None
    assert "cannot be loaded" in caplog.text


def test_it_is_quiet_where_there_is_none(part: Part, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert load(part, works) is None
    assert caplog.records == []


def test_without_a_compiler_it_is_said_what_to_install(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoToolsError, match="apt install gcc"):
        build(part, tmp_path / "into")
    assert main(part, [str(tmp_path / "into")]) == 1
    assert "Wayhouse works without it" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_headers_that_are_missing_are_named(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(NoToolsError, match=r"Python\.h"):
        build(part, tmp_path / "into")


def test_a_compiler_that_fails_is_quoted(part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        pytest.skip("needs Python's headers")
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho no space left >&2; exit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BuildError, match="no space left"):
        build(part, tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_it_is_put_where_it_is_wanted(part: Part, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(part, tmp_path)
    assert main(part, [str(tmp_path / "other")]) == 0
    assert "nobody uses it from its next start on" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "other").iterdir()] == [part.file]
