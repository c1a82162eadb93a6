"""What a person wants to know about an app at a glance: made from what it should do, what its containers do and what
is being changed right now. Used by the home page and the app's own page.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable, Mapping

import msgspec

from wayhouse.access.policy import Right
from wayhouse.api.resources.chutes import chute_view
from wayhouse.api.wire import WebView
from wayhouse.chutes.model import Chute, Restart, ServiceState, container_name
from wayhouse.chutes.ports import Container
from wayhouse.chutes.service import Chutes
from wayhouse.ledger.model import Change, State
from wayhouse.ledger.service import Ledger
from wayhouse.portal.model import Visit, app_path
from wayhouse.portal.usage import Load, Meters

_DOING = {
    "create": "Installing",
    "update": "Updating",
    "delete": "Removing",
    "start": "Starting",
    "stop": "Stopping",
    "restart": "Restarting",
}


class Phase(enum.StrEnum):
    """How an app is, in the order in which it deserves attention."""

    FAILING = "failing"
    PARTLY = "partly"
    BUSY = "busy"
    RUNNING = "running"
    STOPPED = "stopped"


class ServiceRow(msgspec.Struct, frozen=True):
    name: str
    kind: str
    state: ServiceState
    ports: dict[str, int]


class AppRow(msgspec.Struct, frozen=True, kw_only=True):
    """`open_url` is where a browser finds the app's page now, None if it has none or does not run. `stamp` changes when
    anything but `load` does."""

    name: str
    description: str
    version: str
    desired: str
    phase: Phase
    label: str
    services: tuple[ServiceRow, ...]
    load: Load
    open_url: str | None
    busy_with: int | None
    may_use: bool
    may_change: bool
    stamp: str

    @property
    def path(self) -> str:
        return app_path(self.name)

    @property
    def ports(self) -> list[tuple[str, int]]:
        return [(inside, host) for one in self.services for inside, host in sorted(one.ports.items())]


class AppList:
    """Makes rows; asks the rooms for what they know at this moment."""

    def __init__(self, chutes: Chutes, ledger: Ledger, meters: Meters) -> None:
        self._chutes = chutes
        self._ledger = ledger
        self._meters = meters

    async def one(self, name: str, visit: Visit) -> AppRow:
        """Raises `NoSuchChuteError`."""
        chute = self._chutes.get(name)
        return self._row(chute, await self._chutes.containers(), self.open_changes(), visit)

    async def rows(self, names: Iterable[str], visit: Visit) -> list[AppRow]:
        containers, changes = await self._chutes.containers(), self.open_changes()
        found = (self._chutes.find(name) for name in names)
        return [self._row(chute, containers, changes, visit) for chute in found if chute is not None]

    async def phases(self) -> dict[str, tuple[Phase, str]]:
        """Of every app, by name, in order of the names."""
        containers, changes = await self._chutes.containers(), self.open_changes()
        chutes = sorted(self._chutes.all.values(), key=lambda chute: chute.name.casefold())
        return {one.name: phase_of(one, containers, changes.get(one.name)) for one in chutes}

    def named(self, query: str) -> set[str]:
        """The apps whose name or description holds all words of `query`."""
        words = query.casefold().split()
        return {
            name
            for name, chute in self._chutes.all.items()
            if all(word in f"{name} {chute.spec.description}".casefold() for word in words)
        }

    def open_changes(self) -> dict[str, Change]:
        """The change that is under way, or comes next, by the name of the chute."""
        result: dict[str, Change] = {}
        for change in self._ledger.open_changes():
            if change.wish.resource.startswith("chute/"):
                result.setdefault(change.wish.name, change)
        return result

    def _row(
        self, chute: Chute, containers: Mapping[str, Container], changes: Mapping[str, Change], visit: Visit
    ) -> AppRow:
        owner = (chute.owner.name, chute.owner.domain)
        change = changes.get(chute.name)
        phase, label = phase_of(chute, containers, change)
        may_use = visit.may(Right.USE_CHUTE, chute.name, owner)
        may_change = visit.may(Right.CHANGE_CHUTE, chute.name, owner)
        view = chute_view(chute, {}, with_environment=False)
        services = tuple(
            ServiceRow(name, service.type, _state(containers, chute.name, name), view.services[name].ports)
            for name, service in chute.spec.services.items()
        )
        version = "" if chute.spec.version is None else str(chute.spec.version)
        is_up = chute.desired == "running" and view.web is not None
        facts = (label, change.id if change else 0, chute.change_id, version, services, may_use, may_change)
        return AppRow(
            name=chute.name,
            description=view.description,
            version=version,
            desired=chute.desired.value,
            phase=phase,
            label=label,
            services=services,
            load=self._meters.last(chute.name) if chute.desired == "running" else Load(),
            open_url=open_url(view.web, visit.host) if is_up else None,
            busy_with=change.id if change else None,
            may_use=may_use,
            may_change=may_change,
            stamp=f"{zlib.crc32(repr(facts).encode('utf-8', 'replace')):x}",
        )


def phase_of(chute: Chute, containers: Mapping[str, Container], change: Change | None) -> tuple[Phase, str]:
    """The phase and a word for it."""
    if change is not None:
        return Phase.BUSY, doing(change)
    if chute.desired == "stopped":
        return Phase.STOPPED, "Stopped"
    states = [
        (_state(containers, chute.name, name), service.restart)
        for name, service in chute.spec.services.items()
    ]
    fine = sum(1 for state, restart in states if _is_fine(state, restart))
    if fine == len(states):
        return Phase.RUNNING, "Running"
    if any(state.state == "restarting" for state, _ in states):
        return Phase.PARTLY, "Keeps restarting"
    if fine == 0:
        return Phase.FAILING, "Not running"
    return Phase.PARTLY, f"{fine} of {len(states)} running"


def doing(change: Change) -> str:
    """What a change that is not over does: "Installing", "Waiting", "Undoing"."""
    if change.state is State.QUEUED:
        return "Waiting"
    if change.state is State.UNDOING:
        return "Undoing"
    return _DOING.get(change.wish.kind.partition(".")[2], "Changing")


def open_url(web: WebView | None, host: str) -> str | None:
    """The app's own port on the name under which the browser knows this machine."""
    if web is None:
        return None
    return f"http://{host}:{web.host_port}/" if web.host_port is not None else web.path


def _state(containers: Mapping[str, Container], chute: str, service: str) -> ServiceState:
    container = containers.get(container_name(chute, service))
    return container.state if container is not None else ServiceState("missing")


def _is_fine(state: ServiceState, restart: Restart) -> bool:
    """A service that is meant to end may have ended."""
    if state.state == "running":
        return True
    return state.state == "exited" and state.exit_code == 0 and restart is not Restart.ALWAYS
