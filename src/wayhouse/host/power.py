"""Restart and halt as changes of the ledger: announced a minute ahead, and taken back when the change is undone.

`gateway` registers a `PowerPlanner` for the kinds "router.reboot" and "router.shutdown", with a `PowerSwitch` as tools.
"""

from __future__ import annotations

from collections.abc import Sequence

from wayhouse.base.errors import BadInputError
from wayhouse.host.ports import PowerSwitch
from wayhouse.ledger.model import Change, State
from wayhouse.ledger.task import Say, Task

REBOOT = "router.reboot"
SHUTDOWN = "router.shutdown"
KINDS = (REBOOT, SHUTDOWN)


class SchedulePower(Task, frozen=True, kw_only=True, tag="host.power"):
    restart: bool

    @property
    def title(self) -> str:
        return "Scheduling the restart" if self.restart else "Scheduling the halt"

    async def do(self, tools: PowerSwitch, say: Say) -> None:
        await tools.schedule(restart=self.restart, say=say)
        say("Rebooting in 60 seconds." if self.restart else "Halting in 60 seconds.")

    async def undo(self, tools: PowerSwitch, say: Say) -> None:
        await tools.cancel(say)
        say("The machine stays on.")


TASKS: tuple[type[Task], ...] = (SchedulePower,)


class PowerPlanner:
    async def plan(self, change: Change, say: Say) -> Sequence[Task]:
        if change.wish.kind not in KINDS:
            raise BadInputError(f"{change.wish.kind} is no power change. Known ones: {', '.join(KINDS)}.")
        return [SchedulePower(restart=change.wish.kind == REBOOT)]

    def resume(self, change: Change, tasks: Sequence[Task]) -> None:
        """Nothing to remember."""

    async def settle(self, change: Change) -> None:
        """Nothing was kept for the change."""

    def verdict(self, change: Change) -> str:
        """ParaDrop's words, which call the machine a chute too."""
        verb = change.wish.kind.partition(".")[2]
        outcome = "success" if change.state is State.SUCCEEDED else "failure"
        return f"Completed {verb} operation on chute {change.wish.name}: {outcome}"
