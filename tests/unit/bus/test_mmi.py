import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus import mdp, mmi
from wayhouse.bus.broker import Broker


class Asked:
    def __init__(self):
        self.broker = Broker(
            topics=lambda start: [one for one in (b"/device/a", b"/log/b") if one.startswith(start)]
        )
        for peer, name in (
            (b"1", b"localhost.fake.devices"),
            (b"2", b"localhost.fake.mmi"),
            (b"3", b"localhost.fake.mmi"),
        ):
            self.broker.receive([peer, *mdp.build_ready(name)], 0.0)
        self.broker.receive([b"C", *mdp.build_request(b"nobody", [b"x"])], 0.0)
        self.broker.outbox()

    def __call__(self, name, *body, version=1):
        self.broker.receive([b"C", *mdp.build_request(name, list(body), version)], 0.0)
        [[peer, *frames]] = self.broker.outbox()
        reply = mdp.parse_reply(frames)
        assert (peer, reply.service, reply.version, reply.final) == (b"C", name, version, True)
        return reply.body


@pytest.fixture
def ask():
    return Asked()


def test_a_service_is_there_when_it_has_a_worker(ask):
    assert ask(b"mmi.service", b"localhost.fake.mmi") == [b"200"]
    assert ask(b"mmi.service", b"nobody") == [b"404"]  # known, for a request waits there
    assert ask(b"mmi.service", b"never heard") == [b"404"]
    assert ask(b"mmi.service", b"mmi.echo") == [b"200"]
    assert ask(b"mmi.service") == [b"400"]
    assert ask(b"mmi.service", b"localhost.fake.mmi", version=2) == [b"200"]


def test_unknown_names_are_answered_with_501_in_place_of_the_last_frame(ask):
    assert ask(b"mmi.other", b"a", b"b") == [b"a", b"501"]
    assert ask(b"mmi.other", b"a") == [b"501"]
    assert ask(b"mmi.") == [b"501"]
    assert ask(b"mmi.helper.other", b"a") == [b"501"]
    assert ask(b"mmi.\xff", b"a") == [b"501"]


def test_discovery_lists_what_the_pattern_finds(ask):
    both = [b"localhost.fake.devices", b"200"]
    assert ask(b"mmi.discovery", rb".*\.devices\..*") == both
    assert ask(b"mmi.discovery", rb".*\.devices$") == both
    assert ask(b"mmi.discovery", b"fake") == [b"localhost.fake.devices", b"localhost.fake.mmi", b"200"]
    assert ask(b"mmi.discovery", b"nothing") == [b"200"]
    for bad in (b"(", b"\xff", rb"(a)\1"):
        assert ask(b"mmi.discovery", bad) == [b"501"]
    assert len(ask(b"mmi.discovery")) == 3


def test_echo_and_ping(ask):
    assert ask(b"mmi.echo", b"a", b"b") == [b"a", b"b", b"200"]
    assert ask(b"mmi.echo") == [b"200"]
    assert ask(b"mmi.echo", b"x" * 65_537) == [b"400"]
    assert ask(b"mmi.ping") == [b"200"]


def test_the_directory_and_its_helpers(ask):
    assert ask(b"mmi.directory") == [b"localhost.fake.devices=1|localhost.fake.mmi=2", b"200"]
    assert ask(b"mmi.helper.replies", b"localhost.fake.m") == [b"localhost.fake.mmi=2", b"200"]
    assert ask(b"mmi.helper.topics") == [b"/device/a|/log/b", b"200"]
    assert ask(b"mmi.helper.topics", b"/log") == [b"/log/b", b"200"]
    assert b"mmi.helper.topics" in ask(b"mmi.helper.mmi")[0].split(b"|")


def test_figures_are_json(ask):
    info, stats = json.loads(ask(b"mmi.info")[0]), json.loads(ask(b"mmi.stats")[0])
    assert info["settings"]["heartbeat_s"] == 2.5
    assert "MDP/0.2" in info["protocols"]
    assert stats["now"] == {"services": 3, "workers": 3, "queued": 1, "held": 0, "bytes": 1}
    assert stats["clone"] is None
    assert stats["counters"]["mmi"] == 2
    [first, *_] = json.loads(ask(b"mmi.services")[0])
    assert first == {"name": "localhost.fake.devices", "workers": 1, "idle": 1, "queued": 0}
    assert len(json.loads(ask(b"mmi.workers")[0])) == 3
    [only] = json.loads(ask(b"mmi.workers", b"localhost.fake.devices")[0])
    assert (only["identity"], only["credit"], only["held"]) == ("31", 1, 0)


@given(st.sampled_from((*mmi.ALL, "x")), st.lists(st.binary(max_size=12), max_size=3))
@settings(max_examples=200, deadline=None)
def test_every_question_is_answered_with_a_status(name, body):
    assert Asked()(f"mmi.{name}".encode(), *body)[-1] in {b"200", b"400", b"404", b"501"}
