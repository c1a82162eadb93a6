"""The variables that a container of a chute finds. Pure; called by the planner.

The chute's own come first, then the service's, then ours, which win: an app cannot pretend to be another one. The names
are ParaDrop's; `WAYHOUSE_API_URL`, `WAYHOUSE_API_TOKEN` and `WAYHOUSE_CHUTE_NAME` say the same to new apps.
"""

from __future__ import annotations

from collections.abc import Iterable

from wayhouse.chutes.model import Chute, Environment, Service

DATA_DIR = "/data/"
SYSTEM_DIR = "/paradrop/"


def environment(
    chute: Chute, service: Service, *, api_url: str, features: Iterable[str], router_id: str | None
) -> Environment:
    """All variables of one container, in a new mapping. `api_url` is the gateway as the app reaches it, without a path
    (`http://paradrop.io:8080`); `router_id` is None while the gateway belongs to no controller."""
    base = api_url.rstrip("/")
    version = chute.spec.version
    ours = {
        "PARADROP_CHUTE_NAME": chute.name,
        "PARADROP_CHUTE_VERSION": "unknown" if version is None else str(version),
        "PARADROP_FEATURES": " ".join(features),
        "PARADROP_DATA_DIR": DATA_DIR,
        "PARADROP_SYSTEM_DIR": SYSTEM_DIR,
        "PARADROP_API_URL": f"{base}/api",
        "PARADROP_BASE_URL": f"{base}/api/v1/chutes/{chute.name}",
        "PARADROP_WS_API_URL": f"{base.replace('http', 'ws', 1)}/ws",
        "PARADROP_API_TOKEN": chute.token,
        "WAYHOUSE_API_URL": f"{base}/api/v1",
        "WAYHOUSE_API_TOKEN": chute.token,
        "WAYHOUSE_CHUTE_NAME": chute.name,
    }
    if router_id:
        ours["PARADROP_ROUTER_ID"] = router_id
    return {**chute.spec.environment, **service.environment, **ours}
