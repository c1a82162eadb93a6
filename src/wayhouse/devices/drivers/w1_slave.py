"""The text of the kernel's `w1_slave` and `temperature` files of a thermometer, and which of its values are no values.

4b 01 4b 46 7f ff 05 10 e1 : crc=e1 YES
4b 01 4b 46 7f ff 05 10 e1 t=20687
"""

from __future__ import annotations

import re

from wayhouse.devices.model import DeviceNotReadyError

POWER_ON_MILLI = 85_000
"""What the chip's memory holds after power-on, before its first measurement."""
EMPTY_MILLI = 0
LOWEST_MILLI, HIGHEST_MILLI = -55_000, 125_000
PLAUSIBLE_STEP_MILLI = 10_000

_BYTES = r"(?:[0-9a-f]{2} ){8}[0-9a-f]{2}"
_CHECK = re.compile(rf"({_BYTES}) : crc=([0-9a-f]{{2}}) (YES|NO)", re.ASCII)
_VALUE = re.compile(rf"{_BYTES} t=(-?[0-9]{{1,7}})", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,7}", re.ASCII)


def parse_w1_slave(text: str) -> int:
    """Thousandths of a degree Celsius. Raises `DeviceNotReadyError` for anything that is not a good reading."""
    lines = text.strip().splitlines()
    check = _CHECK.fullmatch(lines[0].strip()) if len(lines) == 2 else None
    value = _VALUE.fullmatch(lines[1].strip()) if len(lines) == 2 else None
    if check is None or value is None:
        raise DeviceNotReadyError("The sensor's file is not complete.")
    if check[3] != "YES":
        raise DeviceNotReadyError(
            "The sensor's answer was damaged on the wire (CRC). Check wiring and pull-up."
        )
    if set(check[1]) <= {"0", " "}:
        raise DeviceNotReadyError("The sensor answered with zeros alone. Check its power and wiring.")
    return _in_range(int(value[1]))


def parse_temperature(text: str) -> int:
    """The `temperature` file of newer kernels: the number alone. Raises `DeviceNotReadyError`."""
    if _NUMBER.fullmatch(text.strip()) is None:
        raise DeviceNotReadyError("The sensor gave no temperature.")
    return _in_range(int(text))


def check_power_on(milli: int, before: int | None) -> int:
    """85 degrees is believed only near what was measured before. Raises `DeviceNotReadyError`."""
    if milli == POWER_ON_MILLI and not _is_near(milli, before):
        raise DeviceNotReadyError("The sensor has just been powered on and has not measured yet.")
    return milli


def check_empty(milli: int, before: int | None) -> int:
    """Exactly 0 degrees without the bytes to prove it is believed only near what was measured before."""
    if milli == EMPTY_MILLI and not _is_near(milli, before):
        raise DeviceNotReadyError("The sensor gave exactly zero, as one without power does.")
    return milli


def _is_near(milli: int, before: int | None) -> bool:
    return before is not None and abs(milli - before) <= PLAUSIBLE_STEP_MILLI


def _in_range(milli: int) -> int:
    if not LOWEST_MILLI <= milli <= HIGHEST_MILLI:
        raise DeviceNotReadyError(f"The sensor gave {milli / 1000:g} degrees, which it cannot measure.")
    return milli
