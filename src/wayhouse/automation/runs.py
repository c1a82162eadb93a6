"""The words of running scenarios: a run and its steps, how a scenario is seen from outside, a rehearsal, events, errors, settings.

Used by the API, the commands, the pages and every file of the room that runs something. Rule: moments are Unix seconds, durations are
seconds; all of it is plain data that goes over a wire as it is.
"""

from __future__ import annotations

import enum

import msgspec

from wayhouse.automation.model import Value
from wayhouse.automation.parameter import Plain
from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError

MAX_RUNS = 200
"""Of each scenario that are kept."""
MAX_STEPS = 2000
"""Of each run that are kept."""
MAX_VARIABLES = 100
MAX_SHOWN = 500
"""Characters of a text in a trace."""


class NoSuchScenarioError(NotFoundError):
    code = "no-such-scenario"
    title = "No such scenario"


class NoSuchRunError(NotFoundError):
    code = "no-such-run"
    title = "No such run"


class ScenarioExistsError(ConflictError):
    code = "scenario-exists"
    title = "There is a scenario of this name already"


class NotReadyError(ConflictError):
    code = "scenario-not-ready"
    title = "This scenario cannot run as it is"


class Outcome(enum.StrEnum):
    """`running`: not over, also while it waits for its turn or for the gateway's next start; `limited`: ended by a limit, or not
    begun because of `at_most`; `lost`: it could not be carried on after its process or the gateway ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LIMITED = "limited"
    LOST = "lost"


class State(enum.StrEnum):
    """`asleep`: not active; `unready`: a parameter has no value; `broken`: an entry names a source that can never be."""

    ASLEEP = "asleep"
    WATCHING = "watching"
    RUNNING = "running"
    UNREADY = "unready"
    BROKEN = "broken"


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `cause`: what began it: `asked`, `startup`, `entry <name>`, `wait` (a `for` was over), `schedule <line>`,
    `scenario <name>`; `line`: of the code, where it failed."""

    id: str
    scenario: str
    cause: str
    started: float
    ended: float | None = None
    outcome: Outcome = Outcome.RUNNING
    error: str = ""
    line: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: one call of the scenario's API, from 1; `number` 0: a remark of the gateway. `text` shows what was asked and
    `result` what came of it; None while it is under way."""

    number: int
    at: float
    call: str
    text: str = ""
    result: str | None = None
    took_s: float = 0.0


class RunTrace(msgspec.Struct, frozen=True, kw_only=True):
    """`is_cut`: there were more steps; these are the last ones."""

    run: RunSummary
    steps: list[Step]
    is_cut: bool = False


class Wait(msgspec.Struct, frozen=True):
    """What a scenario waits for, and until when at most; None: for as long as it takes."""

    text: str
    until: float | None


class ScenarioView(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario from outside. `values`: of its entries, by their friendly names."""

    name: str
    description: str
    is_active: bool
    at_startup: bool
    state: State
    reason: str = ""
    last_run: RunSummary | None = None
    next_run: float | None = None
    values: dict[str, Value] = {}
    variables: dict[str, Plain] = {}
    waits: list[Wait] = []


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """One time when it would have run, until when that would have taken, and what it would have done."""

    at: float
    cause: str
    ended: float
    outcome: Outcome
    error: str = ""
    line: int | None = None
    steps: list[Step] = []


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """A dry run from `start` to `end`. `silent`: entries of which nothing was recorded then; `is_cut`: it would have run more often;
    `limited`: how often `at_most` would have kept it from running; `coalesced`: how often it would have fired while it ran."""

    scenario: str
    start: float
    end: float
    firings: list[Firing]
    silent: list[str] = []
    is_cut: bool = False
    limited: int = 0
    coalesced: int = 0


class ScenarioChanged(msgspec.Struct, frozen=True):
    """Event: a scenario, or what it does, is another; `view` is None when it is gone."""

    name: str
    view: ScenarioView | None


class RunChanged(msgspec.Struct, frozen=True):
    """Event: a run has begun or ended."""

    run: RunSummary


class StepTaken(msgspec.Struct, frozen=True):
    """Event: a step was begun (`result` is None) or is done."""

    run_id: str
    step: Step


class ScenarioSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[scenarios]`. `processes`: that run at once; `memory_bytes`: of each; `cpu_s`: of computing between two calls;
    `stop_grace_s`: from being asked to stop to being ended."""

    processes: int = 16
    memory_bytes: int = 256 * 1024 * 1024
    cpu_s: float = 10.0
    stop_grace_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.processes <= 1000:
            raise BadInputError("`processes` is 1 to 1000.", path="processes")
        if self.memory_bytes < 64 * 1024 * 1024:
            raise BadInputError("`memory_bytes` is at least 64 MiB.", path="memory_bytes")
        if not 0 < self.cpu_s < 86400 or not 0 <= self.stop_grace_s < 3600:
            raise BadInputError("`cpu_s` and `stop_grace_s` are seconds.", path="cpu_s")
