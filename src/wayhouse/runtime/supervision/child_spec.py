"""What a supervised child is: how it is started, when it counts as ready, what happens when it ends, what it may use.

Written by whoever owns a `Supervisor`; read by the machine (`supervision.py`) and by what starts processes (`launch.py`).
Rule: a description that cannot work fails when it is made, and names what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from wayhouse.base.errors import BadInputError

Strategy = Literal["one_for_one", "rest_for_one", "one_for_all"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

NAME_BYTES = 200


class Backoff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The n-th restart in a row waits first_s * factor ** (n - 1), at most most_s. A child that was ready for `steady_s`
    begins anew. No randomness: a supervisor has few children, and a test should know when the next start is."""

    first_s: float = 0.1
    factor: float = 2.0
    most_s: float = 30.0
    steady_s: float = 10.0

    def __post_init__(self) -> None:
        if not (
            self.first_s >= 0 and self.factor >= 1 and self.most_s >= self.first_s and self.steady_s >= 0
        ):
            raise BadInputError("A back-off needs 0 <= first_s <= most_s, factor >= 1 and steady_s >= 0.")

    def delay_s(self, nth: int) -> float:
        """Before restart number `nth` in a row, counted from 1."""
        delay = self.first_s
        for _ in range(nth - 1):
            if delay >= self.most_s or self.factor == 1.0:
                break
            delay *= self.factor
        return min(delay, self.most_s)


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a child and all that it starts may use; None: no limit. `cpu` is in cores (0.5: half of one). With
    `fallback`, memory is limited by RLIMIT_DATA (of each process) where no control group can be made."""

    memory_bytes: int | None = None
    cpu: float | None = None
    pids: int | None = None
    fallback: bool = False

    def __post_init__(self) -> None:
        if any(value is not None and value <= 0 for value in (self.memory_bytes, self.cpu, self.pids)):
            raise BadInputError("A limit is more than 0; leave it out for no limit.")


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One child: either `command`, or `target`, a function ("package.module:function", or a callable that is forked).

    restart: `permanent` always, `transient` after an abnormal end, `temporary` never.
    readiness: `none` (started is ready), `pipe` (it writes a line to the descriptor that READY_FD names), `notify`
    (READY=1 to NOTIFY_SOCKET). `notify` is also what MAINPID, the watchdog and the descriptor bank need.
    """

    name: str
    command: tuple[str, ...] = ()
    target: str | Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    env: dict[str, str] = {}
    """Added to the supervisor's own environment."""
    cwd: str | None = None
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    must_start: bool = False
    """An abnormal end before it was ever ready makes the supervisor give up, as it does for a child of OTP's init."""
    significant: bool = False
    """Its end, when it is not restarted, may end the supervisor: see `auto_shutdown`."""
    depends_on: tuple[str, ...] = ()
    readiness: Literal["none", "pipe", "notify"] = "none"
    start_timeout_s: float = 60.0
    shutdown_s: float = 10.0
    """From SIGTERM to SIGKILL; 0: SIGKILL at once."""
    again_s: float = 0.5
    """SIGTERM is repeated, for a handler in Python may miss one that comes just before a blocking call; 0: never."""
    extend_most_s: float = 300.0
    """How much more time EXTEND_TIMEOUT_USEC may get a child for its start or its stop."""
    watchdog_s: float | None = None
    backoff: Backoff = Backoff()
    limits: Limits | None = None
    bank: int = 0
    """How many descriptors are kept for it over a restart."""
    output: Literal["pipe", "inherit", "null"] = "pipe"
    own_session: bool = True
    """In a session of its own; what is left of it when the child has ended is killed."""
    ignores: tuple[int, ...] = ()
    """Signals that it ignores until it says otherwise itself."""
    survives: bool = False
    """It is not told to end when its supervisor dies, so it can be handed over. Only for what is started by exec."""

    def __post_init__(self) -> None:
        if bool(self.command) == (self.target is not None):
            raise BadInputError(f"Child {self.name!r} needs a command or a target, and not both.")
        if not self.name or len(self.name.encode()) > NAME_BYTES or not self.name.isprintable():
            raise BadInputError(
                f"A child's name is 1 to {NAME_BYTES} printable characters, not {self.name!r}."
            )
        if self.survives and callable(self.target):
            raise BadInputError(
                f"Child {self.name!r} is forked and cannot survive: name its function as text, or give a command."
            )
        if isinstance(self.target, str) and ":" not in self.target:
            raise BadInputError(f"The target of {self.name!r} is written package.module:function.")
        if not (self.start_timeout_s > 0 and self.shutdown_s >= 0 and self.again_s >= 0 and self.bank >= 0):
            raise BadInputError(f"The times of child {self.name!r} must not be negative.")
        if self.watchdog_s is not None and (self.watchdog_s <= 0 or self.readiness != "notify"):
            raise BadInputError(f"The watchdog of {self.name!r} needs seconds above 0 and readiness notify.")
        if any("\0" in text for text in (*self.command, *self.env, *self.env.values())):
            raise BadInputError(f"Child {self.name!r}: no text of a command or an environment holds a NUL.")

    def __repr__(self) -> str:
        """Without arguments and environment, which may hold secrets."""
        return f"ChildSpec({self.name!r})"

    @property
    def speaks(self) -> bool:
        """Whether it gets a NOTIFY_SOCKET."""
        return self.readiness == "notify" or self.bank > 0


class Intensity(msgspec.Struct, frozen=True):
    """More than `count` restarts within `seconds` and the supervisor gives up (OTP's MaxR and MaxT)."""

    count: int = 5
    seconds: float = 60.0


def in_order(specs: Sequence[ChildSpec]) -> tuple[ChildSpec, ...]:
    """What others depend on first, otherwise as given. Raises `BadInputError` for a double or unknown name or a circle."""
    by_name = {spec.name: spec for spec in specs}
    if len(by_name) != len(specs):
        raise BadInputError("Two children have the same name.")
    placed: dict[str, ChildSpec] = {}
    left = list(specs)
    while left:
        found = next((one for one in left if all(name in placed for name in one.depends_on)), None)
        if found is None:
            raise BadInputError(_why_not(left, by_name))
        placed[found.name] = found
        left.remove(found)
    return tuple(placed.values())


def _why_not(left: Sequence[ChildSpec], by_name: dict[str, ChildSpec]) -> str:
    for spec in left:
        for name in spec.depends_on:
            if name not in by_name:
                return f"Child {spec.name!r} depends on {name!r}, which is not there."
    return f"The children {', '.join(spec.name for spec in left)} depend on each other in a circle."
