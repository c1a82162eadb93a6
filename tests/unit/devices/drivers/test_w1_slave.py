import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.drivers.w1_slave import (
    check_empty,
    check_power_on,
    parse_temperature,
    parse_w1_slave,
)
from wayhouse.devices.model import DeviceNotReadyError

BYTES = "4b 01 4b 46 7f ff 05 10 e1"


def slave(milli=20687, verdict="YES", content=BYTES):
    return f"{content} : crc=e1 {verdict}\n{content} t={milli}\n"


@pytest.mark.parametrize("milli", [20687, 0, -1250, 125_000, -55_000])
def test_good_readings(milli):
    assert parse_w1_slave(slave(milli)) == milli
    assert parse_temperature(f"{milli}\n") == milli


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        slave(verdict="NO"),
        slave(content="00 00 00 00 00 00 00 00 00"),
        slave(125_001),
        slave(-55_001),
        slave(milli="x"),
        slave().splitlines()[0],
        slave() + slave(),
        slave().replace(" : crc=e1", ""),
        slave().upper(),
    ],
)
def test_bad_readings(text):
    with pytest.raises(DeviceNotReadyError):
        parse_w1_slave(text)


@pytest.mark.parametrize("text", ["", "x", "1.5", "--1", "1 2", "99999999", "125001", "\u0664"])
def test_bad_numbers(text):
    with pytest.raises(DeviceNotReadyError):
        parse_temperature(text)


@given(st.integers(-55_000, 125_000))
def test_every_temperature(milli):
    assert parse_w1_slave(slave(milli)) == parse_temperature(str(milli)) == milli


@given(st.text(max_size=200) | st.text("0123456789abcdef :=crtYESNO-\n", max_size=120))
def test_no_text_breaks_them(text):
    for parse in (parse_w1_slave, parse_temperature):
        with contextlib.suppress(DeviceNotReadyError):
            assert -55_000 <= parse(text) <= 125_000


def test_eighty_five_degrees():
    assert check_power_on(85_000, 84_500) == 85_000
    assert check_power_on(84_999, None) == 84_999
    for before in (None, 20_000):
        with pytest.raises(DeviceNotReadyError, match="powered on"):
            check_power_on(85_000, before)


def test_zero_degrees_without_proof():
    assert check_empty(0, 500) == 0
    assert check_empty(1, None) == 1
    for before in (None, 20_000):
        with pytest.raises(DeviceNotReadyError, match="zero"):
            check_empty(0, before)
