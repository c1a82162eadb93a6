from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.portal.bus_keys import Folder, browse, folder_path, frame_text, sort_out

NAMES = ["/device/a", "/device/a/power", "/device/b/level", "/device/b/available", "/house", "bare"]


def test_keys_are_folders():
    assert sort_out("/", NAMES) == ([("device", 4)], ["/house", "bare"])
    assert sort_out("/device/", NAMES[:4]) == ([("a", 1), ("b", 2)], ["/device/a"])
    assert sort_out("/device/b/", NAMES[2:4]) == ([], ["/device/b/available", "/device/b/level"])
    assert sort_out("/other/", NAMES) == ([], [])


@pytest.mark.parametrize(
    ("text", "path"), [(None, "/"), ("", "/"), ("/", "/"), ("device", "/device/"), ("/a/b/", "/a/b/")]
)
def test_paths_are_told_in_any_way(text, path):
    assert folder_path(text) == path


def test_the_way_up():
    folder = Folder(path="/a/b/", folders=[], keys=[])
    assert folder.parents == [("a", "/a/"), ("b", "/a/b/")]


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_frame_has_a_text(frame):
    assert isinstance(frame_text(frame), str)


def test_frames_for_people():
    assert frame_text("grün".encode()) == "grün"
    assert frame_text(b"\xff\x00") == "ff 00"
    assert frame_text(b"x" * 5000).endswith("x…")


async def test_a_bus_that_is_away(house):
    found = await browse(house.gateway.rooms.bus, "/")
    assert (found.is_away, found.keys, found.names) == (True, [], set())
