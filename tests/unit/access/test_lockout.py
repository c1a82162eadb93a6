import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.access.lockout import Lockout, is_loopback, network_of
from wayhouse.access.model import AccessSettings, LockedOutError

SETTINGS = AccessSettings(
    login_attempts=3, client_attempts=6, login_window_s=100, lockout_s=10, lockout_max_s=35
)


def wait_s(lockout, client, username, now):
    try:
        lockout.attempt(client, username, now)
    except LockedOutError as error:
        return error.fields["retry_after_s"]
    return 0


def test_locked_after_so_many_failures_and_for_longer_each_time():
    lockout = Lockout(AccessSettings(login_attempts=3, client_attempts=1000, lockout_s=10, lockout_max_s=35))
    now, waits = 0.0, []
    for _ in range(4):
        assert [wait_s(lockout, "10.0.0.1", "eve", now) for _ in range(3)] == [0, 0, 0]
        waits.append(wait_s(lockout, "10.0.0.1", "eve", now))
        now += waits[-1]
    assert waits == [10, 20, 35, 35]


def test_another_user_and_another_client_are_free():
    lockout = Lockout(SETTINGS)
    for _ in range(3):
        lockout.attempt("10.0.0.1", "eve", 0)
    assert wait_s(lockout, "10.0.0.1", "eve", 1) == 9
    assert wait_s(lockout, "10.0.0.1", "bob", 1) == 0
    assert wait_s(lockout, "10.0.0.2", "eve", 1) == 0


def test_a_client_that_tries_many_names_is_locked_as_a_whole():
    lockout = Lockout(SETTINGS)
    for number in range(6):
        lockout.attempt("10.0.0.1", f"user{number}", 0)
    assert wait_s(lockout, "10.0.0.1", "somebody", 0) == 10
    assert wait_s(lockout, "127.0.0.1", "somebody", 0) == 0


def test_success_forgets_the_pair_and_one_attempt_of_the_client():
    lockout = Lockout(SETTINGS)
    for _ in range(20):
        lockout.attempt("10.0.0.1", "bob", 0)
        lockout.succeeded("10.0.0.1", "bob")
    lockout.attempt("10.0.0.1", "eve", 0)
    lockout.attempt("10.0.0.1", "eve", 0)
    lockout.succeeded("10.0.0.1", "nobody")  # takes back one of the client's, not the pair's
    lockout.attempt("10.0.0.1", "eve", 0)
    assert wait_s(lockout, "10.0.0.1", "eve", 0) == 10


def test_the_right_password_in_the_last_free_attempt_locks_nothing():
    lockout = Lockout(SETTINGS)
    for number in range(5):
        lockout.attempt("10.0.0.1", f"user{number}", 0)
    lockout.attempt("10.0.0.1", "bob", 0)
    lockout.succeeded("10.0.0.1", "bob")
    assert wait_s(lockout, "10.0.0.1", "carl", 0) == 0
    assert wait_s(lockout, "10.0.0.1", "carl", 0) > 0


def test_what_was_not_checked_does_not_count():
    lockout = Lockout(SETTINGS)
    for _ in range(50):
        lockout.attempt("10.0.0.1", "bob", 0)
        lockout.unchecked("10.0.0.1", "bob")
    assert wait_s(lockout, "10.0.0.1", "bob", 0) == 0


def test_failures_far_apart_do_not_add_up():
    lockout = Lockout(SETTINGS)
    assert all(wait_s(lockout, "10.0.0.1", "bob", 101.0 * number) == 0 for number in range(50))


def test_a_long_calm_starts_again_with_short_locks():
    lockout = Lockout(SETTINGS)
    for now in (0, 20):
        for _ in range(3):
            lockout.attempt("10.0.0.1", "bob", now)
    assert wait_s(lockout, "10.0.0.1", "bob", 20) == 20
    for _ in range(3):
        lockout.attempt("10.0.0.1", "bob", 10_000)
    assert wait_s(lockout, "10.0.0.1", "bob", 10_000) == 10


def test_memory_is_bounded_and_the_oldest_go():
    lockout = Lockout(SETTINGS, max_entries=10)
    for number in range(1000):
        lockout.attempt(f"10.0.{number // 250}.{number % 250}", "bob", 0)
    assert len(lockout) == 10


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        ("x" * 1000, "x" * 64),
        ("", ""),
    ],
)
def test_network_of(client, network):
    assert network_of(client) == network


@pytest.mark.parametrize(
    ("client", "yes"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True)]
    + [(text, False) for text in ("10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "localhost", "", "unix")],
)
def test_is_loopback(client, yes):
    assert is_loopback(client) is yes


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "::1"]),
            st.sampled_from(["u", "v"]),
            st.floats(0, 500, allow_nan=False),
            st.sampled_from(["attempt", "succeeded", "unchecked"]),
        ),
        max_size=40,
    )
)
def test_any_order_of_calls_keeps_waits_finite(steps):
    lockout, now = Lockout(SETTINGS, max_entries=3), 0.0
    for client, username, pause, verb in steps:
        now += pause
        if verb == "attempt":
            waited = wait_s(lockout, client, username, now)
            assert 0 <= waited <= SETTINGS.lockout_max_s
            assert math.isfinite(waited)
        else:
            getattr(lockout, verb)(client, username)
    assert len(lockout) <= 3
    lockout.attempt("a", "u", now + 1000)
