"""The gateway about itself: version, health, metrics, its log, its facts as they happen, and this API's description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wayhouse.access.policy import Right
from wayhouse.api import wire
from wayhouse.api.resources.changes import change_view
from wayhouse.api.table import Call, Channel, Frames, Incoming, Reply, Rows, endpoint
from wayhouse.base import codec
from wayhouse.base.events import Events, Subscription
from wayhouse.base.log import LogLine
from wayhouse.base.metrics import Metrics
from wayhouse.chutes.model import ChuteChanged
from wayhouse.ledger.model import ChangeMoved


class SystemResource:
    def __init__(
        self,
        events: Events,
        metrics: Metrics,
        version: wire.VersionView,
        describe: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._events = events
        self._metrics = metrics
        self._version = version
        self._describe = describe

    async def health(self, call: Call) -> wire.Health:
        return wire.Health("ok")

    async def version(self, call: Call) -> wire.VersionView:
        return self._version

    async def metrics(self, call: Call) -> Reply:
        return Reply(self._metrics.render().encode(), media="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, call: Call) -> dict[str, Any]:
        return dict(self._describe())

    async def follow_log(self, call: Call, _incoming: Incoming) -> Frames:
        return self._log_frames()

    async def follow_events(self, call: Call, _incoming: Incoming) -> Frames:
        return self._event_frames()

    async def _log_frames(self) -> Frames:
        with self._events.subscribe(LogLine) as lines:
            async for line in lines:
                yield line.message

    async def _event_frames(self) -> Frames:
        facts: Subscription[ChuteChanged | ChangeMoved] = self._events.subscribe(ChuteChanged, ChangeMoved)
        with facts:
            async for fact in facts:
                if isinstance(fact, ChangeMoved):
                    body: dict[str, Any] = {"event": "change", "change": change_view(fact.change)}
                elif isinstance(fact, ChuteChanged):
                    body = {"event": "chute", "name": fact.name, "installed": fact.chute is not None}
                yield codec.encode_json(body).decode()


_R = SystemResource
HEALTH = endpoint("GET", "/healthz", Right.OPEN, "Whether the gateway works", _R.health, reply=wire.Health)
VERSION = endpoint("GET", "/api/v1/version", Right.SEE, "What runs here", _R.version, reply=wire.VersionView)
METRICS = endpoint(
    "GET", "/metrics", Right.SEE, "For Prometheus", _R.metrics, reply=str, reply_media="text/plain"
)
OPENAPI = endpoint(
    "GET", "/api/v1/openapi.json", Right.OPEN, "This API in OpenAPI 3.1", _R.openapi, reply=dict[str, Any]
)

ROWS: Rows = (
    HEALTH, VERSION, METRICS, OPENAPI,
    Channel(
        path="/ws/paradrop_logs", right=Right.ADMINISTER, summary="The gateway's own log, live",
        opener=_R.follow_log,
    ),
    Channel(
        path="/ws/events", right=Right.ADMINISTER, summary="What happens, as it happens: changes and chutes",
        opener=_R.follow_events, frame=dict[str, Any],
    ),
)  # fmt: skip
