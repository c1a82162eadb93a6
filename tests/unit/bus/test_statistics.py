import json

import pytest

from wayhouse.base.errors import ConflictError, NotFoundError
from wayhouse.bus.statistics import SNMP, SNMPCounter, SNMPFloat, SNMPString, Statistics


@pytest.fixture
def kept():
    kept = Statistics()
    kept.add_statistic(SNMPCounter("fake.snmp.requests", "requests so far"))
    kept.add_statistic(SNMPFloat("fake.snmp.load"))
    return kept


def test_counters_add_and_begin_again_at_2_to_32():
    counter = SNMPCounter("a")
    counter.set()
    counter.set(4)
    assert str(counter) == "5"
    counter.set(4_294_967_296 - 5)
    assert counter.value == 0


def test_others_are_replaced():
    text, number, any_one = SNMPString("a"), SNMPFloat("b"), SNMP("c", initial=1)
    assert (str(text), str(number)) == ("''", "0.0")
    for item, value in ((text, "x"), (number, 1.5), (any_one, 7)):
        item.set(value)
        assert item.value == value
    any_one.reset()
    assert any_one.value == 1


def test_names_are_there_once(kept):
    with pytest.raises(ConflictError):
        kept.add_statistic(SNMPFloat("fake.snmp.load"))
    kept.remove_statistic("fake.snmp.load")
    for verb in (kept.remove_statistic, kept.update_statistic):
        with pytest.raises(NotFoundError):
            verb("fake.snmp.load")


def test_what_the_worker_answers(kept):
    kept.update_statistic("fake.snmp.requests", 3)
    assert json.loads(kept.worker_statistics([b"list_keys"])[0]) == ["fake.snmp.load", "fake.snmp.requests"]
    body, status = kept.worker_statistics([b"all"])
    assert json.loads(body)["fake.snmp.requests"] == {"value": 3, "doc": "requests so far"}
    assert status == b"200"
    assert json.loads(kept.worker_statistics([b"get", b"fake.snmp.requests"])[0])["value"] == 3
    assert kept.worker_statistics([b"get", b"other"]) == kept.worker_statistics([b"get"]) == [b"404"]
    assert kept.worker_statistics([b"reset", b"other"]) == [b"404"]
    assert (
        kept.worker_statistics([b"reset", b"fake.snmp.requests"])
        == kept.worker_statistics([b"reset"])
        == [b"200"]
    )
    assert json.loads(kept.worker_statistics([b"get", b"fake.snmp.requests"])[0])["value"] == 0
    assert (kept.worker_statistics([b"other"]), kept.worker_statistics([])) == ([b"501"], [b"500"])
