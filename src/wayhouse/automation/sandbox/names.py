"""What the code of a scenario sees: plain functions and values, each of which is one call of the gateway.

Called by `main`, which hands `names` to the code. Rule: what could be different when the run is repeated comes from the gateway, which
keeps it, so that a run goes on after a crash as if nothing had been.
"""

from __future__ import annotations

from wayhouse.automation.sandbox.channel import CallError, Channel, Stopped

TYPE_CHECKING = False  # `typing` would cost half of the start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MAX_TEXT = 8192


class Settings(dict):  # type: ignore[type-arg]
    """The parameters: `settings["bound"]` or `settings.bound`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no parameter `{name}`") from None


class Stopping:
    """True as soon as the scenario is to stop: `while not stopping:`. Set by SIGTERM."""

    def __init__(self) -> None:
        self.is_asked = False

    def __bool__(self) -> bool:
        return self.is_asked

    def __repr__(self) -> str:
        return repr(self.is_asked)


class Variables:
    """Kept on disk: an assignment has been written when it returns."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getitem__(self, name: str) -> Any:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        if value is None:
            raise TypeError(
                f"a variable holds a number, a text, True or False; `del variables[{name!r}]` takes it away"
            )
        self._channel.call("set_variable", name=name, value=_plain(value))

    def __delitem__(self, name: str) -> None:
        self[name]
        self._channel.call("set_variable", name=name, value=None)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._channel.call("variables"))

    def __len__(self) -> int:
        return len(self._channel.call("variables"))

    def get(self, name: str, default: Any = None) -> Any:
        found = self._channel.call("variable", name=name)
        return default if found is None else found


class Output:
    """What is printed goes to the trace, line by line."""

    encoding = "utf-8"

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._channel.tell(do="say", call="print", text=line[:MAX_TEXT])
        if len(self._rest) > MAX_TEXT:
            self.end()
        return len(text)

    def flush(self) -> None:
        """Lines are sent at once, and half a line with its other half."""

    def end(self) -> None:
        if self._rest:
            rest, self._rest = self._rest, ""
            self._channel.tell(do="say", call="print", text=rest[:MAX_TEXT])

    def isatty(self) -> bool:
        return False


def names(channel: Channel, begin: dict[str, Any], stopping: Stopping) -> dict[str, Any]:
    """By name, all that the code can use beside Python itself."""
    found: dict[str, Any] = {
        "__name__": "__main__",
        "CallError": CallError,
        "Stopped": Stopped,
        "cause": begin["cause"],
        "entries": begin["entries"],
        "name": begin["name"],
        "settings": Settings(begin["settings"]),
        "stopping": stopping,
        "should_stop": lambda: stopping.is_asked,
        "variables": Variables(channel),
    }
    found.update({one.__name__: one for one in (*_looking(channel), *_acting(channel), *_waiting(channel))})
    return found


def _looking(channel: Channel) -> tuple[Callable[..., Any], ...]:
    def value(entry: str) -> Any:
        """What an entry says now; None: it has nothing to say."""
        return channel.call("value", entry=entry)

    def readings(entry: str, start: Any, end: Any = None) -> list[tuple[float, Any]]:
        """What was recorded of an entry: moment (Unix seconds) and value."""
        found = channel.call("readings", entry=entry, start=_moment(start), end=_moment(end))
        return [(at, one) for at, one in found]

    def now() -> Any:
        """The time, as a `datetime` with the gateway's zone."""
        from datetime import datetime

        return datetime.fromtimestamp(channel.call("now")).astimezone()

    def log(*text: Any) -> None:
        """A line in the trace."""
        channel.tell(do="say", call="log", text=" ".join(map(str, text))[:MAX_TEXT])

    return value, readings, now, log


def _acting(channel: Channel) -> tuple[Callable[..., Any], ...]:
    def command(device: str, command: str, value: Any = None) -> Any:
        """Have a device do something, and say what came of it. Raises `CallError`."""
        return channel.call("command", device=device, command=command, value=_plain(value))

    def publish(key: str, value: Any, ttl: float | None = None) -> None:
        """Put a value under a key for everybody, for `ttl` seconds; None takes it away."""
        channel.call("publish", key=key, value=value, ttl=ttl)

    def start(scenario: str) -> None:
        """Have another scenario run; this one goes on at once."""
        channel.call("start", scenario=scenario)

    def add_cron(job: str, schedule: str) -> None:
        """Add a job, which others may watch as `cron:<job>`."""
        channel.call("add_cron", job=job, schedule=schedule)

    def remove_cron(job: str) -> bool:
        """False: there was no such job."""
        return bool(channel.call("remove_cron", job=job))

    return command, publish, start, add_cron, remove_cron


def _waiting(channel: Channel) -> tuple[Callable[..., Any], ...]:
    def wait(seconds: float) -> None:
        """Also over a restart of the gateway. Raises `Stopped`."""
        channel.call("wait", seconds=_number(seconds))

    def wait_until(time: Any) -> None:
        """A time of the day such as "07:30", the next one; a `datetime`; or Unix seconds. Raises `Stopped`."""
        channel.call("wait_until", time=time if isinstance(time, str) else _moment(time))

    def wait_for(entry: str, *, timeout: float | None = None, **condition: Any) -> bool:
        """Until an entry is `above=` or `below=` a number, `equals=` a value, or has `changed=True`; False when `timeout` seconds
        were over first. Raises `Stopped`."""
        wanted = {name: _plain(one) for name, one in condition.items()}
        if len(wanted) != 1 or not set(wanted) <= {"above", "below", "equals", "changed"}:
            raise TypeError("wait_for takes one of above=, below=, equals= and changed=True")
        limit = None if timeout is None else _number(timeout)
        return bool(channel.call("wait_for", entry=entry, timeout=limit, **wanted))

    return wait, wait_until, wait_for


def _number(value: Any) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"a number of seconds is wanted, not {value!r:.80}")
    return float(value)


def _plain(value: Any) -> Any:
    """Numbers of other libraries become Python's."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return float(value) if hasattr(value, "__float__") else value


def _moment(time: Any) -> float | None:
    if time is None:
        return None
    return float(time.timestamp()) if hasattr(time, "timestamp") else _number(time)
