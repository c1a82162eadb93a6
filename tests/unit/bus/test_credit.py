from wayhouse.bus.credit import TURN_S, Window, window


def go(one, count, took, *, waiting=True):
    now = 0.0
    one.begin(now)
    for _ in range(count):
        now += took
        one.answered(now, waiting=waiting)
    return one.size


def test_it_is_one_unless_asked_or_adaptive():
    assert window(None, ceiling=64, adaptive=False).size == 1
    assert go(window(None, ceiling=64, adaptive=False), 1000, 0.0) == 1
    assert window(200, ceiling=64, adaptive=True).size == 64
    assert go(window(8, ceiling=64, adaptive=True), 1000, 0.0) == 8


def test_it_grows_while_a_turn_is_short_and_requests_wait():
    assert go(Window(1, 64), 1000, TURN_S / 1000) == 64
    assert go(Window(1, 64), 1000, TURN_S / 1000, waiting=False) == 1
    assert go(Window(1, 64), 1000, TURN_S * 1.5) == 1
    assert go(Window(1, 64), 1000, TURN_S / 10) in {8, 16}


def test_it_shrinks_when_a_turn_becomes_long():
    one = Window(1, 64)
    go(one, 1000, 0.0)
    assert go(one, 200, TURN_S) == 1 or one.size == 2
