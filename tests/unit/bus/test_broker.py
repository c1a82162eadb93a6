# covers: bus/dispatcher.py, bus/requests.py, bus/services.py
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus import mdp
from wayhouse.bus.broker import Broker
from wayhouse.bus.mdp import ReadyMarks
from wayhouse.bus.model import BrokerSettings, ServiceDown, ServiceUp, WorkerJoined, WorkerLeft

DISCONNECT = [b"", b"MDPW01", b"\5"]


class Play:
    """A broker, and what each peer has got."""

    def __init__(self, **wishes):
        self.broker = Broker(BrokerSettings(**{"adaptive_credit": False, **wishes}))
        self.got = {}
        self.now = 0.0

    def says(self, peer, frames):
        self.broker.receive([peer, *frames], self.now)
        self.carry()

    def carry(self):
        for peer, *frames in self.broker.outbox():
            self.got.setdefault(peer, []).append(frames)

    def ready(self, peer, service=b"echo", version=1, **marks):
        self.says(peer, mdp.build_ready(service, version, ReadyMarks(**marks)))

    def asks(self, peer, *body, label=b"echo", version=1):
        self.says(peer, mdp.build_request(label, list(body), version))

    def answers(self, peer, *body, version=1, final=True):
        """To the oldest request that the worker has and has not answered."""
        work = next(one for one in self.got[peer] if mdp.parse_at_worker(one).command == mdp.REQUEST)
        if final:
            self.got[peer].remove(work)
        self.says(
            peer, mdp.build_worker_reply(mdp.parse_at_worker(work).client, list(body), version, final=final)
        )

    def passes(self, seconds):
        self.now += seconds
        self.broker.tick(self.now)
        self.carry()

    def takes(self, peer):
        return self.got.pop(peer, [])

    def work_of(self, peer):
        """Bodies of the requests that a worker got and did not answer."""
        told = [mdp.parse_at_worker(frames) for frames in self.got.get(peer, [])]
        return [one.body for one in told if one.command == mdp.REQUEST]

    @property
    def counted(self):
        return self.broker.counters


def test_a_request_goes_to_a_worker_and_its_reply_back():
    play = Play()
    play.ready(b"W")
    play.asks(b"C", b"hello", b"you")
    assert play.work_of(b"W") == [[b"hello", b"you"]]
    play.answers(b"W", b"world")
    assert play.takes(b"C") == [[b"", b"MDPC01", b"echo", b"world"]]


def test_requests_wait_for_a_worker_and_keep_their_order():
    play = Play()
    for number in (b"1", b"2", b"3"):
        play.asks(b"C", number)
    play.ready(b"W")
    for number in (b"1", b"2", b"3"):
        assert play.work_of(b"W") == [[number]]
        play.answers(b"W", b"done " + number)
    assert [frames[-1] for frames in play.takes(b"C")] == [b"done 1", b"done 2", b"done 3"]


def test_the_worker_that_was_idle_longest_is_next():
    play = Play()
    for worker in (b"W1", b"W2", b"W3"):
        play.ready(worker)
    for number in range(5):
        play.asks(b"C", b"%d" % number)
    assert (play.work_of(b"W1"), play.work_of(b"W2"), play.work_of(b"W3")) == ([[b"0"]], [[b"1"]], [[b"2"]])
    play.answers(b"W2", b"")
    assert play.work_of(b"W2") == [[b"3"]]


def test_a_client_of_0_1_gets_the_parts_of_a_worker_of_0_2_in_one_reply():
    play = Play()
    play.ready(b"W", version=2)
    play.asks(b"C", b"count")
    play.answers(b"W", b"one", version=2, final=False)
    play.answers(b"W", b"two", b"three", version=2, final=False)
    assert not play.takes(b"C")
    play.answers(b"W", b"four", version=2)
    assert play.takes(b"C") == [[b"", b"MDPC01", b"echo", b"one", b"two", b"three", b"four"]]
    assert play.broker._dispatcher.account.bytes == 0


def test_a_client_of_0_2_gets_the_reply_of_a_worker_of_0_1_as_final_and_parts_as_they_come():
    play = Play()
    play.ready(b"W1", version=1)
    play.asks(b"C", b"x", version=2)
    play.answers(b"W1", b"whole")
    assert play.takes(b"C") == [[b"MDPC02", b"\3", b"echo", b"whole"]]
    play.says(b"W1", DISCONNECT)
    play.ready(b"W2", version=2)
    play.asks(b"C", b"x", version=2)
    play.answers(b"W2", b"some", version=2, final=False)
    assert play.takes(b"C") == [[b"MDPC02", b"\2", b"echo", b"some"]]
    play.answers(b"W2", b"rest", version=2)
    assert play.takes(b"C") == [[b"MDPC02", b"\3", b"echo", b"rest"]]


def test_too_many_parts_for_a_client_of_0_1_are_refused_once():
    play = Play(max_partial_bytes=200)
    play.ready(b"W", version=2)
    play.asks(b"C", b"x")
    for _ in range(5):
        play.answers(b"W", b"x" * 50, version=2, final=False)
    play.answers(b"W", b"end", version=2)
    [reply] = play.takes(b"C")
    assert reply[3] == reply[-1] == b"500"
    assert reply[4].startswith(b"queue-full: ")
    assert play.broker._dispatcher.account.bytes == 0
    assert not play.work_of(b"W")


@pytest.mark.parametrize(
    "end", ["expired", "disconnect", "unreachable", "ready twice", "malformed", "wrong version"]
)
def test_what_a_lost_worker_held_goes_to_another_before_all_others(end):
    play = Play(heartbeat_s=1.0)
    play.ready(b"W1", credit=3, beats=True)
    for number in (b"1", b"2", b"3", b"4"):
        play.asks(b"C", number)
    assert len(play.work_of(b"W1")) == 3
    if end == "expired":
        play.passes(10)
    elif end == "disconnect":
        play.says(b"W1", DISCONNECT)
    elif end == "unreachable":
        play.broker.undelivered([b"W1", *mdp.build_heartbeat()], 0.0)
    elif end == "ready twice":
        play.ready(b"W1")
    elif end == "malformed":
        play.says(b"W1", [b"", b"MDPW01", b"\x77"])
    else:
        play.says(b"W1", mdp.build_heartbeat(2))
    play.ready(b"W2", credit=9)
    assert play.work_of(b"W2") == [[b"1"], [b"2"], [b"3"], [b"4"]]
    assert b"W1" not in play.broker.workers
    assert play.counted.requeued == 3


def test_a_request_marked_once_is_not_given_to_a_second_worker():
    play = Play()
    play.ready(b"W1")
    play.asks(b"C", b"pay", label=mdp.build_label(b"echo", once=True))
    play.says(b"W1", DISCONNECT)
    play.ready(b"W2")
    assert not play.work_of(b"W2")
    [reply] = play.takes(b"C")
    assert reply[:4] == [b"", b"MDPC01", b"echo\0once", b"500"]
    assert reply[4].startswith(b"worker-lost: ")


def test_a_worker_may_say_so_for_all_its_requests():
    play = Play()
    play.ready(b"W1", once=True)
    play.asks(b"C", b"pay")
    play.says(b"W1", DISCONNECT)
    assert play.takes(b"C")[0][-1] == b"500"


def test_a_request_that_was_partly_answered_is_not_run_again():
    play = Play()
    play.ready(b"W1", version=2)
    play.asks(b"C", b"x", version=2)
    play.answers(b"W1", b"some", version=2, final=False)
    play.says(b"W1", mdp.build_disconnect(2))
    play.ready(b"W2")
    assert [frames[1] for frames in play.takes(b"C")] == [b"\2", b"\3"]
    assert not play.work_of(b"W2")


def test_parts_of_a_lost_worker_are_forgotten_when_another_begins_again():
    play = Play()
    play.ready(b"W1", version=2)
    play.asks(b"C", b"x")
    play.answers(b"W1", b"some", version=2, final=False)
    play.says(b"W1", mdp.build_disconnect(2))
    play.ready(b"W2")
    play.answers(b"W2", b"all")
    assert play.takes(b"C") == [[b"", b"MDPC01", b"echo", b"all"]]
    assert play.broker._dispatcher.account.bytes == 0


def test_a_request_cannot_end_one_worker_after_another_for_ever():
    play = Play(deliveries=3)
    play.asks(b"C", b"poison")
    play.asks(b"D", b"good")
    for number in range(3):
        play.ready(b"W%d" % number, credit=2)
        assert play.work_of(b"W%d" % number) == [[b"poison"], [b"good"]]
        play.says(b"W%d" % number, DISCONNECT)
    assert play.takes(b"C")[0][4].startswith(b"worker-lost")
    play.ready(b"W9")
    assert play.work_of(b"W9") == [[b"good"]]


@pytest.mark.parametrize("version", [1, 2])
def test_what_could_not_be_sent_is_no_delivery(version):
    play = Play(deliveries=2)
    for number in (b"1", b"2", b"3"):
        play.asks(b"C", number, label=mdp.build_label(b"echo", once=number != b"1"))
    for _ in range(100):
        play.broker.receive([b"W", *mdp.build_ready(b"echo", version, ReadyMarks(credit=3))], play.now)
        first, *_ = play.broker.outbox()
        play.broker.undelivered(first, play.now)
        play.carry()
    assert not play.got
    play.ready(b"W", version=version, credit=3)
    assert play.work_of(b"W") == [[b"1"], [b"2"], [b"3"]]


def test_only_what_a_worker_got_is_charged_when_the_next_cannot_be_sent():
    play = Play(deliveries=1)
    play.ready(b"W", credit=2)
    play.asks(b"C", b"1", label=mdp.build_label(b"echo", once=True))
    play.broker.receive([b"D", *mdp.build_request(mdp.build_label(b"echo", once=True), [b"2"])], play.now)
    [second] = play.broker.outbox()
    play.broker.undelivered(second, play.now)
    play.carry()
    assert play.takes(b"C")[0][4].startswith(b"worker-lost")
    play.ready(b"W2")
    assert play.work_of(b"W2") == [[b"2"]]


def test_idle_workers_get_heartbeats_and_expire_also_behind_live_ones():
    play = Play(heartbeat_s=1.0, liveness=3)
    play.ready(b"alive")
    play.ready(b"dead")
    for _ in range(5):
        play.passes(1.0)
        play.says(b"alive", mdp.build_heartbeat())
    assert list(play.broker.workers) == [b"alive"]
    assert play.takes(b"alive").count([b"", b"MDPW01", b"\4"]) == 5
    assert DISCONNECT in play.takes(b"dead")


def test_a_worker_at_work_may_be_silent_until_its_deadline():
    play = Play(heartbeat_s=1.0, busy_timeout_s=60)
    play.ready(b"W")
    play.asks(b"C", b"long")
    for _ in range(50):
        play.passes(1.0)
    assert b"W" in play.broker.workers
    assert [b"", b"MDPW01", b"\4"] in play.got[b"W"]  # so that one that is gone is found
    for _ in range(15):
        play.passes(1.0)
    assert b"W" not in play.broker.workers
    play.ready(b"W2")
    assert play.work_of(b"W2") == [[b"long"]]


def test_a_silent_worker_is_not_given_a_request():
    play = Play(heartbeat_s=1.0)
    play.ready(b"W")
    play.now = 100.0
    play.asks(b"C", b"x")
    assert not play.work_of(b"W")
    play.ready(b"W2")
    assert play.work_of(b"W2") == [[b"x"]]


def test_requests_that_nobody_takes_are_told_so():
    play = Play(request_ttl_s=10)
    play.asks(b"C", b"x")
    play.asks(b"D", b"y", label=mdp.build_label(b"echo", ttl_s=2))
    play.passes(4)
    assert play.takes(b"D")[0][4].startswith(b"expired: ")
    assert not play.takes(b"C")
    play.passes(8)
    assert play.takes(b"C")[0][4].startswith(b"expired: ")
    assert not play.broker.services
    assert play.counted.expired == 2
    assert play.broker._dispatcher.account.bytes == 0
    assert len(play.broker._dispatcher._expiries) == 0


def test_the_queues_are_bounded_by_count_per_service_by_count_and_by_bytes():
    play = Play(max_queued_per_service=2, max_queued=3, queue_bytes=10_000)
    for _ in range(3):
        play.asks(b"C", b"x")
    assert play.takes(b"C")[0][4].startswith(b"queue-full: ")
    for _ in range(2):
        play.asks(b"D", b"x", label=b"other")
    assert len(play.takes(b"D")) == 1
    big = Play(queue_bytes=1000)
    for _ in range(2):
        big.asks(b"E", b"x" * 600)
    assert big.takes(b"E")[0][-1] == b"500"


def test_services_and_workers_are_bounded():
    play = Play(max_services=2, max_workers=1)
    for name in (b"a", b"b", b"c"):
        play.asks(b"C", b"x", label=name)
    assert play.takes(b"C")[0][2] == b"c"
    play.ready(b"W1", b"a")
    play.ready(b"W2", b"a")
    assert play.takes(b"W2") == [DISCONNECT]
    play.ready(b"W3", b"d")
    assert play.takes(b"W3") == [DISCONNECT]


def test_strangers_are_sent_away():
    play = Play()
    for frames in (mdp.build_heartbeat(), mdp.build_worker_reply(b"C", [b"x"]), mdp.build_ready(b"mmi.own")):
        play.says(b"S", frames)
        assert play.takes(b"S") == [DISCONNECT]
    play.says(b"S", [*mdp.build_ready(b"echo", 1), b"credit=none"])
    assert play.takes(b"S") == [DISCONNECT]
    play.says(b"S", DISCONNECT)
    assert not play.takes(b"S")


def test_an_answer_to_what_a_worker_does_not_hold_reaches_nobody():
    play = Play()
    play.ready(b"W")
    play.says(b"W", mdp.build_worker_reply(b"C", [b"forged"]))
    assert not play.takes(b"C")
    assert play.counted.stale == 1
    play.says(b"W", mdp.build_worker_reply(b"C", [b"forged"]))
    play.ready(b"V", version=2)
    play.says(b"V", mdp.build_worker_reply(b"C", [b"forged"], 2, final=False))
    assert play.counted.stale == 3
    assert b"W" in play.broker.workers


def test_marks_that_are_not_understood_are_refused():
    play = Play()
    play.asks(b"C", b"x", label=b"echo\0twice")
    [reply] = play.takes(b"C")
    assert reply[3] == reply[-1] == b"400"
    assert reply[4].startswith(b"bad-marks: ")


def test_a_request_without_a_body_has_one_empty_frame_for_the_worker():
    play = Play()
    play.ready(b"W")
    play.asks(b"C")
    assert play.work_of(b"W") == [[b""]]


@pytest.mark.parametrize(
    "frames",
    [
        [b"", b"MDPC01", b"echo"],
        [b""],
        [b"junk"],
        [],
        [b"", b"MDPW01"],
        [b"", b"MDPW01", b"\1"],
        [b"", b"MDPC01", b"mmi.service"],
        [b"", b"MDPW01", b""],
        [b"MDPC02"],
        [b"MDPC02", b"\1"],
        [b"MDPW02", b"\1"],
        [b"", b"MDPC01"],
    ],
)
def test_one_message_does_not_end_it(frames):
    play = Play()
    play.says(b"X", frames)
    play.ready(b"W")
    play.says(b"W", frames)
    play.asks(b"C", b"x", label=b"mmi.ping")
    assert play.takes(b"C") == [[b"", b"MDPC01", b"mmi.ping", b"200"]]


def test_the_end_is_told_to_every_worker():
    play = Play()
    play.ready(b"W1")
    play.ready(b"W2", version=2)
    play.broker.shutdown(0.0)
    play.carry()
    assert play.takes(b"W1") == [DISCONNECT]
    assert play.takes(b"W2") == [[b"MDPW02", b"\6"]]


def test_events_tell_of_workers_and_services():
    play = Play(max_events=10)
    play.ready(b"W")
    play.says(b"W", DISCONNECT)
    assert play.broker.events() == [
        WorkerJoined(b"W", b"echo"),
        ServiceUp(b"echo"),
        WorkerLeft(b"W", b"echo", "disconnect", 0),
        ServiceDown(b"echo"),
    ]
    for _ in range(50):
        play.ready(b"W")
        play.says(b"W", DISCONNECT)
    assert len(play.broker.events()) == 10
    assert not play.broker.events()


def test_credit_grows_for_a_worker_that_keeps_up_and_stays_for_a_slow_one():
    for took, expected in ((0.0001, 16), (0.05, 1)):
        play = Play(adaptive_credit=True, credit_max=16)
        play.ready(b"W")
        for _ in range(500):
            play.asks(b"C", b"x")
        while play.work_of(b"W"):
            play.now += took
            play.answers(b"W", b"y")
            assert len(play.work_of(b"W")) <= play.broker.workers[b"W"].window.size
            if len(play.got[b"C"]) == 300:
                break
        assert play.broker.workers[b"W"].window.size == expected


def test_the_deadline_is_the_next_heartbeat_or_the_next_look_at_the_queues():
    play = Play(heartbeat_s=10)
    assert play.broker.deadline() == 10
    play.asks(b"C", b"x")
    assert play.broker.deadline() == 1


def test_a_client_that_is_gone_costs_nobody_anything():
    play = Play()
    play.ready(b"W")
    play.broker.undelivered([b"C", *mdp.build_reply(1, b"echo", [b"x"])], 0.0)
    play.broker.undelivered([b"W", *mdp.build_reply(1, b"echo", [b"x"])], 0.0)  # a worker may be a client too
    assert b"W" in play.broker.workers
    assert play.counted.undeliverable == 2


PEERS = [b"P%d" % number for number in range(5)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ready", "ask", "answer", "part", "beat", "bye", "junk", "gone", "time"]),
        st.integers(0, 999),
    ),
    max_size=60,
)


@given(STEPS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_request_is_answered_once_whatever_happens(steps, adaptive):
    play = Play(adaptive_credit=adaptive, heartbeat_s=1.0, request_ttl_s=20, max_queued=12, deliveries=2)
    asked = 0
    for step, number in steps:
        choice = random.Random(number)
        peer, version = choice.choice(PEERS), choice.choice([1, 2])
        if step == "ready":
            play.ready(
                peer,
                choice.choice([b"echo", b"other"]),
                version,
                credit=choice.choice([None, 1, 3]),
                beats=True,
            )
        elif step == "ask":
            asked += 1
            label = mdp.build_label(choice.choice([b"echo", b"other"]), once=choice.random() < 0.2)
            play.asks(b"C%d" % asked, b"x", label=label, version=version)
        elif step in {"answer", "part"} and peer in play.broker.workers and play.broker.workers[peer].held:
            worker = play.broker.workers[peer]
            key = choice.choice(list(worker.held))
            final = step == "answer" or worker.version == 1
            play.says(peer, mdp.build_worker_reply(key, [b"y"], worker.version, final=final))
        elif step == "beat":
            play.says(peer, mdp.build_heartbeat(version))
        elif step == "bye":
            play.says(peer, mdp.build_disconnect(version))
        elif step == "junk":
            play.says(peer, [b"", choice.choice([b"MDPW01", b"MDPC01"]), bytes([number % 9])])
        elif step == "gone":
            play.broker.undelivered([peer, *mdp.build_heartbeat()], play.now)
            play.carry()
        else:
            play.passes(number % 4)
        _holds_together(play)
    for _ in range(30):
        play.passes(11)  # no worker lives that long, and no request waits that long
    assert not play.broker.workers
    assert not play.broker.services
    assert play.broker._dispatcher.account.bytes == play.broker._dispatcher.account.queued == 0
    for number in range(1, asked + 1):
        finals = [one for one in play.got[b"C%d" % number] if mdp.parse_reply(one).final]
        assert len(finals) == 1


def _holds_together(play):
    broker = play.broker
    assert (
        broker._dispatcher.account.queued
        == sum(len(one.queue) for one in broker.services.values())
        == len(broker._dispatcher._expiries)
    )
    for service in broker.services.values():
        assert not (service.queue and (service.idle or service.spare))
        assert service.workers == sum(worker.service is service for worker in broker.workers.values())
        for worker in (*service.idle.values(), *service.spare.values()):
            assert broker.workers[worker.identity] is worker
            assert len(worker.held) < worker.window.size


def test_a_thousand_silent_workers_are_forgotten_at_once():
    play = Play(heartbeat_s=1.0, credit_max=2)
    for number in range(1000):
        play.ready(b"W%d" % number, credit=2, beats=True)
        play.asks(b"C", b"x")
    play.now = 100.0
    play.asks(b"C", b"y")
    assert not play.broker.workers
    play.passes(10)
    play.ready(b"new", credit=2)
    assert len(play.work_of(b"new")) == 2


def test_cost_does_not_grow_with_what_waits():
    """Counted in steps of the interpreter, not in time."""
    empty, full = Play(max_queued=200_000), Play(max_queued=200_000)
    for number in range(1000):
        full.ready(b"W%d" % number, b"s%d" % number)
        for _ in range(11):
            full.broker.receive([b"C", *mdp.build_request(b"s%d" % number, [b"x"])], 0.0)
    full.broker.outbox()
    steps = [_steps(play) for play in (empty, full)]
    assert steps[1] <= 1.2 * steps[0]


def _steps(play):
    import sys

    play.ready(b"W")
    count = 0

    def trace(*_):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for _ in range(5):
            play.asks(b"C", b"x")
            play.answers(b"W", b"y")
    finally:
        sys.settrace(before)
    return count


WORDS = [
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
    b"mmi.stats",
]
MESSAGES = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=6)), max_size=7)


@given(st.lists(st.tuples(st.sampled_from(PEERS), MESSAGES), max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_messages_end_it(messages):
    play = Play()
    for peer, frames in messages:
        play.says(peer, frames)
        play.passes(0.3)
    _holds_together(play)
    play.asks(b"C", label=b"mmi.ping")
    assert play.takes(b"C") == [[b"", b"MDPC01", b"mmi.ping", b"200"]]
