import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus import mdp
from wayhouse.bus.mdp import ClientRequest, ReadyMarks, RequestMarks, WorkerMessage
from wayhouse.bus.model import MalformedError

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
BODIES = st.lists(st.binary(max_size=8), max_size=4)
WORDS = st.sampled_from(
    [
        b"",
        b"MDPC01",
        b"MDPW01",
        b"MDPC02",
        b"MDPW02",
        b"\1",
        b"\2",
        b"\3",
        b"\4",
        b"\5",
        b"\6",
        b"echo",
        b"a\0ttl=x",
    ]
)


def test_the_frames_of_0_1_are_those_of_rfc_7():
    assert mdp.build_request(b"echo", [b"a", b"b"]) == [b"", b"MDPC01", b"echo", b"a", b"b"]
    assert mdp.build_reply(1, b"echo", [b"a"]) == [b"", b"MDPC01", b"echo", b"a"]
    assert mdp.build_ready(b"echo") == [b"", b"MDPW01", b"\1", b"echo"]
    assert mdp.build_worker_request(1, b"client", [b"a"]) == [b"", b"MDPW01", b"\2", b"client", b"", b"a"]
    assert mdp.build_worker_reply(b"client", [b"a"]) == [b"", b"MDPW01", b"\3", b"client", b"", b"a"]
    assert mdp.build_heartbeat() == [b"", b"MDPW01", b"\4"]
    assert mdp.build_disconnect() == [b"", b"MDPW01", b"\5"]


def test_the_frames_of_0_2_are_those_of_rfc_18():
    assert mdp.build_request(b"echo", [b"a"], 2) == [b"MDPC02", b"\1", b"echo", b"a"]
    assert mdp.build_reply(2, b"echo", [b"a"], final=False) == [b"MDPC02", b"\2", b"echo", b"a"]
    assert mdp.build_reply(2, b"echo", [b"a"]) == [b"MDPC02", b"\3", b"echo", b"a"]
    assert mdp.build_ready(b"echo", 2) == [b"MDPW02", b"\1", b"echo"]
    assert mdp.build_worker_request(2, b"client", [b"a"]) == [b"MDPW02", b"\2", b"client", b"", b"a"]
    assert mdp.build_worker_reply(b"client", [b"a"], 2, final=False) == [
        b"MDPW02",
        b"\3",
        b"client",
        b"",
        b"a",
    ]
    assert mdp.build_worker_reply(b"client", [b"a"], 2) == [b"MDPW02", b"\4", b"client", b"", b"a"]
    assert mdp.build_heartbeat(2) == [b"MDPW02", b"\5"]
    assert mdp.build_disconnect(2) == [b"MDPW02", b"\6"]


@given(NAMES, BODIES, st.sampled_from([1, 2]))
@settings(max_examples=100)
def test_what_is_built_is_read_again(name, body, version):
    request = mdp.parse_at_broker([b"id", *mdp.build_request(name, body, version)])
    assert request == ClientRequest(version, name, name, body)
    reply = mdp.parse_reply(mdp.build_reply(version, name, body))
    assert (reply.service, reply.body, reply.final) == (name, body, True)
    ready = mdp.parse_at_broker([b"id", *mdp.build_ready(name, version)])
    assert ready == WorkerMessage(version, mdp.READY, name, b"", [])
    told = mdp.parse_at_worker(mdp.build_worker_request(version, name, body))
    assert (told.command, told.client, told.body) == (mdp.REQUEST, name, body or [b""])
    answer = mdp.parse_at_broker([b"id", *mdp.build_worker_reply(name, body, version)])
    assert answer == WorkerMessage(version, mdp.FINAL, b"", name, body or [b""])


@pytest.mark.parametrize("version", [1, 2])
def test_signs_are_read_on_both_sides(version):
    for frames, command in (
        (mdp.build_heartbeat(version), mdp.HEARTBEAT),
        (mdp.build_disconnect(version), mdp.DISCONNECT),
    ):
        assert mdp.parse_at_worker(frames).command == command
        assert mdp.parse_at_broker([b"id", *frames]).command == command
        assert mdp.is_worker([b"id", *frames])
    assert not mdp.is_worker([b"id", *mdp.build_request(b"echo", [], version)])


def test_the_form_of_majortomo_is_told_apart_by_its_frames():
    start, client = [b"id", b"", b"MDPW02"], [b"id", b"", b"MDPC02"]
    assert mdp.parse_at_broker([*start, b"\1", b"echo"]) == WorkerMessage(3, mdp.READY, b"echo", b"", [])
    assert mdp.parse_at_broker([*start, b"\3", b"c", b"", b"x"]) == WorkerMessage(
        3, mdp.PARTIAL, b"", b"c", [b"x"]
    )
    assert mdp.parse_at_broker([*start, b"\5"]).command == mdp.HEARTBEAT
    assert mdp.is_worker([*start, b"?"])
    assert mdp.parse_at_broker([*client, b"\2", b"echo", b"x"]) == ClientRequest(3, b"echo", b"echo", [b"x"])
    for frames in ([*client, b"\1", b"echo", b"x"], [*client, b"\2"], start):
        with pytest.raises(MalformedError):
            mdp.parse_at_broker(frames)
    assert mdp.build_reply(3, b"echo", [b"x"]) == [b"", b"MDPC02", b"\4", b"x"]
    assert mdp.build_reply(3, b"echo", [b"x"], final=False) == [b"", b"MDPC02", b"\3", b"x"]
    assert mdp.build_worker_request(3, b"c", [b"x"]) == [b"", b"MDPW02", b"\2", b"c", b"", b"x"]
    assert mdp.build_heartbeat(3) == [b"", b"MDPW02", b"\5"]


@given(st.lists(st.one_of(WORDS, st.binary(max_size=4)), max_size=7))
@settings(max_examples=400)
def test_no_frames_do_more_than_be_refused(frames):
    for parse in (mdp.parse_at_broker, mdp.parse_at_worker, mdp.parse_reply):
        try:
            parse(frames)
        except MalformedError as error:
            assert str(error)  # noqa: PT017 - it may as well not raise
    mdp.is_worker(frames)


@given(st.one_of(st.binary(max_size=20), st.builds(b"a\0ttl=%b".__mod__, st.binary(max_size=6))))
@settings(max_examples=200)
def test_no_marks_do_more_than_be_refused(label):
    for parse in (mdp.parse_request_marks, lambda one: mdp.parse_ready_marks([one, b"credit=" + one])):
        with contextlib.suppress(MalformedError):
            parse(label)


def test_marks_of_a_request_are_behind_its_name():
    label = mdp.build_label(b"echo", once=True, ttl_s=2.5)
    assert label == b"echo\0once\0ttl=2.5"
    assert mdp.parse_request_marks(label) == RequestMarks(once=True, ttl_s=2.5)
    assert mdp.parse_at_broker([b"id", *mdp.build_request(label, [])]).service == b"echo"
    for faulty in (
        b"echo\0twice",
        b"echo\0ttl=",
        b"echo\0ttl=-1",
        b"echo\0ttl=nan",
        b"echo\0ttl=inf",
        b"echo\0",
    ):
        with pytest.raises(MalformedError):
            mdp.parse_request_marks(faulty)


def test_marks_of_ready_are_frames_of_their_own():
    frames = mdp.build_ready(b"echo", 1, ReadyMarks(credit=64, once=True, beats=True))
    assert frames[4:] == [b"credit=64", b"once", b"beats"]
    assert mdp.parse_ready_marks([*frames[4:], b"color=blue"]) == ReadyMarks(credit=64, once=True, beats=True)
    for faulty in (b"credit=0", b"credit=", b"credit=99999", b"credit=4097", b"credit=-1", b"credit=x"):
        with pytest.raises(MalformedError):
            mdp.parse_ready_marks([faulty])


def test_names_have_1_to_255_bytes_without_nul():
    for name in (b"", b"x" * 256, b"a\0b"):
        with pytest.raises(MalformedError):
            mdp.build_ready(name)
        with pytest.raises(MalformedError):
            mdp.build_label(name)
    for label in (b"", b"x" * 256, b"\0once"):
        with pytest.raises(MalformedError):
            mdp.parse_at_broker([b"id", *mdp.build_request(label, [b"a"])])


def test_0_1_has_no_parts():
    with pytest.raises(MalformedError):
        mdp.build_worker_reply(b"client", [b"a"], 1, final=False)
