"""Where the gateway's page is for a browser, also when commands go to its socket."""

from __future__ import annotations

from typing import Any

from wayhouse.base.errors import WayhouseError
from wayhouse.cli.session import Session

HERE = "127.0.0.1:8080"
EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - comparing, not binding


def page_address(session: Session) -> str:
    """`http://HOST:PORT`: the place itself, or what the gateway's settings say it listens on."""
    place = session.choice.place
    if place.scheme != "unix":
        return str(place)
    from wayhouse.api.resources import config

    try:
        return address_from(session.client.call(config.SETTINGS))
    except WayhouseError:
        return address_from({})


def address_from(settings: dict[str, Any]) -> str:
    listen = settings.get("gateway_listen")
    host, _, port = (listen if isinstance(listen, str) and ":" in listen else HERE).rpartition(":")
    scheme = "http" if settings.get("gateway_tls", "off") == "off" else "https"
    return f"{scheme}://{'127.0.0.1' if host.strip('[]') in EVERYWHERE else host}:{port}"
