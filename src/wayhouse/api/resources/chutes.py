"""Chutes: install, look at, start, stop, configure, remove; their logs and, one day, their networks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from wayhouse.access.model import Identity
from wayhouse.access.policy import Right, demand, permits
from wayhouse.api import wire
from wayhouse.api.actors import actor_of
from wayhouse.api.table import Call, Channel, Frame, Frames, Incoming, Rows, endpoint
from wayhouse.base import codec
from wayhouse.chutes import document
from wayhouse.chutes.allocation import cpu_shares
from wayhouse.chutes.log_cursor import LogCursor
from wayhouse.chutes.model import Chute, LogLine, NoSuchNetworkError, container_name
from wayhouse.chutes.ports import Container
from wayhouse.ledger.model import Change

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.chutes.service import Chutes, Received

CHUTES = "/api/v1/chutes/"
CHUTE = "/api/v1/chutes/{chute}"
NETWORK = CHUTE + "/networks/{network}"
MOST_LINES = 5000


class ChuteResource:
    def __init__(self, chutes: Chutes) -> None:
        self._chutes = chutes
        self._views: dict[str, tuple[Any, wire.ChuteView]] = {}

    def owner_of(self, name: str) -> tuple[str, str] | None:
        chute = self._chutes.find(name)
        return (chute.owner.name, chute.owner.domain) if chute is not None else None

    async def index(self, call: Call) -> list[wire.ChuteView]:
        containers = await self._chutes.containers()
        own = call.who.chute
        return [
            self._seen_by(call.who, chute, containers)
            for chute in self._chutes.all.values()
            if own is None or own == chute.name
        ]

    async def create(self, call: Call) -> wire.ChangeRef:
        received = await self._receive(call, None)
        return _ref(await self._chutes.create(received, actor_of(call.who)))

    async def get(self, call: Call) -> wire.ChuteView:
        return self._view(self._chutes.get(call.path["chute"]), await self._chutes.containers())

    async def update(self, call: Call) -> wire.ChangeRef:
        received = await self._receive(call, call.path["chute"])
        return _ref(await self._chutes.update(received, actor_of(call.who)))

    async def delete(self, call: Call) -> wire.ChangeRef:
        return _ref(await self._chutes.delete(call.path["chute"], actor_of(call.who)))

    async def stop(self, call: Call) -> wire.ChangeRef:
        return _ref(await self._chutes.stop(call.path["chute"], actor_of(call.who)))

    async def start(self, call: Call) -> wire.ChangeRef:
        return _ref(await self._chutes.start(call.path["chute"], actor_of(call.who), _environment(call)))

    async def restart(self, call: Call) -> wire.ChangeRef:
        return _ref(await self._chutes.restart(call.path["chute"], actor_of(call.who), _environment(call)))

    async def cache(self, call: Call) -> wire.ChuteCache:
        chute = self._chutes.get(call.path["chute"])
        return wire.ChuteCache(chute.token, self._chutes.system_directory(chute.name), [])

    async def config(self, call: Call) -> dict[str, Any]:
        chute = self._chutes.get(call.path["chute"])
        return document.document(chute.spec, owner=chute.owner, state=chute.desired)

    async def configure(self, call: Call) -> wire.ChangeRef:
        fields = call.body(dict)
        return _ref(await self._chutes.configure(call.path["chute"], fields, actor_of(call.who)))

    async def usage(self, call: Call) -> dict[str, wire.UsageView]:
        chute = self._chutes.get(call.path["chute"])
        names = {container_name(chute.name, service): service for service in chute.spec.services}
        found = await self._chutes.usage(list(names))
        return {
            names[name]: wire.UsageView(used.cpu_s, used.memory_bytes, used.pids)
            for name, used in found.items()
        }

    async def logs(self, call: Call) -> list[wire.LogLineView]:
        tail = call.query_number("tail", 200, most=MOST_LINES) or 0
        lines = await self._chutes.logs.history(call.path["chute"], tail=tail)
        return [wire.LogLineView(line.service, line.timestamp, line.message) for line in lines]

    async def follow_logs(self, call: Call, incoming: Incoming) -> Frames:
        """Coming back, `tail` counts only for services of which nothing was seen."""
        self._chutes.get(call.path["chute"])
        tail = call.query_number("tail", 200, most=MOST_LINES) or 0
        logs = self._chutes.logs
        cursor = None if incoming.resume is None else LogCursor.parse(incoming.resume)
        lines = logs.follow(call.path["chute"], tail=tail, cursor=cursor)
        return _frames(lines, logs.here() if cursor is None else cursor)

    async def networks(self, call: Call) -> list[wire.NetworkView]:
        self._chutes.get(call.path["chute"])
        return []

    async def no_network(self, call: Call) -> None:
        self._chutes.get(call.path["chute"])
        raise NoSuchNetworkError(
            f"Chute {call.path['chute']} has no network called {call.path['network']}.",
            network=call.path["network"],
        )

    async def no_network_channel(self, call: Call, _incoming: Incoming) -> Frames:
        await self.no_network(call)
        return _frames(self._chutes.logs.follow(call.path["chute"]), LogCursor())

    async def _receive(self, call: Call, url_name: str | None) -> Received:
        """What was sent, if the sender may install a chute of *its* name (which overrides the one in the URL)."""
        demand(Right.CHANGE_CHUTE, call.who, chute=url_name or "", chute_owner=self.owner_of(url_name or ""))
        if call.chunks is not None:
            received = await self._chutes.receive_archive(call.chunks)
        else:
            config = call.body(wire.ChuteOrder).config
            received = await self._chutes.receive_config({"name": url_name, **config} if url_name else config)
        try:
            demand(
                Right.CHANGE_CHUTE, call.who, chute=received.name, chute_owner=self.owner_of(received.name)
            )
        except Exception:
            self._chutes.drop(received)
            raise
        return received

    def _seen_by(
        self, identity: Identity, chute: Chute, containers: Mapping[str, Container]
    ) -> wire.ChuteView:
        owner = (chute.owner.name, chute.owner.domain)
        view = self._view(chute, containers)
        if permits(Right.USE_CHUTE, identity, chute=chute.name, chute_owner=owner):
            return view
        return chute_view(chute, containers, with_environment=False)

    def _view(self, chute: Chute, containers: Mapping[str, Container]) -> wire.ChuteView:
        """The view, made anew only when something of the chute has changed."""
        mine = [containers.get(container_name(chute.name, service)) for service in chute.spec.services]
        key = (chute, mine)
        kept = self._views.get(chute.name)
        if kept is not None and kept[0][0] is chute and kept[0][1] == mine:
            return kept[1]
        view = chute_view(chute, containers)
        self._views[chute.name] = (key, view)
        return view


def chute_view(
    chute: Chute, containers: Mapping[str, Container], *, with_environment: bool = True
) -> wire.ChuteView:
    is_running = chute.desired == "running"
    shares = cpu_shares(chute.spec.services.values()) if is_running else {}
    services = {
        name: _service_view(chute, name, containers.get(container_name(chute.name, name)), shares.get(name))
        for name in chute.spec.services
    }
    main = next((name for name in ("main", *sorted(services)) if name in services), None)
    return wire.ChuteView(
        name=chute.name,
        state=chute.desired,
        services=services,
        version=chute.spec.version,
        environment=chute.spec.environment if with_environment else {},
        allocation=services[main].allocation if main else None,
        description=chute.spec.description if chute.spec.description != "unknown" else "",
        web=_web_view(chute),
        owner=wire.UserRef(chute.owner.name, chute.owner.domain, chute.owner.role),
        installed=chute.installed,
        updated=chute.updated,
        change_id=chute.change_id,
    )


def _service_view(
    chute: Chute, name: str, container: Container | None, shares: int | None
) -> wire.ServiceView:
    requests = chute.spec.services[name].requests
    return wire.ServiceView(
        allocation=wire.Allocation(shares, requests.prioritize_traffic) if shares is not None else None,
        state=container.state.state if container is not None else "missing",
        restarts=container.state.restarts if container is not None else 0,
        started=container.state.started if container is not None else None,
        ports=chute.ports.get(name, {}),
    )


def _web_view(chute: Chute) -> wire.WebView | None:
    web = chute.spec.web
    if web is None:
        return None
    host_port = chute.ports.get(web.service, {}).get(f"{web.port}/tcp")
    service = chute.spec.services.get(web.service)
    if service is not None and service.requests.network_mode == "host":
        host_port = web.port
    return wire.WebView(web.service, web.port, host_port, f"/chutes/{chute.name}/")


async def _frames(lines: AsyncIterator[LogLine], cursor: LogCursor) -> Frames:
    """The first frame only tells where the stream began, so that nothing of a quiet app is lost on the way back."""
    yield Frame(None, str(cursor))
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            cursor = cursor.after(line)
            yield Frame(codec.encode_json(line).decode(), str(cursor))


def _environment(call: Call) -> dict[str, str] | None:
    order = call.optional_body(wire.StartOrder)
    return wire.as_environment(order.environment) if order is not None else None


def _ref(change: Change) -> wire.ChangeRef:
    return wire.ChangeRef(change.id)


_R = ChuteResource
LIST = endpoint("GET", CHUTES, Right.SEE_CHUTES, "Installed chutes", _R.index, reply=list[wire.ChuteView])
CREATE = endpoint(
    "POST", CHUTES, Right.SEE_CHUTES, "Install a chute from an archive or an order", _R.create,
    body=wire.ChuteOrder, reply=wire.ChangeRef, archive=True,
)  # fmt: skip
GET = endpoint("GET", CHUTE, Right.USE_CHUTE, "One chute", _R.get, reply=wire.ChuteView)
UPDATE = endpoint(
    "PUT", CHUTE, Right.CHANGE_CHUTE, "Update a chute, or install it", _R.update,
    body=wire.ChuteOrder, reply=wire.ChangeRef, archive=True,
)  # fmt: skip
DELETE = endpoint(
    "DELETE", CHUTE, Right.CHANGE_CHUTE, "Remove a chute and its data", _R.delete, reply=wire.ChangeRef
)
STOP = endpoint("POST", CHUTE + "/stop", Right.USE_CHUTE, "Stop a chute", _R.stop, reply=wire.ChangeRef)
START = endpoint(
    "POST", CHUTE + "/start", Right.USE_CHUTE, "Start a chute", _R.start,
    body=wire.StartOrder, reply=wire.ChangeRef, optional_body=True,
)  # fmt: skip
RESTART = endpoint(
    "POST", CHUTE + "/restart", Right.USE_CHUTE, "Restart a chute", _R.restart,
    body=wire.StartOrder, reply=wire.ChangeRef, optional_body=True,
)  # fmt: skip
CACHE = endpoint(
    "GET",
    CHUTE + "/cache",
    Right.CHANGE_CHUTE,
    "What the gateway worked out for it",
    _R.cache,
    reply=wire.ChuteCache,
)
CONFIG = endpoint(
    "GET", CHUTE + "/config", Right.USE_CHUTE, "Its specification", _R.config, reply=dict[str, Any]
)
CONFIGURE = endpoint(
    "PUT", CHUTE + "/config", Right.CHANGE_CHUTE, "Change fields of its specification and restart it", _R.configure,
    body=dict[str, Any], reply=wire.ChangeRef,
)  # fmt: skip
USAGE = endpoint(
    "GET",
    CHUTE + "/usage",
    Right.USE_CHUTE,
    "What its services use",
    _R.usage,
    reply=dict[str, wire.UsageView],
)
LOGS = endpoint(
    "GET", CHUTE + "/logs", Right.USE_CHUTE, "The last lines of its log", _R.logs,
    reply=list[wire.LogLineView], query={"tail": "How many lines, 200 if not given"},
)  # fmt: skip
NETWORKS = endpoint(
    "GET", CHUTE + "/networks", Right.USE_CHUTE, "Its networks", _R.networks, reply=list[wire.NetworkView]
)

FOLLOW_LOGS = Channel(
    path="/sockjs/logs/{chute}", also=("/sockjs/logs/{chute}/{rest...}", "/ws/chute_logs/{chute}"),
    right=Right.USE_CHUTE, summary="The chute's log: the last lines, then live", opener=_R.follow_logs,
    frame=wire.LogLineView, resumes=True,
)  # fmt: skip

ROWS: Rows = (
    FOLLOW_LOGS, LIST, CREATE, GET, UPDATE, DELETE, STOP, START, RESTART, CACHE, CONFIG, CONFIGURE, USAGE, LOGS, NETWORKS,
    endpoint("GET", NETWORK, Right.USE_CHUTE, "One of its networks", _R.no_network, reply=wire.NetworkView),
    endpoint("GET", NETWORK + "/leases", Right.USE_CHUTE, "DHCP leases", _R.no_network, reply=list[dict[str, str]]),
    endpoint("GET", NETWORK + "/ssid", Right.USE_CHUTE, "The network's name", _R.no_network, reply=dict[str, str]),
    endpoint(
        "PUT", NETWORK + "/ssid", Right.USE_CHUTE, "Rename the network until the next restart", _R.no_network,
        body=wire.Ssid, reply=dict[str, str],
    ),
    endpoint(
        "GET", NETWORK + "/hostapd_status", Right.USE_CHUTE, "Access point status", _R.no_network, reply=dict[str, str]
    ),
    endpoint(
        "GET", NETWORK + "/stations", Right.USE_CHUTE, "Wi-Fi stations", _R.no_network, reply=list[dict[str, str]]
    ),
    endpoint(
        "GET", NETWORK + "/stations/{mac}", Right.USE_CHUTE, "One station", _R.no_network, reply=dict[str, str]
    ),
    endpoint(
        "DELETE", NETWORK + "/stations/{mac}", Right.USE_CHUTE, "Put a station off", _R.no_network, reply=list[str]
    ),
    Channel(
        path=NETWORK + "/hostapd_control/ws", right=Right.USE_CHUTE, summary="hostapd's control interface",
        opener=_R.no_network_channel,
    ),
)  # fmt: skip
