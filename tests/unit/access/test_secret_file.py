import errno
import os
import re
import threading

import pytest

from tests.parts.small_disk import on_a_small_disk
from wayhouse.access import secret_file
from wayhouse.access.model import UnsafeFileError
from wayhouse.base.errors import UnavailableError


def test_made_once_and_for_the_daemon_alone(tmp_path):
    path = tmp_path / "keys" / "jwt-secret"
    secret = secret_file.read_or_create(path)
    assert re.fullmatch("[0-9a-f]{64}", secret)
    assert secret_file.read_or_create(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["jwt-secret"]


def test_a_secret_that_others_can_read_is_closed(tmp_path):
    path = tmp_path / "jwt-secret"
    path.write_text("ab" * 32)
    path.chmod(0o644)
    assert secret_file.read_or_create(path) == "ab" * 32
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"z" * 64, b"a" * 65, b"\xff" * 64, b"a" * 10_000])
def test_a_damaged_secret_is_refused_and_not_shown(tmp_path, content):
    path = tmp_path / "jwt-secret"
    path.write_bytes(content)
    with pytest.raises(UnsafeFileError, match="Move it away") as caught:
        secret_file.read_or_create(path)
    assert "zzzz" not in str(caught.value)
    assert path.read_bytes() == content


def test_links_pipes_and_directories_are_refused(tmp_path):
    (tmp_path / "real").write_text("ab" * 32)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "directory", "pipe"):
        with pytest.raises(UnsafeFileError):
            secret_file.read_or_create(tmp_path / name)


def test_many_at_once_get_one_secret(tmp_path):
    secrets: list[str] = []
    threads = [
        threading.Thread(target=lambda: secrets.append(secret_file.read_or_create(tmp_path / "jwt-secret")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 8
    assert len(set(secrets)) == 1
    assert os.listdir(tmp_path) == ["jwt-secret"]


def test_a_secret_of_another_form(tmp_path):
    numbers = secret_file.Secret("[0-9]{4}", lambda: "1234", "four digits", "all doors change")
    assert secret_file.read_or_create(tmp_path / "pin", numbers) == "1234"
    (tmp_path / "pin").write_text("12x4")
    with pytest.raises(UnsafeFileError, match=r"does not hold four digits.*all doors change"):
        secret_file.read_or_create(tmp_path / "pin", numbers)


def full(*_args, **_named):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", ["os.fsync", "os.link", "pathlib.Path.mkdir"])
def test_a_full_disk_leaves_no_secret_and_a_later_one_is_whole(tmp_path, monkeypatch, at):
    path = tmp_path / "keys" / "jwt-secret"
    with monkeypatch.context() as patch:
        patch.setattr(at, full)
        with pytest.raises(
            UnavailableError, match=r"jwt-secret cannot be written.*No space left.*Free some space"
        ):
            secret_file.read_or_create(path)
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == []
    assert len(secret_file.read_or_create(path)) == 64


def test_a_disk_that_really_is_full(tmp_path):
    said = on_a_small_disk(
        """
from wayhouse.access import secret_file
from wayhouse.access.bus_keys import SECRET
old = secret_file.read_or_create(disk / "old")
fill()
assert secret_file.read_or_create(disk / "old") == old
try: secret_file.read_or_create(disk / "new", SECRET)
except Exception as error: print(type(error).__name__, error)
print(names(disk))
filler.unlink()
print(len(secret_file.read_or_create(disk / "new", SECRET)), names(disk))
""",
        str(tmp_path),
    )
    first, second, third = said.splitlines()
    assert first.startswith("UnavailableError")
    assert "Free some space" in first
    assert (second, third) == ("['old']", "40 ['new', 'old']")
