import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.host.drivers.shutdown import FakePower, Shutdown
from wayhouse.host.model import PowerError


@pytest.fixture
def program(tmp_path):
    """A stand-in that notes its arguments and does what the test wants."""

    def make(script="", name="shutdown"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return make


async def test_the_arguments_are_those_of_shutdown(program, tmp_path):
    switch, lines = Shutdown(program("echo Shutdown scheduled >&2")), []
    await switch.schedule(restart=True, say=lines.append)
    await switch.schedule(restart=False, say=lines.append)
    await switch.cancel(lines.append)
    assert (tmp_path / "calls").read_text().splitlines() == ["-r +1", "-h +1", "-c"]
    assert lines == ["Shutdown scheduled"] * 3


async def test_a_refusal_says_why(program):
    with pytest.raises(PowerError, match="Access denied"):
        await Shutdown(program("echo Access denied >&2; exit 1")).schedule(restart=True, say=print)
    with pytest.raises(PowerError, match="exit code 3"):
        await Shutdown(program("exit 3")).cancel(print)


async def test_a_missing_program_is_503(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        await Shutdown(str(tmp_path / "nothing")).schedule(restart=True, say=print)
    assert caught.value.status == 503


async def test_a_program_that_hangs_is_ended(program):
    with pytest.raises(PowerError, match="no answer"):
        await Shutdown(program("exec sleep 60"), timeout_s=0.2).schedule(restart=True, say=print)


async def test_the_fake_only_notes():
    power = FakePower()
    await power.schedule(restart=True, say=print)
    assert power.scheduled == "restart"
    await power.cancel(print)
    assert power.scheduled is None
