"""What timesyncd says through timedatectl, and everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.automation.drivers.test_programs import program
from wayhouse.automation.clock_model import Source
from wayhouse.automation.drivers import timedatectl
from wayhouse.automation.drivers.programs import Programs

SHOW = "Timezone=UTC\nLocalRTC=no\nCanNTP=yes\nNTP={ntp}\nNTPSynchronized=yes\n"
STATUS = """       Server: 185.125.190.57 (ntp.ubuntu.com)
Poll interval: 34min 8s (min: 32s; max 34min 8s)
         Leap: normal
      Stratum: 2
       Offset: -1.345ms
        Delay: 23.9ms
"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+1.5ms", 0.0015),
        ("-2min 3.5s", -123.5),
        ("250us", 0.00025),
        ("1h 2min", 3720.0),
        ("0", 0.0),
        ("n/a", None),
        ("", None),
        ("5 parsecs", None),
    ],
)
def test_spans(text, seconds):
    assert timedatectl.span(text) == (None if seconds is None else pytest.approx(seconds))


def test_the_servers_offset_is_turned_round():
    found = timedatectl.parse(STATUS, is_synchronised=True)
    assert found is not None
    assert (found.source, found.stratum, found.server) == (
        Source.TIMESYNCD,
        2,
        "185.125.190.57 (ntp.ubuntu.com)",
    )
    assert found.offset_s == pytest.approx(0.001345)
    unsynced = timedatectl.parse(STATUS, is_synchronised=False)
    assert unsynced is not None
    assert unsynced.offset_s is None


@given(st.text())
def test_anything_is_read_without_harm(text):
    timedatectl.span(text)
    timedatectl.properties(text)
    timedatectl.parse(f"Server: x\nStratum: {text}\nOffset: {text}", is_synchronised=True)


async def test_it_is_asked(tmp_path):
    programs = Programs(f"{tmp_path}:/bin:/usr/bin")
    script = 'case "$1" in show) printf "{show}";; *) {status};; esac'
    shown = SHOW.format(ntp="yes").replace("\n", "\\n")
    program(tmp_path, "timedatectl", script.format(show=shown, status=f"cat <<'END'\n{STATUS}\nEND\n"))
    found = await timedatectl.ask(programs)
    assert found is not None
    assert found.is_synchronised
    program(tmp_path, "timedatectl", script.format(show=shown, status="exit 1"))
    assert await timedatectl.ask(programs) is None
    off = SHOW.format(ntp="no").replace("\n", "\\n")
    program(tmp_path, "timedatectl", script.format(show=off, status="exit 1"))
    assert await timedatectl.ask(programs) is None
    assert await timedatectl.ask(Programs("/nowhere")) is None
