"""The verbs of `titanic.store`, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.bus.titanic_model import TitanicSettings
from wayhouse.bus.titanic_records import Records
from wayhouse.bus.titanic_store import TitanicStore
from wayhouse.bus.titanic_verbs import StoreVerbs

WALL = 1_700_000_000.0
Ask = Callable[..., list[bytes]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    limits = TitanicSettings(page=3, max_key_bytes=10, max_body_bytes=1000, history=3)
    store = TitanicStore(tmp_path / "titanic.db", WALL, limits)
    verbs = StoreVerbs(Records(store), limits)

    def ask(*frames: bytes, now: float = 0.0) -> list[bytes]:
        return verbs.answer(list(frames), now, WALL)

    yield ask
    store.close()


K = (b"s", b"x", b"k")


def test_set_get_delete_get_as_the_original_has_it(ask: Ask) -> None:
    assert ask(b"get", *K) == [*K, b"404"]
    assert ask(b"set", *K, b"100 %\0") == [*K, b"200"]
    assert ask(b"get", *K) == [*K, b"100 %\0", b"200"]
    assert ask(b"delete", *K) == [*K, b"200"]
    assert ask(b"get", *K) == [*K, b"404"]


def test_delete_of_more_and_of_nothing(ask: Ask) -> None:
    assert ask(b"delete", b"s", b"x", b"k") == [b"s", b"x", b"500"]
    assert ask(b"delete", b"s") == [b"s", b"200"]
    ask(b"set", *K, b"1")
    assert ask(b"delete", b"s", b"x") == [b"s", b"x", b"200"]
    ask(b"set", *K, b"1")
    assert ask(b"delete", b"s") == [b"s", b"200"]
    assert ask(b"get", *K)[-1] == b"404"


@pytest.mark.parametrize(
    ("frames", "answer"),
    [
        ((), [b"500"]),
        ((b"set", b"s", b"x", b"k"), [b"500"]),
        ((b"get", b"s"), [b"500"]),
        ((b"delete",), [b"500"]),
        ((b"explode",), [b"501"]),
        ((b"",), [b"501"]),
        ((b"set", b"s" * 11, b"x", b"k", b"v"), [b"500"]),
        ((b"set", b"s", b"x", b"k", b"v" * 1000), [b"500"]),
        ((b"set", *K, b"v", b"soon"), [*K, b"500"]),
        ((b"cas", *K, b"-1", b"v"), [*K, b"500"]),
        ((b"changes", b"9" * 30), [b"500"]),
        ((b"changes", b"x"), [b"x", b"500"]),
    ],
)
def test_what_is_wrong(ask: Ask, frames: tuple[bytes, ...], answer: list[bytes]) -> None:
    assert ask(*frames) == answer


def test_compare_and_set(ask: Ask) -> None:
    *names, revision, status = ask(b"cas", *K, b"0", b"one")
    assert (names, status) == ([*K], b"200")
    assert ask(b"cas", *K, b"0", b"two") == [*K, revision, b"409"]
    assert ask(b"cas", *K, revision, b"two")[-1] == b"200"
    assert ask(b"get", *K)[-2] == b"two"


def test_read_tells_the_revision_and_the_time_left(ask: Ask) -> None:
    assert ask(b"read", *K) == [*K, b"404"]
    ask(b"set", *K, b"v", b"10", now=100.0)
    answer = ask(b"read", *K, now=104.0)
    assert answer[:4] == [*K, b"v"]
    assert answer[5:] == [b"6.000", b"200"]
    assert ask(b"read", *K, now=110.0) == [*K, b"404"]
    ask(b"set", *K, b"v")
    assert ask(b"read", *K)[5:] == [b"", b"200"]


def test_history(ask: Ask) -> None:
    for value in (b"1", b"2", b"3", b"4"):
        ask(b"set", *K, value)
    ask(b"delete", *K)
    answer = ask(b"history", *K)
    assert answer[:3] == [*K]
    assert answer[-1] == b"200"
    assert answer[5:-1:4] == [b"deleted", b"set", b"set"]
    assert answer[6:-1:4] == [b"", b"4", b"3"]


def test_lists_and_how_to_go_on(ask: Ask) -> None:
    assert ask(b"list") == [b"200"]
    assert ask(b"list_keys", b"s", b"x") == [b"s", b"x", b"200"]
    for name in (b"1", b"2", b"3", b"4"):
        ask(b"set", b"s", b"x", name, b"v")
    assert ask(b"list") == [b"s", b"200"]
    assert ask(b"list", b"s") == [b"x", b"200"]
    assert ask(b"list", b"s", b"x") == [b"1", b"2", b"3", b"300"]
    assert ask(b"list_after", b"s", b"x", b"3") == [b"4", b"200"]
    assert ask(b"list_after", b"a") == [b"s", b"200"]
    assert ask(b"list_keys", b"s", b"x") == [b"s", b"x", b"1|2|3", b"300"]
    assert ask(b"list_keys", b"s") == [b"s", b"x", b"200"]


def test_changes(ask: Ask) -> None:
    for name in (b"1", b"2", b"3", b"4"):
        ask(b"set", b"s", b"x", name, b"v")
    answer = ask(b"changes", b"0")
    assert len(answer) == 3 * 6 + 1
    assert answer[-1] == b"300"
    more = ask(b"changes", answer[12])
    assert more[1:] == [b"set", b"s", b"x", b"4", b"v", b"200"]
    assert ask(b"changes", more[0]) == [b"200"]


WORDS: list[Any] = [
    b"set",
    b"get",
    b"delete",
    b"cas",
    b"read",
    b"history",
    b"list",
    b"list_after",
    b"list_keys",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*WORDS, b"changes", b"", b"x"]),
    st.lists(st.binary(max_size=12) | st.sampled_from([b"1", b"0", b"s", b"nan"]), max_size=7),
)
def test_whatever_comes_is_answered_with_a_status(ask: Ask, verb: bytes, frames: list[bytes]) -> None:
    assert ask(verb, *frames)[-1] in {b"200", b"300", b"404", b"409", b"500", b"501"}
