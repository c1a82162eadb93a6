import contextlib
import errno
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts.small_disk import on_a_small_disk
from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers.camera_pictures import MEDIA, Picture, Pictures, media_of
from wayhouse.devices.model import DeviceNotReadyError

JPEG = b"\xff\xd8\xff\xe0 a picture"


def test_pictures_are_known_by_their_first_bytes():
    assert media_of(JPEG) == "image/jpeg"
    assert media_of(b"\x89PNG\r\n\x1a\n...") == "image/png"
    assert media_of(b"GIF89a...") == "image/gif"
    assert media_of(b"RIFF....WEBP") == "image/webp"
    for other in (b"", b"<html>", b"<svg>", b"RIFF....WAVE", b"\xff\xd8"):
        with pytest.raises(DeviceNotReadyError):
            media_of(other)


@given(st.binary(max_size=30))
def test_any_bytes(data):
    with contextlib.suppress(DeviceNotReadyError):
        assert media_of(data) in MEDIA.values()


def test_the_newest_few_are_kept(tmp_path):
    pictures = Pictures(tmp_path / "pictures")
    with pytest.raises(DeviceNotReadyError, match="no picture yet"):
        pictures.read("door")
    for number in range(5):
        data = JPEG + str(number).encode()
        assert pictures.keep("door", data, 1000.0 + number, limit=3) == Picture(
            1000.0 + number, len(data), "image/jpeg"
        )
    assert pictures.read("door") == (JPEG + b"4", "image/jpeg")
    assert len(list((tmp_path / "pictures" / "door").iterdir())) == 3
    pictures.keep("yard", b"GIF89a", 5.0, limit=3)
    assert pictures.read("door")[0] == JPEG + b"4"


def test_a_clock_that_is_set_back_does_not_hide_the_newest(tmp_path):
    pictures = Pictures(tmp_path)
    pictures.keep("door", JPEG + b"old", 2000.0, limit=3)
    pictures.keep("door", JPEG + b"new", 1000.0, limit=3)
    assert pictures.read("door")[0] == JPEG + b"new"


def test_names_stay_in_the_folder_and_rubbish_is_left_alone(tmp_path):
    pictures = Pictures(tmp_path / "in")
    for name in ("a b", "ä%", "-"):
        pictures.keep(name, JPEG, 1.0, limit=1)
        assert pictures.read(name)[0] == JPEG
    assert [one.name for one in tmp_path.iterdir()] == ["in"]
    (tmp_path / "in" / "-" / "notes.txt").write_text("x")
    (tmp_path / "in" / "-" / "5.partial").write_text("half of one")
    pictures.keep("-", JPEG, 2.0, limit=1)
    assert sorted(one.name for one in (tmp_path / "in" / "-").iterdir()) == [
        "000000000002000.jpg",
        "notes.txt",
    ]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot be kept"):
        Pictures(tmp_path / "file").keep("door", JPEG, 1.0, limit=1)


def full(*_args, **_named):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", ["os.fsync", "pathlib.Path.open", "pathlib.Path.rename"])
def test_a_full_disk_keeps_the_old_pictures(tmp_path, monkeypatch, at):
    pictures = Pictures(tmp_path)
    for time in (1.0, 2.0):
        pictures.keep("door", JPEG, time, limit=2)
    before = sorted((tmp_path / "door").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(at, full)
        with pytest.raises(UnavailableError, match=r"cannot be kept.*No space left.*Free some space"):
            pictures.keep("door", JPEG + b"new", 3.0, limit=2)
    assert sorted((tmp_path / "door").iterdir()) == before
    assert pictures.read("door")[0] == JPEG


def test_a_disk_that_really_is_full(tmp_path):
    said = on_a_small_disk(
        """
from wayhouse.devices.drivers.camera_pictures import Pictures
pictures = Pictures(disk)
picture = bytes.fromhex("ffd8ff") + bytes(50_000)
pictures.keep("door", picture, 1.0, limit=2)
fill()
try: pictures.keep("door", picture + b"new", 2.0, limit=2)
except Exception as error: print(type(error).__name__, error)
print(len(pictures.read("door")[0]), len(names(disk / "door")))
filler.unlink()
(disk / "door" / "7.partial").write_bytes(picture * 4)
print(pictures.keep("door", picture, 3.0, limit=2).size, len(names(disk / "door")))
""",
        str(tmp_path),
    )
    first, *rest = said.splitlines()
    assert first.startswith("UnavailableError The picture cannot be kept")
    assert "Free some space" in first
    assert rest == ["50003 1", "50003 2"]


def test_two_pictures_at_once_do_not_meet(tmp_path):
    pictures = Pictures(tmp_path)
    threads = [
        threading.Thread(target=pictures.keep, args=("door", JPEG + bytes(99_999), 1.0), kwargs={"limit": 30})
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list((tmp_path / "door").iterdir())) == 20
