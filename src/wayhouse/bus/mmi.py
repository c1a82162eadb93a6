"""MMI: what the broker answers itself, under names that start with `mmi.` (ZeroMQ RFC 8, RasPy's additions and ours).

Called by the broker. Rules: the last frame is the status; an unknown name is answered with 501 in place of the last frame of what
was sent; nothing here takes long, whatever is asked.

| name | body | reply |
|---|---|---|
| `mmi.service` | name | 200 when it has a worker, else 404 |
| `mmi.discovery` | regular expression | names of services with workers that it finds, 200; 501 when it cannot be understood |
| `mmi.echo` | at most 64 KiB | the same, 200; 400 for more |
| `mmi.directory` | | `name=count` of workers joined by `|`, 200 |
| `mmi.helper.<replies, topics or mmi>` | start of the names, or nothing | as in the directory; names; joined by `|`, 200 |
| `mmi.ping` | | 200 |
| `mmi.info` | | JSON: version, protocols, settings; 200 |
| `mmi.stats` | | JSON: `overview.BrokerFigures`, with each service, each worker and the clone; 200 |
| `mmi.services`, `mmi.workers` | (workers: service, or nothing) | JSON list, 200 |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from wayhouse import __version__
from wayhouse.base.codec import encode_json, to_builtins
from wayhouse.bus.figures import Figures
from wayhouse.bus.model import (
    NOT_FOUND,
    NOT_IMPLEMENTED,
    OK,
    UNKNOWN,
    BrokerSettings,
    Frames,
    MalformedError,
)
from wayhouse.bus.pattern import Pattern
from wayhouse.bus.services import Service

NAMES = ("service", "discovery", "echo", "directory", "ping", "info", "stats", "services", "workers")
HELPERS = ("replies", "topics", "mmi")
ALL = (*NAMES, *(f"helper.{kind}" for kind in HELPERS))
PROTOCOLS = ["MDP/0.1", "MDP/0.2", "MMI"]
MAX_LISTED = 10_000
"""Topics of one answer."""
STATS_S = 0.05
MAX_ECHO = 64 * 1024
"""So that nobody fills the pipe of a client that does not read with what it sent itself."""


class Mmi:
    """`services` are the broker's own, only read here; `topics` gives the keys of the clone that begin so."""

    def __init__(
        self,
        services: Mapping[bytes, Service],
        figures: Figures,
        settings: BrokerSettings,
        topics: Callable[[bytes], Iterable[bytes]],
    ) -> None:
        self._by_name = services
        self._figures = figures
        self._settings = settings
        self._topics = topics
        self._stats_made = (0.0, b"")
        self._verbs: dict[str, Callable[[Frames, float], Frames]] = {
            name: getattr(self, f"_{name}") for name in NAMES
        }

    def answer(self, service: bytes, body: Frames, now: float) -> Frames:
        """The reply's body; `service` begins with `mmi.`."""
        name = service.removeprefix(b"mmi.").decode("ascii", "replace")
        if name.startswith("helper."):
            found = self._helper(name.removeprefix("helper."), body)
            return _unknown(body) if found is None else found
        if name not in NAMES:
            return _unknown(body)
        return self._verbs[name](body, now)

    def _service(self, body: Frames, _: float) -> Frames:
        if not body:
            return [UNKNOWN]
        return [OK if self._has_worker(body[-1]) or _is_own(body[-1]) else NOT_FOUND]

    def _discovery(self, body: Frames, _: float) -> Frames:
        try:
            pattern = Pattern(body[0].decode() if body else "")
            return [*(name for name in self._names() if _finds(pattern, name)), OK]
        except (MalformedError, UnicodeDecodeError):
            return [NOT_IMPLEMENTED]

    def _echo(self, body: Frames, _: float) -> Frames:
        return [*body, OK] if sum(map(len, body)) <= MAX_ECHO else [UNKNOWN]

    def _directory(self, _: Frames, __: float) -> Frames:
        return [b"|".join(self._counted()), OK]

    def _helper(self, kind: str, body: Frames) -> Frames | None:
        """None for a kind that is not known."""
        if kind not in HELPERS:
            return None
        start = body[0] if body else b""
        if kind == "topics":
            return [b"|".join(islice(self._topics(start), MAX_LISTED)), OK]
        items = self._counted() if kind == "replies" else [f"mmi.{name}".encode() for name in ALL]
        return [b"|".join(item for item in items if item.startswith(start)), OK]

    def _ping(self, _: Frames, __: float) -> Frames:
        return [OK]

    def _info(self, _: Frames, __: float) -> Frames:
        told = {"name": "wayhouse", "version": __version__, "protocols": PROTOCOLS}
        return [encode_json({**told, "settings": to_builtins(self._settings)}), OK]

    def _stats(self, _: Frames, now: float) -> Frames:
        """Made anew now and then only, so that who asks all the time does not stop the others."""
        made, stats = self._stats_made
        if not stats or now - made >= STATS_S:
            self._stats_made = (now, encode_json(self._figures.stats(now)))
        return [self._stats_made[1], OK]

    def _services(self, _: Frames, __: float) -> Frames:
        return [encode_json(self._figures.services()), OK]

    def _workers(self, body: Frames, _: float) -> Frames:
        return [encode_json(self._figures.workers(body[0] if body else b"")), OK]

    def _has_worker(self, name: bytes) -> bool:
        service = self._by_name.get(name)
        return service is not None and bool(service.members)

    def _names(self) -> list[bytes]:
        return sorted(name for name, service in self._by_name.items() if service.members)

    def _counted(self) -> list[bytes]:
        return [b"%b=%d" % (name, self._by_name[name].workers) for name in self._names()]


def _unknown(body: Frames) -> Frames:
    return [*body[:-1], NOT_IMPLEMENTED]


def _is_own(name: bytes) -> bool:
    """Whether the broker itself answers to it."""
    return name in {f"mmi.{one}".encode() for one in ALL}


def _finds(pattern: Pattern, name: bytes) -> bool:
    """Also with a dot behind, since the pattern that RasPy's manual draws asks for one behind `.devices`."""
    text = name.decode("utf-8", "replace")
    return pattern.search(text) or pattern.search(text + ".")
