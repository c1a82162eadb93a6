"""The journal of one run: what it asked and what it was told, so that it can be repeated up to where it was and go on from there.

Called by `calls`. Rules: what was told is on disk before anything that came after it reaches the world (`flush` writes all that waits, in
order, in one transaction); a run that is repeated must ask the same; more than `MAX_STEPS` steps cannot be repeated any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from wayhouse.automation.asks import Ask, shorten
from wayhouse.automation.runs import MAX_STEPS, Step
from wayhouse.automation.scenario_store import Batch, Kept, ScenarioStore, Work
from wayhouse.base.clock import Clock
from wayhouse.base.errors import PermanentError

MAX_BYTES = 8 * 1024 * 1024
MAX_SAID = 500
MAX_PENDING = 200
_SLACK = 200
_ROW_BYTES = 200


class ReplayError(PermanentError):
    """The code is another, or goes by something that the gateway does not know, such as `time.time()`."""

    code = "replay-differs"
    title = "The run could not be repeated"


class Journal:
    """`kept`: what is on disk of this run, which is gone through first."""

    def __init__(
        self,
        store: ScenarioStore,
        run: str,
        clock: Clock,
        kept: Sequence[Kept],
        on_step: Callable[[Step], None],
        *,
        is_cut: bool = False,
    ) -> None:
        self._store, self._run, self._clock, self._on_step = store, run, clock, on_step
        self.is_cut = is_cut
        self.number = 0
        self._replay = deque(one for one in kept if one.number)
        self._place = max((one.place for one in kept), default=0)
        self._counted = deque((one.place, _size(one)) for one in self._replay)
        self._bytes = sum(size for _, size in self._counted)
        self._said = deque(one.place for one in kept if not one.number)
        self._pending: dict[int, Kept] = {}
        self._gone: list[int] = []
        self._lacks_steps = False

    @property
    def is_replaying(self) -> bool:
        return bool(self._replay)

    @property
    def is_waiting(self) -> bool:
        """Whether anything is not on disk yet."""
        return bool(self._pending or self._gone)

    def take(self, ask: Ask) -> Kept:
        """The next step: the one that is on disk, else a new one. Raises `ReplayError` when another one is on disk."""
        self.number += 1
        if self._replay:
            kept = self._replay.popleft()
            if kept.call != ask.call or kept.digest != ask.digest():
                raise ReplayError(
                    f"After a restart the code asked {ask.call}({ask.text()}) as step {self.number}, where it had asked "
                    f"{kept.call}({kept.text}) before. Use now() for the time, and entries and variables for what changes."
                )
            return kept
        return self._new(self.number, ask.call, ask.text(), ask.digest())

    def begin(self, step: Kept, note: bytes) -> Kept:
        """It takes some time; `note`: what it must know to go on after a restart."""
        return self._put(step._replace(note=note))

    def finish(self, step: Kept, answer: bytes, result: str) -> None:
        """What the code is told, and what the trace shows of it."""
        took = max(0.0, self._clock.wall() - step.at)
        self._put(step._replace(answer=answer, result=result, took_s=took))
        if len(self._counted) > MAX_STEPS + _SLACK or self._bytes > MAX_BYTES:
            self._cut()

    async def say(self, call: str, text: str) -> None:
        """A line for the trace, which was said before when the run is being repeated. Raises `UnavailableError`."""
        if not self._replay:
            self.remark(call, text)
        if len(self._pending) > MAX_PENDING:
            await self.flush()

    def remark(self, call: str, text: str) -> None:
        self._put(self._new(0, call, shorten(text), b"")._replace(result=""))
        if len(self._said) > MAX_SAID + _SLACK:
            self._drop([self._said.popleft() for _ in range(_SLACK)])

    async def flush(self, *more: Work) -> None:
        """Write what waits, and `more` with it. Raises `UnavailableError`: nothing is written then."""
        pending, gone, lacks = self._pending, self._gone, self._lacks_steps
        batch = self.rest()
        try:
            await self._store.keep(batch, *more)
        except BaseException:
            self._pending = {**pending, **self._pending}
            self._gone, self._lacks_steps = gone + self._gone, lacks or self._lacks_steps
            raise

    def waiting(self) -> dict[int, Kept]:
        """What is not on disk yet, by its place."""
        return dict(self._pending)

    def rest(self) -> Batch:
        """What waits, for whoever writes it."""
        batch = Batch(
            self._run, tuple(self._pending.values()), tuple(self._gone), self.is_cut, self._lacks_steps
        )
        self._pending, self._gone, self._lacks_steps = {}, [], False
        return batch

    def _new(self, number: int, call: str, text: str, digest: bytes) -> Kept:
        self._place += 1
        return Kept(self._place, number, self._clock.wall(), call, text, digest, None, None, None, 0.0)

    def _put(self, step: Kept) -> Kept:
        is_known = step.place in self._pending or step.note is not None
        if step.number:
            if not self._counted or self._counted[-1][0] != step.place:
                self._counted.append((step.place, 0))
            place, size = self._counted.pop()
            self._counted.append((place, _size(step)))
            self._bytes += _size(step) - size
        elif not is_known:
            self._said.append(step.place)
        self._pending[step.place] = step
        self._on_step(step.shown())
        return step

    def _cut(self) -> None:
        self.is_cut = True
        gone = []
        while len(self._counted) > MAX_STEPS or (self._bytes > MAX_BYTES // 2 and len(self._counted) > 1):
            place, size = self._counted.popleft()
            self._bytes -= size
            gone.append(place)
        self._drop(gone)

    def _drop(self, places: list[int]) -> None:
        self._lacks_steps = True
        for place in places:
            self._pending.pop(place, None)
        self._gone += places


def _size(step: Kept) -> int:
    return (
        _ROW_BYTES + len(step.text) + len(step.note or b"") + len(step.answer or b"") + len(step.result or "")
    )
