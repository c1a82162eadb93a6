import os

import pytest

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain


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
    before = len(os.listdir("/proc/self/fd"))
    for name in ("link", "directory", "pipe"):
        with pytest.raises(UnsafeFileError, match=name):
            open_plain(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "nothing")
    assert len(os.listdir("/proc/self/fd")) == before
