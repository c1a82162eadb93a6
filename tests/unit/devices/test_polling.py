from wayhouse.devices.polling import FAILURES_ALLOWED, LONGEST_WAIT_S, Health, wait_s


def test_the_third_failure_makes_it_unavailable_and_one_answer_brings_it_back():
    health = Health()
    assert health.answered(100.0)
    assert not health.answered(101.0)
    assert [health.failed("no") for _ in range(4)] == [False, False, True, False]
    assert (health.is_available, health.last_seen, health.reason) == (False, 101.0, "no")
    assert health.answered(200.0)
    assert (health.failures, health.reason, health.last_seen) == (0, "", 200.0)


def test_what_is_gone_is_unavailable_at_once():
    health = Health()
    health.answered(1.0)
    assert health.failed("gone", is_gone=True)


def test_waits():
    assert wait_s(60, 0) == 60
    assert [wait_s(60, number) for number in (1, 2)] == [1, 2]
    waits = [wait_s(60, number) for number in range(FAILURES_ALLOWED, 60)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (60, LONGEST_WAIT_S)
    assert wait_s(3600, 50) == 3600
    assert wait_s(1, 1) == 1


def test_when_it_is_due():
    health = Health()
    assert health.is_due(60, 5.0)
    health.plan(60, 5.0)
    assert not health.is_due(60, 64.0)
    assert health.is_due(60, 65.0)
    assert not health.is_due(-1, 1e9)


def test_without_polling_it_is_due_once():
    health = Health()
    assert health.is_due(0, 5.0)
    health.plan(0, 5.0)
    assert not health.is_due(0, 1e9)
    health.next_poll = 0.0
    assert health.is_due(0, 6.0)
