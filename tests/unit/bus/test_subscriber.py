"""The subscriber machine, alone and against the server's machine over a line that loses what it likes."""

# covers: bus/commands.py

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.bus.clone import BEAT, Clone
from wayhouse.bus.commands import Open, Send
from wayhouse.bus.kvmsg import HUGZ, ICANHAZ, KTHXBAI, Form
from wayhouse.bus.snapshots import KVPAGE, MOREPLZ, PAGED_PEER
from wayhouse.bus.subscriber import (
    Changed,
    Deleted,
    Lost,
    Patience,
    State,
    Subscriber,
    Synchronised,
    read_facts,
)


def seq(number: int) -> bytes:
    return struct.pack("!Q", number)


def update(key: str, number: int, body: bytes = b"v") -> list[bytes]:
    return [key.encode(), seq(number), b"", b"", body]


def end(number: int, facts: bytes = b"") -> list[bytes]:
    return [KTHXBAI, seq(number), b"", facts, b""]


def beat(server: str, number: int, count: int, subtree: bytes = b"") -> list[bytes]:
    return [BEAT + subtree, seq(0), b"", f"server={server}\nsequence={number}\ncount={count}\n".encode(), b""]


def live(subtree: bytes = b"", number: int = 10, count: int = 10) -> Subscriber:
    """One that follows a server `s` of ours, with one key."""
    machine = Subscriber(subtree, 0.0)
    machine.receive_update(beat("s", number, count, subtree), 0.0)
    machine.receive_snapshot(update("/a/x", 5), 0.0)
    machine.receive_snapshot(end(number, f"server=s\nsequence={number}\ncount={count}\n".encode()), 0.0)
    machine.outbox()
    machine.events()
    return machine


def told(machine: Subscriber) -> list[str]:
    return [
        f"{one.message.key}={one.message.body!r}" if isinstance(one, Changed)
        else f"-{one.key}" if isinstance(one, Deleted)
        else f"{type(one).__name__} {one.reason}"
        for one in machine.events()
    ]  # fmt: skip


def test_with_any_server_it_asks_after_a_moment_and_applies_by_sequence() -> None:
    machine = Subscriber(b"/a/", 0.0)
    assert machine.topics() == [b"/a/", HUGZ, BEAT + b"/a/"]
    assert machine.deadline() == 0.25
    machine.tick(0.25)
    assert machine.outbox() == [Open(), Send([ICANHAZ, b"/a/"])]
    machine.receive_update(update("/a/x", 6, b"in the snapshot"), 0.3)
    machine.receive_update(update("/a/y", 8, b"new"), 0.3)
    machine.receive_snapshot(update("/a/x", 6, b"6"), 0.3)
    machine.receive_snapshot(update("/a/z", 7, b"7"), 0.3)
    assert machine.kvmap == {}
    machine.receive_snapshot(end(7), 0.3)
    assert told(machine) == ["Synchronised start", "/a/x=b'6'", "/a/z=b'7'", "/a/y=b'new'"]
    machine.receive_update(update("/a/z", 12, b""), 0.4)
    machine.receive_update(update("/a/unknown", 13, b""), 0.4)
    assert told(machine) == ["-/a/z"]
    assert sorted(machine.kvmap) == ["/a/x", "/a/y"]
    assert machine.sequence == 13
    assert machine.deadline() is None


def test_a_beat_shows_that_the_subscription_stands() -> None:
    machine = Subscriber(b"", 0.0)
    machine.receive_update(beat("s", 1, 1), 0.01)
    assert machine.outbox() == [Open(), Send([ICANHAZ, b""])]


def test_a_number_that_is_missing_means_a_new_snapshot() -> None:
    machine = live()
    machine.receive_update(update("/a/x", 11, b"11"), 2.0)
    machine.receive_update(update("/a/x", 13, b"13"), 2.0)
    assert told(machine) == ["/a/x=b'11'", "Lost gap"]
    assert machine.outbox() == [Open(), Send([ICANHAZ, b""])]
    machine.receive_snapshot(update("/a/x", 13, b"13"), 2.0)
    machine.receive_snapshot(update("/a/y", 12, b"12"), 2.0)
    machine.receive_snapshot(end(13, b"server=s\nsequence=13\ncount=13\n"), 2.0)
    assert told(machine) == ["Synchronised gap", "/a/x=b'13'", "/a/y=b'12'"]


def test_in_a_subtree_the_count_shows_a_loss() -> None:
    machine = live(b"/a/", 10, 4)
    machine.receive_update(update("/a/x", 15), 1.5)
    machine.receive_update(beat("s", 20, 5, b"/a/"), 1.5)
    assert machine.state is State.LIVE
    machine.receive_update(beat("s", 21, 6, b"/a/"), 2.5)
    assert told(machine)[-1] == "Lost gap"


def test_a_beat_from_before_the_snapshot_says_nothing() -> None:
    machine = live(b"/a/", 10, 4)
    machine.receive_update(beat("s", 9, 3, b"/a/"), 0.1)
    machine.receive_update(beat("s", 10, 4, b"/a/"), 0.1)
    machine.receive_update(beat("s", 99, 99, b"/other/"), 0.1)
    assert machine.state is State.LIVE


def test_another_server_means_a_new_snapshot_and_deleted_keys_are_told() -> None:
    machine = live()
    machine.receive_update(beat("other", 0, 0), 2.0)
    assert told(machine) == ["Lost restart"]
    machine.receive_snapshot(end(0, b"server=other\nsequence=0\ncount=0\n"), 2.0)
    assert told(machine) == ["Synchronised restart", "-/a/x"]


def test_with_any_server_a_number_that_falls_is_a_restart() -> None:
    machine = Subscriber(b"/a/", 0.0)
    machine.tick(1.0)
    machine.receive_snapshot(end(10), 1.0)
    machine.receive_update(update("/a/x", 12), 3.0)
    machine.receive_update(update("/a/x", 1), 3.0)
    assert told(machine)[-1] == "Lost restart"
    assert machine.state is State.ASKING


def test_silence_after_hugz_is_a_loss_and_it_asks_until_answered() -> None:
    machine = live()
    assert machine.deadline() == 5.0
    machine.receive_update([HUGZ, seq(0), b"", b"", b""], 4.0)
    machine.tick(5.0)
    assert machine.events() == []
    machine.tick(9.0)
    assert told(machine) == ["Lost silence"]
    assert machine.outbox()[0] == Open()
    machine.tick(14.0)
    assert machine.outbox() == [Open(), Send([ICANHAZ, b""])]


def test_between_two_questions_there_is_a_pause() -> None:
    machine = live()
    machine.receive_update(update("/a/x", 13), 0.5)
    assert machine.outbox() == []
    assert machine.deadline() == 1.0
    machine.tick(1.0)
    assert len(machine.outbox()) == 2


def test_a_snapshot_that_stops_is_asked_for_anew() -> None:
    machine = Subscriber(b"", 0.0)
    machine.tick(0.25)
    machine.outbox()
    machine.receive_snapshot(update("/old", 1), 4.0)
    machine.tick(8.9)
    assert machine.outbox() == []
    machine.tick(9.0)
    assert machine.outbox()[0] == Open()
    machine.receive_snapshot(end(9), 9.0)
    assert machine.kvmap == {}


def test_pages_are_answered_with_credit() -> None:
    machine = Subscriber(b"", 0.0)
    machine.tick(0.25)
    machine.outbox()
    machine.receive_snapshot([KVPAGE, b"\x91\x93\xc4\x02/a\xc4\x08" + seq(3) + b"\xc4\x01v"], 0.3)
    assert machine.outbox() == [Send([MOREPLZ])]
    machine.receive_snapshot(end(3), 0.3)
    assert machine.kvmap["/a"].body == b"v"


def test_too_many_updates_while_it_waits_are_given_up_for_a_new_snapshot() -> None:
    machine = Subscriber(b"", 0.0, Patience(buffer=10))
    machine.tick(0.25)
    for number in range(1, 12):
        machine.receive_update(update("/a", number), 0.3)
    assert machine.state is State.WAITING
    assert machine.deadline() == 1.25


def test_old_forms_work_too() -> None:
    machine = Subscriber(b"", 0.0)
    machine.tick(0.25)
    machine.receive_snapshot([b"/a", b"\0\0\0\1", b"v"], 0.3)
    machine.receive_snapshot([KTHXBAI, b"\0\0\0\1", b""], 0.3)
    machine.receive_update([b"/a", b"\0\0\0\2", b"w"], 0.3)
    assert machine.kvmap["/a"].body == b"w"


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.lists(st.binary(max_size=20) | st.sampled_from([KTHXBAI, KVPAGE, BEAT, seq(1)]), max_size=6),
        )
    )
)
def test_nothing_that_comes_stops_it(messages: list[tuple[bool, list[bytes]]]) -> None:
    machine = Subscriber(b"", 0.0)
    machine.tick(1.0)
    for is_update, frames in messages:
        (machine.receive_update if is_update else machine.receive_snapshot)(frames, 1.0)
    assert isinstance(machine.kvmap, dict)


@given(st.binary(max_size=100))
def test_any_facts_are_understood_or_refused(lines: bytes) -> None:
    try:
        read_facts(lines)
    except BadInputError:
        return


class Line:
    """A server and a subscriber, and what is between them: whole messages, in order, some of which are lost when wished."""

    def __init__(self, subtree: bytes, form: Form) -> None:
        self.now = 0.0
        self.form = form
        self.runs = 0
        self.loses = False
        self.subtree = subtree
        self.subscriber = Subscriber(subtree, 0.0)
        self.subscription: list[list[bytes]] = []
        self.answers: list[list[bytes]] = []
        self.identity = b""
        self.opened = 0
        self.shown: dict[str, bytes] = {}
        self.start()

    def start(self) -> None:
        """A server begins, with nothing; what was on its way from the last one may still come."""
        self.runs += 1
        self.clone = Clone(b"%016d" % self.runs, self.now, form=self.form, sequence=self.runs << 20)
        self.answers = []
        self.clone.receive_subscription(b"\1" + BEAT + self.subtree, self.now)

    def step(self, delay_s: float, deliveries: int) -> None:
        self.now += delay_s
        self.clone.tick(self.now)
        self._serve()
        for _ in range(deliveries):
            if self.subscription:
                self.subscriber.receive_update(self.subscription.pop(0), self.now)
            if self.answers:
                self.subscriber.receive_snapshot(self.answers.pop(0), self.now)
        self.subscriber.tick(self.now)
        self._do()
        self._watch()

    def _serve(self) -> None:
        for frames in self.clone.outbox():
            if frames[0].startswith((self.subtree, HUGZ)) and not self.loses:
                self.subscription.append(frames)
        for stream in self.clone.snapshots.ready(self.now):
            piece = stream.piece()
            stream.sent(len(piece), self.now)
            self.answers += [one[1:] for one in piece if one[0] == self.identity]

    def _do(self) -> None:
        for command in self.subscriber.outbox():
            if isinstance(command, Open):
                self.opened += 1
                self.identity = (PAGED_PEER if self.opened % 2 else b"peer") + b"%d" % self.opened
                self.answers = []
            else:
                self.clone.receive_request([self.identity, *command.frames], self.now)

    def _watch(self) -> None:
        """A listener that only follows the events."""
        for event in self.subscriber.events():
            if isinstance(event, Changed):
                self.shown[event.message.key or ""] = event.message.body or b""
            elif isinstance(event, Deleted):
                del self.shown[event.key]
            else:
                assert isinstance(event, Synchronised | Lost)

    def settle(self) -> None:
        self.loses = False
        for _ in range(40):
            self.step(0.5, 1000)

    def truth(self) -> dict[str, bytes]:
        return {
            key.decode(): item[2] for key, item in self.clone._map.items() if key.startswith(self.subtree)
        }


KEYS = st.sampled_from([b"/a/1", b"/a/2", b"/a/3", b"/b/1"])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.sampled_from([b"", b"1", b"2"])),
    st.tuples(st.just("ttl"), KEYS, st.just(b"ttl=1\n")),
    st.tuples(st.just("lost"), KEYS, st.sampled_from([b"", b"1", b"2"])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("step"), st.sampled_from([0.0, 0.01, 0.5, 1.0]), st.sampled_from([0, 1, 2, 50])),
)


@pytest.mark.parametrize("form", [Form.CHP, Form.SIMPLE])
@pytest.mark.parametrize("subtree", [b"", b"/a/"])
@given(st.booleans(), st.lists(STEPS, max_size=30))
def test_whatever_is_lost_the_copy_becomes_the_map(
    form: Form,
    subtree: bytes,
    begins_live: bool,
    steps: list[tuple],  # type: ignore[type-arg]
) -> None:
    line = Line(subtree, form)
    if begins_live:
        line.settle()
    for step in steps:
        if step[0] in {"put", "lost"}:
            line.clone.receive_update([step[1], seq(0), step[2]], line.now)
        if step[0] == "lost":
            line.loses = True
            line.step(0.01, 0)
            line.loses = False
        elif step[0] == "ttl":
            line.clone.receive_update([step[1], seq(0), b"", step[2], b"short"], line.now)
        elif step[0] == "restart":
            line.start()
        elif step[0] == "step":
            line.step(step[1], step[2])
    line.settle()
    copy = {key: message.body for key, message in line.subscriber.kvmap.items()}
    assert line.subscriber.state is State.LIVE
    assert copy == line.truth() == line.shown
