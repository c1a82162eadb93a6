from wayhouse.overlay.rates import Rates


def test_rates_are_of_the_last_seconds():
    rates = Rates()
    assert rates.per_second() == (0.0, 0.0)
    rates.sample(0.0, 0, 0)
    assert rates.per_second() == (0.0, 0.0)
    for second in range(1, 20):
        rates.sample(float(second), 100 * second, 10 * second)
        assert rates.per_second() == (100.0, 10.0)
    for second in range(20, 26):
        rates.sample(float(second), 1900, 190)
    assert rates.per_second() == (0.0, 0.0)


def test_a_counter_that_began_anew_gives_no_rate():
    rates = Rates()
    rates.sample(0.0, 1000, 1000)
    rates.sample(1.0, 5, 2000)
    assert rates.per_second() == (0.0, 0.0)
    rates.sample(1.0, 5, 2000)
    assert rates.per_second() == (0.0, 0.0)
    rates.sample(2.0, 15, 2020)
    assert rates.per_second() == (10.0, 20.0)
