import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay import addressing
from wayhouse.overlay.addressing import AddressesUsedUpError, gen_ip4, gen_ip6, gen_uid, read_static
from wayhouse.overlay.model import is_uid

UID = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def test_ip6_is_the_prefix_and_the_start_of_the_uid():
    assert gen_ip6(UID) == "fd50:0dbc:41f2:4a3c:0123:4567:89ab:cdef"
    assert gen_ip6(UID, "fd00:1:2:3") == "fd00:1:2:3:0123:4567:89ab:cdef"


def test_the_seeds_addresses_are_numbered_in_order_of_arrival():
    assert gen_ip4(UID, set(), "172.31.0.100") == "172.31.0.101"
    assert gen_ip4(UID, {UID}, "172.31.0.100") == "172.31.0.102"
    assert gen_ip4(OTHER, {UID}, "10.1.2.3") == "10.1.2.102"
    with pytest.raises(OverflowError):
        gen_ip4(UID, set(map(str, range(154))), "172.31.0.100")


def test_the_later_form_keeps_what_a_uid_has():
    peers: dict[str, str] = {}
    assert gen_ip4(UID, peers, "172.31.0.100") == "172.31.0.101"
    assert gen_ip4(OTHER, peers, "172.31.0.100") == "172.31.0.102"
    assert gen_ip4(UID, peers, "172.31.0.100") == "172.31.0.101"
    del peers[UID]
    assert gen_ip4("a" * 40, peers, "172.31.0.100") == "172.31.0.101"
    assert gen_ip4("b" * 40, {}, "172.31.0.101") == "172.31.0.102"


def test_when_all_are_given_away_it_is_said():
    peers: dict[str, str] = {}
    for number in range(154):
        gen_ip4(f"{number:040x}", peers, "172.31.0.100")
    assert len(set(peers.values())) == 154
    with pytest.raises(AddressesUsedUpError, match="forget peers"):
        gen_ip4(UID, peers, "172.31.0.100")
    assert UID not in peers


def test_uids():
    assert gen_uid("172.16.0.1") == hashlib.sha1(b"172.16.0.1").hexdigest()
    assert len(gen_uid("172.16.0.1")) == 40
    assert gen_uid("172.16.0.1", 20) == gen_uid("172.16.0.1")[:20]
    assert is_uid(gen_uid("172.16.0.2"))
    assert is_uid(addressing.new_uid())
    assert addressing.new_uid() != addressing.new_uid()


def test_static_addresses(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(
        json.dumps(
            [{"uid": UID, "ipv4": "172.31.0.7", "desc": "printer"}, {"uid": OTHER, "ipv4": "172.31.0.8"}]
        )
    )
    assert read_static(path) == {UID: "172.31.0.7", OTHER: "172.31.0.8"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '[{"uid":"x","ipv4":"1.2.3.4"}]',
        json.dumps([{"uid": UID, "ipv4": "1.2.3"}]),
        json.dumps([{"uid": UID, "ipv4": "1.2.3.4"}, {"uid": OTHER, "ipv4": "1.2.3.4"}]),
        json.dumps([{"uid": UID, "ipv4": "1.2.3.4"}, {"uid": UID, "ipv4": "1.2.3.5"}]),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "map.json"
    path.write_text(content)
    with pytest.raises(BadInputError):
        read_static(path)


def test_what_is_no_plain_file_is_refused(tmp_path):
    with pytest.raises(BadInputError):
        read_static(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_static(tmp_path / "none")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("0123456789abcdef", min_size=40, max_size=40), max_size=30))
def test_no_two_uids_have_one_address(uids):
    peers: dict[str, str] = {}
    for uid in uids:
        gen_ip4(uid, peers, "172.31.0.100")
    assert len(set(peers.values())) == len(set(uids))
