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
