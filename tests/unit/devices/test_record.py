from wayhouse.devices.record import Record
from wayhouse.devices.types.media import MediaTV


def test_the_view():
    tv = MediaTV({"oid": "media.tv", "name": "tv", "area": "hall", "free": 1})
    record = Record("id1", "fake", "place", tv)
    view = record.view("here")
    assert (view.id, view.name, view.fullname, view.oid) == ("id1", "tv", "here.fake.tv", "media.tv")
    assert (view.area, view.config["free"], view.subdevices) == ("hall", 1, ("volume", "channel"))
    assert (view.is_available, view.last_seen) == (False, None)
    assert record.fullname_of("here", "volume.level") == "here.fake.tv.volume"
    assert record.fullname_of("here", "power") == "here.fake.tv"
    assert (record.place.address, record.place.oid) == ("place", "media.tv")


def test_records_share_nothing():
    first, second = (Record(one, "fake", one, MediaTV({"oid": "media.tv", "name": one})) for one in "ab")
    assert first.values is not second.values
    assert first.health is not second.health
