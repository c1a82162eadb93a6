"""The words of the bus: ports, statuses, errors, settings of the broker and what it reports.

Used by every file of the room. Rule: a status is an ASCII frame; it ends the reply of every verb (`mmi.*`, devices, scenarios,
statistics, store) and begins the reply of the three Titanic services, so an answer that the broker gives in a worker's stead
(`refusal`) carries it at both ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wayhouse.base.errors import BadInputError, PermanentError, TemporaryError, UnavailableError

Frames = list[bytes]

BROKER_PORT = 5514
SNAPSHOT_PORT, PUBLISHER_PORT, COLLECTOR_PORT, LOGGER_PORT = 1, 2, 3, 4
"""To be added to the broker's port."""

OK = b"200"
PENDING = b"300"
UNKNOWN = b"400"
NOT_FOUND = b"404"
ERROR = b"500"
NOT_IMPLEMENTED = b"501"

HEARTBEAT_S = 2.5
LIVENESS = 3
RECONNECT_S = 2.5
CLIENT_TIMEOUT_S = 2.5
CLIENT_RETRIES = 3

QUEUE_FULL = b"queue-full"
EXPIRED = b"expired"
WORKER_LOST = b"worker-lost"
BAD_MARKS = b"bad-marks"
"""Why the broker answers a request itself: the first word of the middle frame of a `refusal`."""


class MalformedError(BadInputError):
    """Frames that are not of the protocol."""

    code = "bus-malformed"
    title = "These frames are not of the protocol"


class NoReplyError(TemporaryError):
    """Nobody answered in time, after all retries."""

    code = "bus-no-reply"
    title = "No reply in time"


class GenericError(PermanentError):
    """RasPy's base of what a status says; `value` is what came."""

    code = "bus-error"

    def __init__(self, value: object) -> None:
        super().__init__(f"The bus answered with {value!r}.")
        self.value = value


class ClientError(GenericError):
    """Status 400: the request is not known or not understood."""

    code = "bus-client-error"
    status = 400


class ServerError(GenericError):
    """Status 500: the other side failed."""

    code = "bus-server-error"
    status = 500


class EndpointError(UnavailableError):
    """An address cannot be bound or connected."""

    code = "bus-endpoint"
    title = "This address cannot be used"


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in seconds; limits in counts and bytes. `queue_bytes` counts the bodies of all requests that wait or are held."""

    heartbeat_s: float = HEARTBEAT_S
    liveness: int = LIVENESS
    busy_timeout_s: float = 300.0
    """How long a worker may take from one sign of progress to the next while it holds requests."""
    request_ttl_s: float = 60.0
    """How long a request waits for a worker, unless it says so itself."""
    request_ttl_max_s: float = 3600.0
    deliveries: int = 3
    """To how many workers a request is given, one after another, while each is lost."""
    credit_max: int = 256
    adaptive_credit: bool = True
    max_services: int = 10_000
    max_workers: int = 10_000
    max_queued: int = 200_000
    max_queued_per_service: int = 100_000
    queue_bytes: int = 256 << 20
    max_partial_bytes: int = 16 << 20
    """Of a reply in parts that is put together for a client of MDP 0.1."""
    max_events: int = 10_000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if name != "adaptive_credit" and not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` of the broker must be above 0")

    @property
    def expiry_s(self) -> float:
        return self.heartbeat_s * self.liveness


class Counters(msgspec.Struct):
    """What a broker has counted since it started. `stale`: answers to requests that the worker does not (or no longer) hold;
    `strangers`: workers that were sent away because they are not registered; `undeliverable`: messages to peers that are gone
    or do not read."""

    requests: int = 0
    replies: int = 0
    parts: int = 0
    mmi: int = 0
    malformed: int = 0
    violations: int = 0
    strangers: int = 0
    stale: int = 0
    refused: int = 0
    expired: int = 0
    requeued: int = 0
    lost: int = 0
    workers_lost: int = 0
    undeliverable: int = 0


class WorkerJoined(msgspec.Struct, frozen=True, tag=True):
    worker: bytes
    service: bytes


class WorkerLeft(msgspec.Struct, frozen=True, tag=True):
    """`reason`: disconnect, expired, overdue, unreachable, protocol or shutdown; `requeued`: how many requests went back."""

    worker: bytes
    service: bytes
    reason: str
    requeued: int


class ServiceUp(msgspec.Struct, frozen=True, tag=True):
    """The first worker of `service` has come."""

    service: bytes


class ServiceDown(msgspec.Struct, frozen=True, tag=True):
    """The last worker of `service` has gone."""

    service: bytes


BrokerEvent = WorkerJoined | WorkerLeft | ServiceUp | ServiceDown


def routing_key(hostname: str, service: str) -> str:
    """`localhost.fake` of `localhost` and `fake`."""
    return f"{hostname}.{service}"


def refusal(status: bytes, reason: bytes, text: str) -> Frames:
    """The body of an answer that the broker gives in a worker's stead: [status][reason: text][status]."""
    return [status, reason + b": " + text.encode(), status]


def refusal_of(body: Sequence[bytes]) -> bytes | None:
    """Why the broker answered in a worker's stead, of a `refusal`; None when a worker did."""
    if len(body) != 3 or body[0] != ERROR or body[2] != ERROR:
        return None
    reason = body[1].partition(b":")[0]
    return reason if reason in {QUEUE_FULL, EXPIRED, WORKER_LOST, BAD_MARKS} else None
