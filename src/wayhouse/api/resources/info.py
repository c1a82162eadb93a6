"""The machine: hardware, software, status, telemetry, and the way to its snapd."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from wayhouse.access.policy import Right
from wayhouse.api.bodies import gather
from wayhouse.api.table import Call, Channel, Endpoint, Frames, Incoming, Reply, Rows, endpoint
from wayhouse.base import codec
from wayhouse.host.model import Hardware, Software, Status, Telemetry

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.host.service import Host

INFO = "/api/v1/info"
SNAPD = "/snapd/{rest...}"
SSE_PERIOD_S = 2.0
MOST_SNAPD_BYTES = 4 * 1024 * 1024


class InfoResource:
    def __init__(self, host: Host) -> None:
        self._host = host

    async def hardware(self, call: Call) -> Hardware:
        return await self._host.hardware()

    async def software(self, call: Call) -> Software:
        return await self._host.software()

    async def environment(self, call: Call) -> dict[str, str]:
        return self._host.environment()

    async def features(self, call: Call) -> list[str]:
        return self._host.features()

    async def telemetry(self, call: Call) -> Telemetry:
        return await self._host.telemetry()

    async def status(self, call: Call) -> Status:
        return await self._host.status()

    async def follow_status(self, call: Call, incoming: Incoming) -> Frames:
        return self._periodic() if incoming.is_deaf else self._on_demand(incoming)

    async def snapd(self, call: Call) -> Reply:
        """ParaDrop answered 200 whatever snapd said; its clients read the body alone, so the true status does no harm."""
        body = await gather(call.chunks, most=MOST_SNAPD_BYTES) if call.chunks is not None else b""
        reply = await self._host.snapd.forward(
            call.method,
            "/" + call.path["rest"],
            query=call.raw_query,
            body=body,
            content_type=call.headers.get("content-type"),
        )
        return Reply(reply.body, reply.status, media=reply.content_type)

    async def _on_demand(self, incoming: Incoming) -> Frames:
        """One frame for each `refresh`; anything else is ignored, as ParaDrop's page expects."""
        async for text in incoming.frames:
            if text.strip() == "refresh":
                yield await self._status_frame()

    async def _periodic(self) -> Frames:
        while True:
            yield await self._status_frame()
            await asyncio.sleep(SSE_PERIOD_S)

    async def _status_frame(self) -> str:
        return codec.encode_json(await self._host.status()).decode()


_R = InfoResource
HARDWARE = endpoint("GET", INFO + "/hardware", Right.SEE, "The machine", _R.hardware, reply=Hardware)
SOFTWARE = endpoint(
    "GET", INFO + "/software", Right.SEE, "System, versions, uptime", _R.software, reply=Software
)
ENVIRONMENT = endpoint(
    "GET", INFO + "/environment", Right.ADMINISTER, "The daemon's environment, secrets masked", _R.environment,
    reply=dict[str, str],
)  # fmt: skip
FEATURES = endpoint(
    "GET", INFO + "/features", Right.SEE, "What this gateway can do", _R.features, reply=list[str]
)
TELEMETRY = endpoint(
    "GET",
    INFO + "/telemetry",
    Right.SEE_CHANGES,
    "Use of resources by chute and in all",
    _R.telemetry,
    reply=Telemetry,
)
STATUS = endpoint(
    "GET", INFO + "/status", Right.SEE, "CPU, memory, disk and network now", _R.status, reply=Status
)


def _snapd(method: Any) -> Endpoint[dict[str, Any]]:
    return endpoint(
        method,
        SNAPD,
        Right.ADMINISTER,
        "Pass a request on to snapd",
        _R.snapd,
        reply=dict[str, Any],
        raw=True,
    )


ROWS: Rows = (
    HARDWARE, SOFTWARE, ENVIRONMENT, FEATURES, TELEMETRY, STATUS,
    Channel(
        path="/sockjs/status", also=("/sockjs/status/{rest...}",), right=Right.SEE,
        summary="Status; as a WebSocket one frame for each `refresh`", opener=_R.follow_status, frame=Status,
    ),
    *(_snapd(method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
)  # fmt: skip
