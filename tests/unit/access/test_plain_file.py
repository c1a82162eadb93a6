import os
from pathlib import Path

import pytest

from tests.parts.descriptors import open_descriptors
from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain, place


def test_a_plain_file_opens_also_below_a_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    with open_plain(tmp_path / "file") as file:
        assert file.read() == b"text"
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with open_plain("file", dir_fd=fd) as file:
            assert file.read() == b"text"
    finally:
        os.close(fd)


def test_everything_else_is_refused_and_leaves_nothing_open(tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = open_descriptors()
    for name in ("link", "directory", "pipe"):
        with pytest.raises(UnsafeFileError, match=name):
            open_plain(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "nothing")
    assert open_descriptors() == before


def test_what_is_put_in_its_place_is_whole_and_its_owner_s_alone(tmp_path):
    path = tmp_path / "deep" / "file"
    for content in (b"one", b"two"):
        place(path, content, Path.rename)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["file"]


def test_what_cannot_be_put_there_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("")
    with pytest.raises(UnsafeFileError, match="Nothing was changed"):
        place(tmp_path / "folder", b"x", Path.rename)
    assert os.listdir(tmp_path) == ["folder"]
