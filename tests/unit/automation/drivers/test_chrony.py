"""What chronyd says, and everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.automation.drivers.test_programs import program
from wayhouse.automation.clock_model import Source
from wayhouse.automation.drivers import chrony
from wayhouse.automation.drivers.programs import Programs

GOOD = "C0A80101,192.168.1.1,3,1772366400.1,0.000012500,-0.000001234,0.00004,-12.3,0.001,0.1,0.01,0.0001,64.5,Normal"


def test_a_clock_that_is_behind_has_a_negative_offset():
    found = chrony.parse(GOOD + "\n")
    assert found is not None
    assert (found.source, found.is_synchronised, found.server, found.stratum) == (
        Source.CHRONY,
        True,
        "192.168.1.1",
        3,
    )
    assert found.offset_s == pytest.approx(-0.0000125)


def test_one_that_is_not_synchronised_says_no_offset():
    found = chrony.parse("7F7F0101,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised")
    assert found is not None
    assert (found.is_synchronised, found.offset_s, found.stratum) == (False, None, None)


@pytest.mark.parametrize(
    "text", ["", "506 Cannot talk to daemon", GOOD.replace(",3,", ",three,"), GOOD + ",more"]
)
def test_what_is_no_answer_is_none(text):
    assert chrony.parse(text) is None


@given(st.one_of(st.text(), st.lists(st.text(), min_size=14, max_size=14).map(",".join)))
def test_anything_is_read_without_harm(text):
    chrony.parse(text)


async def test_it_is_asked(tmp_path):
    assert await chrony.ask(Programs(str(tmp_path))) is None
    program(tmp_path, "chronyc", f'[ "$*" = "-c -n tracking" ] && echo "{GOOD}"')
    found = await chrony.ask(Programs(str(tmp_path)))
    assert found is not None
    program(tmp_path, "chronyc", 'echo "506 Cannot talk to daemon"; exit 1')
    assert await chrony.ask(Programs(str(tmp_path))) is None
