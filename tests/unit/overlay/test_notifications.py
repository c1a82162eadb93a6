import json

import pytest

from wayhouse.overlay import notifications
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.notifications import (
    NO_FINGERPRINT,
    ConStat,
    EchoReplyTold,
    EchoRequestTold,
    ErrorTold,
    LocalState,
    Message,
    PeerState,
    Refusal,
    Stats,
)

UID = "ab" * 20


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        (
            LocalState(uid=UID, ip4="1.2.3.4", ip6="::1", fpr="AB"),
            {"type": "local_state", "_uid": UID, "_ip4": "1.2.3.4", "_ip6": "::1", "_fpr": "AB"},
        ),
        (
            PeerState(uid=UID, status=LinkStatus.OFFLINE),
            {"type": "peer_state", "uid": UID, "status": "offline"},
        ),
        (
            PeerState(
                uid=UID,
                ip4="1.2.3.4",
                ip6="::1",
                status=LinkStatus.ONLINE,
                fpr="AB",
                last_time=3,
                xmpp_time=0,
                security="wireguard",
                relayed=False,
            ),
            {
                "type": "peer_state",
                "uid": UID,
                "ip4": "1.2.3.4",
                "ip6": "::1",
                "status": "online",
                "fpr": "AB",
                "last_time": 3,
                "xmpp_time": 0,
                "security": "wireguard",
                "relayed": False,
            },
        ),
        (ConStat(uid=UID, data=LinkStatus.UNKNOWN), {"type": "con_stat", "uid": UID, "data": "unknown"}),
        (Message("con_req", UID, "AB id:1"), {"type": "con_req", "uid": UID, "data": "AB id:1"}),
        (Message("anything", UID, ""), {"type": "anything", "uid": UID, "data": ""}),
        (
            ErrorTold(uid="", data=notifications.XMPP_FAILED),
            {"type": "error", "uid": "", "data": "1000:xmpp_connect_failed"},
        ),
        (EchoReplyTold(msg="hi"), {"type": "echo_reply", "msg": "hi"}),
        (EchoRequestTold(msg="hi"), {"type": "echo_request", "msg": "hi"}),
        (Refusal("json parsing failed"), {"error": "json parsing failed"}),
    ],
)
def test_fields(told, fields):
    encoded = notifications.encode(told)
    assert encoded[:1] == b"{"
    assert json.loads(encoded) == fields


def test_the_style_is_that_of_jsoncpp():
    assert notifications.encode(ConStat(uid="u", data=LinkStatus.ONLINE)) == (
        b'{\n   "data" : "online",\n   "type" : "con_stat",\n   "uid" : "u"\n}\n'
    )


def test_the_list_form_of_figures():
    stats = Stats(
        local_addr="10.0.0.2:1",
        rem_addr="192.0.2.1:2",
        local_type="local",
        rem_type="stun",
        rtt=12,
        sent_total_bytes=5,
    )
    told = json.loads(notifications.encode(PeerState(uid=UID, status=LinkStatus.ONLINE, stats=(stats,))))
    assert told["stats"] == [
        {
            "local_addr": "10.0.0.2:1",
            "rem_addr": "192.0.2.1:2",
            "local_type": "local",
            "rem_type": "stun",
            "best_conn": True,
            "writable": True,
            "readable": True,
            "timeout": False,
            "new_conn": False,
            "rtt": 12,
            "sent_total_bytes": 5,
            "sent_bytes_second": 0,
            "recv_total_bytes": 0,
            "recv_bytes_second": 0,
        }
    ]


def test_the_text_form_of_figures():
    stats = Stats(
        local_addr="a",
        rem_addr="b",
        local_type="local",
        rem_type="stun",
        rtt=12,
        sent_total_bytes=5,
        sent_bytes_second=4,
        recv_total_bytes=3,
        recv_bytes_second=2,
    )
    assert notifications.stats_text((stats, stats)) == ("1:1:1:0:0:12:5:4:3:2 " * 2, "a b " * 2)
    assert notifications.stats_text(()) == ("", "")


def test_the_fingerprint_of_nobody_has_the_length_of_any():
    assert len(NO_FINGERPRINT) == 59
