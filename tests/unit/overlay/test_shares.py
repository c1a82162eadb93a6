"""What shares say, to whom, and which ports they open."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given as fuzz
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.overlay import policy, shares
from wayhouse.overlay.policy import Member, Packet
from wayhouse.overlay.shares import DOOR_PORT, BadShareError, May, Share, Visitor

UID, OTHER = "ab" * 20, "cd" * 20
VISITOR = Visitor(overlay="home", uid=UID, name="attic", tags=frozenset({"family"}))
LAMP = Share(what="device:lamp", to="tag:family", may=May.COMMAND)
PAGE = Share(what="app:hello", to=UID, port=8088)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"what": "lamp", "to": "any"}, "what"),
        ({"what": "device:", "to": "any"}, "what"),
        ({"what": "device: lamp", "to": "any"}, "what"),
        ({"what": "device:" + "x" * 201, "to": "any"}, "what"),
        ({"what": "service:*", "to": "any"}, "what"),
        ({"what": "service:kücheö", "to": "any"}, "what"),
        ({"what": "app:*", "to": "any", "port": 80}, "what"),
        ({"what": "file:/etc/passwd", "to": "any"}, "what"),
        ({"what": "device:lamp", "to": ""}, "to"),
        ({"what": "device:lamp", "to": "self"}, "to"),
        ({"what": "device:lamp", "to": "tag:"}, "to"),
        ({"what": "device:lamp", "to": UID.upper()}, "to"),
        ({"what": "device:lamp", "to": "any", "port": 80}, "port"),
        ({"what": "app:hello", "to": "any"}, "port"),
        ({"what": "app:hello", "to": "any", "port": 70_000}, "port"),
        ({"what": "app:hello", "to": "any", "port": DOOR_PORT}, "port"),
        ({"what": "app:hello", "to": "any", "port": 53}, "port"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(fields: dict[str, object], path: str) -> None:
    with pytest.raises(BadShareError) as raised:
        codec.convert(fields, Share)
    assert raised.value.fields == {"path": path}


@fuzz(st.text(max_size=40), st.text(max_size=40), st.integers())
def test_whatever_is_said_is_a_share_or_a_clear_error(what: str, to: str, port: int) -> None:
    with contextlib.suppress(BadInputError):
        found = Share(what=what, to=to, port=port)
        assert f"{found.good}:{found.name}" == what


def test_to_whom() -> None:
    everybody = Share(what="device:roof", to="any")
    hers = Share(what="device:tv", to=OTHER)
    assert shares.given((LAMP, PAGE, everybody, hers), VISITOR) == (LAMP, PAGE, everybody)
    stranger = Visitor(overlay="home", uid=OTHER, name="", tags=frozenset({"guests"}))
    assert shares.given((LAMP, PAGE, everybody, hers), stranger) == (everybody, hers)
    assert (VISITOR.title, stranger.title) == ("attic.home", "cdcdcdcd.home")


def test_the_right_to_a_device_is_the_most_that_is_given() -> None:
    all_read = Share(what="device:*", to="any")
    assert shares.device_right((), ["lamp"]) is None
    assert shares.device_right((PAGE, Share(what="service:lamp", to="any")), ["lamp"]) is None
    assert shares.device_right((all_read,), ["lamp", "id7"]) is May.READ
    assert shares.device_right((all_read, LAMP), ["id7", "lamp"]) is May.COMMAND
    assert shares.device_right((LAMP,), ["id7", "tv"]) is None


def test_services_and_apps_by_name() -> None:
    found = (
        Share(what="service:kitchen.greeter", to="any"),
        Share(what="service:kitchen.greeter", to=UID),
        PAGE,
        LAMP,
    )
    assert shares.services(found) == ("kitchen.greeter",)
    assert shares.app_ports(found) == {8088: "hello"}


def test_each_thing_once_for_each_and_each_app_at_its_port() -> None:
    less = Share(what=LAMP.what, to=LAMP.to)
    assert shares.check_all((less, LAMP, less, PAGE)) == (LAMP, PAGE)
    with pytest.raises(BadShareError, match="app:hello has port 8088") as raised:
        shares.check_all((PAGE, Share(what="app:other", to="any", port=8088)))
    assert raised.value.fields == {"path": "shares"}
    with pytest.raises(BadShareError, match="at most"):
        shares.check_all(Share(what=f"device:{number}", to="any") for number in range(300))


def test_the_rules_open_what_is_needed_and_nothing_else() -> None:
    assert shares.rules(()) == ()
    peers = {
        UID: Member(UID, frozenset(), (policy.network("172.16.0.2"),)),
        OTHER: Member(OTHER, frozenset({"family"}), (policy.network("172.16.0.3"),)),
    }
    rules = policy.resolve(shares.rules((LAMP, PAGE)), Member("ef" * 20), peers)

    def may(source: str, port: int, protocol: int = policy.TCP_NUMBER) -> bool:
        one, here = policy.network(source)[0], policy.network("172.16.0.1")[0]
        return policy.decide(
            rules, Packet(source=one, destination=here, protocol=protocol, port=port)
        ).is_accepted

    assert may("172.16.0.3", DOOR_PORT)
    assert not may("172.16.0.2", DOOR_PORT)
    assert may("172.16.0.2", 8088)
    assert not may("172.16.0.3", 8088)
    assert not may("172.16.0.2", 8088, policy.UDP_NUMBER)
    assert not may("172.16.0.3", DOOR_PORT + 1)


def test_what_is_for_all_is_one_rule() -> None:
    found = shares.rules((LAMP, Share(what="device:*", to="any"), Share(what="service:x", to=UID)))
    assert [(one.source, one.ports) for one in found] == [("any", (str(DOOR_PORT),))]
