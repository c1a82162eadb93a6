"""The timers of one peer, each by itself."""
# covers: overlay/wireguard/timing.py

from __future__ import annotations

from wayhouse.overlay.wireguard.timers import Due, Timers
from wayhouse.overlay.wireguard.timing import NEVER, Timing

EXACT = Timing(jitter_s=0.0)


def timers(persistent_s: float = 0.0) -> Timers:
    found = Timers(EXACT)
    found.persistent_s = persistent_s
    return found


def test_nothing_is_due_at_first() -> None:
    assert timers().due() == NEVER
    assert timers().take(1e9) == []


def test_the_protocols_times() -> None:
    timing = Timing()
    assert (timing.rekey_after_s, timing.reject_after_s, timing.rekey_timeout_s) == (120, 180, 5)
    assert (timing.new_handshake_s, timing.last_minute_s, timing.erase_after_s) == (15, 165, 540)


def test_initiations_are_five_seconds_apart_for_ninety_seconds() -> None:
    found = timers()
    found.want_handshake(100.0)
    sent: list[float] = []
    while (now := found.due()) < 1000.0:
        for due in found.take(now):
            if due is Due.INITIATE:
                sent.append(now)
                found.initiated(now)
            elif due is Due.GIVE_UP:
                assert now == 190.0
    assert sent == [100.0 + 5 * number for number in range(18)]


def test_wishes_while_an_attempt_goes_on_change_nothing() -> None:
    found = timers()
    found.want_handshake(0.0)
    assert found.take(0.0) == [Due.INITIATE]
    found.initiated(0.0)
    found.want_handshake(1.0)
    assert found.due() == 5.0


def test_no_two_initiations_within_five_seconds_even_after_an_answer() -> None:
    found = timers()
    found.initiated(0.0)
    found.received(0.1)
    found.completed()
    assert found.due() == NEVER
    found.want_handshake(1.0)
    assert found.due() == 5.0


def test_after_a_response_an_own_initiation_waits_a_second_and_not_for_ever() -> None:
    found = timers()
    found.want_handshake(0.0)
    found.responded(0.0)
    assert found.due() == 1.0
    found.responded(0.5)
    found.want_handshake_soon(0.6)
    found.want_handshake(0.7)
    assert found.take(1.4) == []
    assert found.take(1.5) == [Due.INITIATE]


def test_jitter_is_added() -> None:
    found = {Timers(Timing(jitter_s=0.333)) for _ in range(20)}
    for one in found:
        one.initiated(0.0)
    assert len({one.due() for one in found}) > 1
    assert all(5.0 <= one.due() <= 5.333 for one in found)


def test_received_data_is_answered_by_a_keepalive_after_ten_seconds() -> None:
    found = timers()
    found.data_received(0.0)
    assert found.due() == 10.0
    assert found.take(10.0) == [Due.KEEPALIVE]
    assert found.due() == NEVER


def test_more_data_before_the_keepalive_needs_another() -> None:
    found = timers()
    found.data_received(0.0)
    found.data_received(1.0)
    assert found.take(10.0) == [Due.KEEPALIVE]
    assert found.due() == 20.0


def test_whatever_is_sent_is_a_keepalive() -> None:
    found = timers()
    found.data_received(0.0)
    found.sent(3.0)
    assert found.due() == NEVER


def test_the_persistent_keepalive_waits_for_quiet_in_both_directions() -> None:
    found = timers(persistent_s=25.0)
    found.sent(0.0)
    found.received(10.0)
    assert found.due() == 35.0
    assert found.take(35.0) == [Due.PERSISTENT]
    assert found.due() == 60.0


def test_data_without_an_answer_is_silence_and_then_a_new_handshake() -> None:
    found = timers()
    found.data_sent(0.0)
    found.data_sent(5.0)
    assert found.due() == 12.0
    assert found.take(12.0) == [Due.SILENT]
    assert found.is_silent
    assert found.due() == 15.0
    assert found.take(15.0) == [Due.INITIATE]
    found.initiated(15.0)
    found.data_sent(16.0)
    assert Due.SILENT not in found.take(30.0)


def test_an_answer_ends_silence() -> None:
    found = timers()
    found.data_sent(0.0)
    found.take(12.0)
    assert found.received(13.0)
    assert not found.received(13.0)
    assert found.due() == NEVER


def test_silence_is_told_again_for_another_endpoint() -> None:
    found = timers()
    found.data_sent(0.0)
    found.take(12.0)
    found.moved()
    found.data_sent(14.0)
    assert Due.SILENT in found.take(26.0)


def test_an_initiation_without_an_answer_is_silence() -> None:
    found = timers()
    found.initiated(0.0)
    assert Due.SILENT in found.take(12.0)


def test_a_new_endpoint_is_tried_at_once() -> None:
    found = timers()
    found.initiated(0.0)
    found.moved()
    found.want_handshake_soon(0.05)
    assert found.due() == 0.1


def test_keys_are_erased_after_three_lives() -> None:
    found = timers()
    found.derived(0.0)
    found.derived(100.0)
    assert found.due() == 640.0
    assert found.take(640.0) == [Due.ERASE]


def test_without_an_endpoint_only_keys_are_erased() -> None:
    found = timers(persistent_s=25.0)
    found.derived(0.0)
    found.data_sent(0.0)
    found.data_received(0.0)
    found.want_handshake(0.0)
    found.stop_seeking()
    assert found.due() == 540.0


def test_a_tick_that_comes_days_late_does_each_thing_once() -> None:
    found = timers(persistent_s=25.0)
    found.derived(0.0)
    found.data_sent(0.0)
    found.data_received(1.0)
    took = found.take(1e6)
    assert sorted(due.name for due in took) == ["ERASE", "INITIATE", "KEEPALIVE", "PERSISTENT", "SILENT"]
    assert found.due() == 1e6 + 25.0
