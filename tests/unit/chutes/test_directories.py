"""Every call may be repeated, and none touches what is not the chute's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.base.settings import Paths
from wayhouse.chutes.directories import Directories


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    return Directories(Paths.under(tmp_path), container_uid=999, min_free_bytes=0)


def bundle(directories: Directories, text: str = "x") -> Path:
    path = directories.upload(directories.new_upload()) / "source"
    path.mkdir()
    (path / "main.py").write_text(text)
    return path


def test_an_upload_is_private(directories: Directories) -> None:
    upload = directories.new_upload()
    assert directories.upload(upload).stat().st_mode & 0o777 == 0o700
    assert directories.uploads() == {upload}
    directories.drop_upload(upload)
    directories.drop_upload(upload)
    assert directories.uploads() == set()


def test_a_full_disk_takes_no_uploads(tmp_path: Path) -> None:
    full = Directories(Paths.under(tmp_path), container_uid=999, min_free_bytes=2**62)
    with pytest.raises(UnavailableError, match=r"Only \d+ MiB are free"):
        full.new_upload()
    assert full.uploads() == set()


def test_data_is_made_once_and_belongs_to_the_app(directories: Directories) -> None:
    assert directories.make("a") is True
    (directories.data("a") / "kept").write_text("yes")
    assert directories.make("a") is False
    assert (directories.data("a") / "kept").exists()
    assert directories.system("a").is_dir()
    if os.geteuid() == 0:
        assert directories.data("a").stat().st_uid == 999


def test_a_bundle_is_kept_and_given_back(directories: Directories) -> None:
    source = bundle(directories)
    for _ in range(2):
        directories.keep_source(source, "a/1")
        assert not source.exists()
        assert (directories.source("a/1") / "main.py").read_text() == "x"
    for _ in range(2):
        directories.give_back_source(source, "a/1")
        assert (source / "main.py").read_text() == "x"
        assert not directories.source("a/1").parent.exists()


def test_a_bundle_takes_the_place_of_a_half_moved_one(directories: Directories) -> None:
    directories.source("a/1").mkdir(parents=True)
    (directories.source("a/1") / "old").write_text("old")
    directories.keep_source(bundle(directories), "a/1")
    assert [path.name for path in directories.source("a/1").iterdir()] == ["main.py"]


def test_giving_back_keeps_other_versions_and_needs_no_upload(directories: Directories) -> None:
    directories.keep_source(bundle(directories, "one"), "a/1")
    second = bundle(directories, "two")
    directories.keep_source(second, "a/2")
    directories.drop_upload(second.parent.name)
    directories.give_back_source(second, "a/2")
    assert not directories.source("a/2").exists()
    assert directories.source("a/1").exists()


def test_old_sources_go(directories: Directories) -> None:
    for number in (1, 2, 3):
        directories.keep_source(bundle(directories), f"a/{number}")
    directories.drop_sources("a", keep="a/2")
    assert [path.name for path in directories.source("a/2").parent.iterdir()] == ["2"]
    directories.drop_sources("a", keep=None)
    assert not directories.source("a/2").parent.exists()
    directories.drop_sources("a", keep=None)


def test_everything_of_one_chute_goes(directories: Directories) -> None:
    for name in ("a", "ab"):
        directories.make(name)
        directories.keep_source(bundle(directories), f"{name}/1")
    assert directories.chutes_with_files() == {"a", "ab"}
    directories.drop_data("a")
    assert directories.chutes_with_files() == {"a", "ab"}, "the source is still there"
    directories.drop("a")
    directories.drop("a")
    assert directories.chutes_with_files() == {"ab"}
    assert directories.source("ab/1").exists()
