import msgspec
import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.host.drivers.shutdown import FakePower
from wayhouse.host.power import KINDS, TASKS, PowerPlanner, SchedulePower
from wayhouse.ledger.model import INTERNAL, Change, State, Wish


def change(kind, state=State.RUNNING):
    wish = Wish(kind=kind, resource="router", name="__PARADROP__")
    return Change(id=1, wish=wish, actor=INTERNAL, state=state, created=0.0)


def ignore(message):
    pass


@pytest.mark.parametrize(
    ("kind", "scheduled", "line"),
    [
        ("router.reboot", "restart", "Rebooting in 60 seconds."),
        ("router.shutdown", "halt", "Halting in 60 seconds."),
    ],
)
async def test_do_says_when_and_undo_takes_it_back(kind, scheduled, line):
    assert kind in KINDS
    (task,) = await PowerPlanner().plan(change(kind), ignore)
    power, lines = FakePower(), []
    for _ in range(2):
        await task.do(power, lines.append)
        assert power.scheduled == scheduled
    assert lines[-1] == line
    for _ in range(2):
        await task.undo(power, lines.append)
        assert power.scheduled is None
    assert lines[-1] == "The machine stays on."
    assert task.title.startswith("Scheduling")


def test_a_task_can_be_stored_and_found_again():
    task = SchedulePower(restart=True)
    assert msgspec.json.decode(msgspec.json.encode(task), type=TASKS[0]) == task


async def test_other_kinds_are_refused():
    with pytest.raises(BadInputError, match=r"router\.reboot"):
        await PowerPlanner().plan(change("router.explode"), ignore)


async def test_the_last_line():
    planner = PowerPlanner()
    await planner.settle(change("router.reboot"))
    assert (
        planner.verdict(change("router.reboot", State.SUCCEEDED))
        == "Completed reboot operation on chute __PARADROP__: success"
    )
    assert planner.verdict(change("router.shutdown", State.FAILED)).endswith(": failure")
