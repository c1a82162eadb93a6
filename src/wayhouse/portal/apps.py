"""What a person wants to know about an app at a glance: made from what it should do, what its containers do and what
is being changed right now. Used by the home page and the app's own page.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

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


Phases = dict[str, tuple[Phase, str]]


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
        self._kept: dict[str, tuple[Any, AppRow]] = {}
        self._phases: tuple[Any, Any, Phases] = (None, None, {})

    async def one(self, name: str, visit: Visit) -> AppRow:
        """Raises `NoSuchChuteError`."""
        chute = self._chutes.get(name)
        return self._row(chute, await self._chutes.containers(), self.open_changes(), visit)

    async def rows(self, names: Iterable[str], visit: Visit) -> list[AppRow]:
        containers, changes = await self._chutes.containers(), self.open_changes()
        found = (self._chutes.find(name) for name in names)
        return [self._row(chute, containers, changes, visit) for chute in found if chute is not None]

    async def phases(self) -> Phases:
        """Of every app, by name, in order of the names. Worked out anew only when something has changed."""
        containers, changes = await self._chutes.containers(), self.open_changes()
        chutes = list(self._chutes.all.values())
        key = (chutes, [(one.id, one.state) for one in changes.values()])
        if self._phases[0] is not containers or self._phases[1] != key:
            chutes = sorted(chutes, key=lambda chute: chute.name.casefold())
            found = {one.name: phase_of(one, containers, changes.get(one.name)) for one in chutes}
            self._phases = (containers, key, found)
        return self._phases[2]

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
        """The row, made anew only when something of it has changed; one for each app is kept."""
        owner = (chute.owner.name, chute.owner.domain)
        rights = (
            visit.may(Right.USE_CHUTE, chute.name, owner),
            visit.may(Right.CHANGE_CHUTE, chute.name, owner),
        )
        mine = [containers.get(container_name(chute.name, service)) for service in chute.spec.services]
        change = changes.get(chute.name)
        key = (mine, change, rights, visit.host)
        load = self._meters.last(chute.name) if chute.desired == "running" else Load()
        kept = self._kept.get(chute.name)
        if kept is None or kept[0][0] is not chute or kept[0][1] != key:
            row = _make(chute, phase_of(chute, containers, change), mine, change, rights, visit.host)
            self._kept[chute.name] = kept = ((chute, key), row)
            self._forget()
        return msgspec.structs.replace(kept[1], load=load)

    def _forget(self) -> None:
        """Drop the rows of apps that are gone."""
        if len(self._kept) > len(self._chutes.all):
            self._kept = {name: kept for name, kept in self._kept.items() if name in self._chutes.all}


def _make(
    chute: Chute,
    phase: tuple[Phase, str],
    containers: list[Container | None],
    change: Change | None,
    rights: tuple[bool, bool],
    host: str,
) -> AppRow:
    view = chute_view(chute, {}, with_environment=False)
    services = tuple(
        ServiceRow(name, service.type, _state(container), view.services[name].ports)
        for (name, service), container in zip(chute.spec.services.items(), containers, strict=True)
    )
    version = "" if chute.spec.version is None else str(chute.spec.version)
    is_up = chute.desired == "running" and view.web is not None
    url = open_url(view.web, host) if is_up else None
    busy_with = change.id if change else None
    facts = (phase, busy_with, chute.change_id, chute.desired, version, services, rights, url)
    return AppRow(
        name=chute.name,
        description=view.description,
        version=version,
        desired=chute.desired.value,
        phase=phase[0],
        label=phase[1],
        services=services,
        load=Load(),
        open_url=url,
        busy_with=busy_with,
        may_use=rights[0],
        may_change=rights[1],
        stamp=f"{zlib.crc32(repr(facts).encode('utf-8', 'replace')):x}",
    )


def phase_of(chute: Chute, containers: Mapping[str, Container], change: Change | None) -> tuple[Phase, str]:
    """The phase and a word for it."""
    if change is not None:
        return Phase.BUSY, doing(change)
    if chute.desired == "stopped":
        return Phase.STOPPED, "Stopped"
    states = [
        (_state(containers.get(container_name(chute.name, name))), service.restart)
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


def _state(container: Container | None) -> ServiceState:
    return container.state if container is not None else ServiceState("missing")


def _is_fine(state: ServiceState, restart: Restart) -> bool:
    """A service that is meant to end may have ended."""
    if state.state == "running":
        return True
    return state.state == "exited" and state.exit_code == 0 and restart is not Restart.ALWAYS
