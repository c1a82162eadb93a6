"""The verbs of `<hostname>.core.cron`, `.scenario` and `.scenarios`: frames in, frames out. The gateway puts them on the bus.

The status is the last frame, as RasPy has it: [200], or [what is wrong][the error's status]. An unknown verb is
answered with [verb][501], an empty request with [500]. Nothing that comes can raise. Values are JSON, texts as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from wayhouse.automation.model import Value
from wayhouse.automation.runs import Outcome
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.bus.server_face import mmi
from wayhouse.bus.statistics import SNMP, Statistics

if TYPE_CHECKING:
    from wayhouse.automation.cron_service import CronManager
    from wayhouse.automation.scenario_service import ScenarioManager

OK, ERROR, NOT_IMPLEMENTED = b"200", b"500", b"501"
FACETS = ("cron", "scenario", "scenarios", "mmi", "statistics")
RUNS = 1000
STATISTICS = {
    "jobs": "Jobs that there are.",
    "scenarios": "Scenarios that there are.",
    **{f"runs_{outcome}": f"Of the last {RUNS} runs, how many: {outcome}." for outcome in Outcome},
}
Handler = Callable[[Sequence[bytes]], Awaitable[list[bytes]]]
Verb = Callable[[list[str]], Awaitable[list[bytes]]]


class Verbs:
    """A table of verbs, with how many frames each takes at least and at most."""

    def __init__(self, verbs: Mapping[str, tuple[int, int, Verb]]) -> None:
        self._verbs = {name.encode(): verb for name, verb in verbs.items()}

    async def answer(self, body: Sequence[bytes]) -> list[bytes]:
        if not body:
            return [ERROR]
        least, most, verb = self._verbs.get(bytes(body[0]), (0, 0, None))
        if verb is None:
            return [body[0], NOT_IMPLEMENTED]
        try:
            frames = [_text(frame) for frame in body[1:]]
            _check_count(body[0].decode(), len(frames), least, most)
            return [*await verb(frames), OK]
        except WayhouseError as error:
            return [error.message.encode("utf-8", "replace"), str(error.status).encode()]


def services(host: str, crons: CronManager, scenarios: ScenarioManager) -> dict[str, Handler]:
    """Service names on the bus and who answers there."""
    from wayhouse.automation.cron_verbs import CronVerbs
    from wayhouse.automation.scenario_verbs import ScenariosVerbs, ScenarioVerbs

    return {
        f"{host}.core.cron": CronVerbs(crons).answer,
        f"{host}.core.scenario": ScenarioVerbs(scenarios).answer,
        f"{host}.core.scenarios": ScenariosVerbs(scenarios).answer,
        f"{host}.core.mmi": mmi(lambda: True, lambda: [f"{host}.core.{facet}" for facet in FACETS]),
        f"{host}.core.statistics": _statistics(crons, scenarios),
    }


def _statistics(crons: CronManager, scenarios: ScenarioManager) -> Handler:
    """`core.snmp.<what>`: how many there are, and what became of the runs that are kept."""
    found = Statistics()
    for name, doc in STATISTICS.items():
        found.add_statistic(SNMP(f"core.snmp.{name}", doc, 0))

    async def answer(body: Sequence[bytes]) -> list[bytes]:
        outcomes = Counter(str(run.outcome) for run in scenarios.runs(limit=RUNS))
        values = {"jobs": len(crons.jobs), "scenarios": len(scenarios.scenarios)}
        for name in STATISTICS:
            found.update_statistic(
                f"core.snmp.{name}", values.get(name, outcomes.get(name.removeprefix("runs_"), 0))
            )
        return found.worker_statistics(list(body))

    return answer


def joined(names: Sequence[str]) -> list[bytes]:
    """The names in one frame with a bar between; no frame if there are none."""
    return ["|".join(names).encode()] if names else []


def shown(value: Value) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else codec.encode_json(value)


def value_of(text: str) -> bool | int | float | str:
    """A JSON scalar, or else the text as it is."""
    try:
        found = codec.decode_json(text, object, what="value")
    except BadInputError:
        return text
    return found if isinstance(found, bool | int | float | str) else text


def flag_of(text: str) -> bool:
    """Raises `BadInputError`."""
    found = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}.get(text.lower())
    if found is None:
        raise BadInputError(f"{text[:40]!r} is neither true nor false.")
    return found


def _check_count(verb: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        many = f"{least}" if least == most else f"{least} to {most}"
        raise BadInputError(f"`{verb}` takes {many} frames behind it, not {count}.")


def _text(frame: bytes) -> str:
    try:
        return bytes(frame).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError("A frame is not UTF-8 text.") from error
