import pytest

from wayhouse.devices.model import CommandNotAllowedError
from wayhouse.devices.types.media import MediaCamera, MediaDevice, MediaTV


def test_a_camera_says_where_its_picture_is():
    camera = MediaCamera({"oid": "media.camera", "name": "door", "url": "http://door/now.jpg"})
    assert camera.read("url") == "http://door/now.jpg"
    assert isinstance(camera, MediaDevice)


def test_the_subdevices_of_a_television():
    tv = MediaTV({"oid": "media.tv", "name": "tv"})
    assert {name: kind.oid for name, kind in tv.subtypes.items()} == {
        "volume": "media.tv-volume",
        "channel": "media.tv-channel",
    }
    with pytest.raises(CommandNotAllowedError):
        tv.command("volume.up").require_readable()


def test_what_may_be_sent_again():
    camera = MediaCamera({"oid": "media.camera", "name": "door"})
    tv = MediaTV({"oid": "media.tv", "name": "tv"})
    assert not camera.command("take").idempotent
    assert not tv.command("channel.up").idempotent
    assert tv.command("channel.number").idempotent
    assert tv.template["subdevices"]["volume"]["commands"]["down"]["idempotent"] is False
