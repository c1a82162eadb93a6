"""Images and tags on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wayhouse.chutes.engines.sandbox.images import Image, Images
from wayhouse.chutes.model import EngineError


def make(images: Images, context: Path, tag: str) -> Image:
    id_, _ = images.begin(context)
    image = Image(id=id_)
    images.finish(image, tag)
    return image


def test_tags_move_and_images_go_when_nobody_names_them(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "main.py").write_text("1")
    os.mkfifo(context / "pipe")
    images = Images(tmp_path / "state")
    old = make(images, context, "a:1")
    assert images.find("a:1") == old
    assert {path.name for path in images.app(old).iterdir()} == {"main.py"}
    images.set_tag("a:old", old.id)
    new = make(images, context, "a:1")
    assert images.sweep(set()) == 0
    images.drop_tag("a:old")
    assert images.sweep({old.id}) == 0
    assert images.sweep(set()) > 0
    assert images.all() == [new]


@pytest.mark.parametrize("tag", ["../../x:1", "/etc/passwd", "a" * 300, "ü/☃:1", "", "\x00"])
def test_hostile_tags_stay_inside(tmp_path: Path, tag: str) -> None:
    context = tmp_path / "context"
    context.mkdir()
    images = Images(tmp_path / "state")
    make(images, context, tag)
    assert list(images.tags()) == [tag]
    assert {path.name for path in tmp_path.iterdir()} == {"context", "state"}
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"images", "tags"}


def test_unfinished_ones_are_no_images(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    images = Images(tmp_path / "state")
    id_, app = images.begin(context)
    assert images.all() == []
    images.sweep(set())
    assert app.exists()
    images.abandon(id_)
    assert not app.exists()
    images.begin(context)
    images.clear_unfinished()
    assert list((tmp_path / "state" / "images").iterdir()) == []
    with pytest.raises(EngineError, match="is gone"):
        images.begin(tmp_path / "none")


def test_a_broken_file_is_no_image(tmp_path: Path) -> None:
    images = Images(tmp_path)
    images.set_tag("a:1", "missing")
    assert images.find("a:1") is None
    next((tmp_path / "tags").iterdir()).write_text("{")
    assert images.tags() == {}
