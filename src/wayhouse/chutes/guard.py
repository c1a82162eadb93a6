"""What a chute may not have, and who may not touch it: checked when a change runs, whatever was checked when it was asked.

The access room's table decides who may ask; this is the second door, since ownership may have changed in between.
"""

from __future__ import annotations

from collections.abc import Iterable

from wayhouse.chutes.model import (
    Chute,
    ChuteForbiddenError,
    ChuteSettings,
    ChuteStateError,
    Spec,
    container_name,
)
from wayhouse.ledger.model import Actor

_STRONG = {"admin", "owner"}


def check_owner(actor: Actor, chute: Chute | None) -> None:
    """Admins, owners of the node, and the chute's own owner may change it."""
    if chute is None or actor.role in _STRONG:
        return
    if (actor.name, actor.domain) != (chute.owner.name, chute.owner.domain):
        raise ChuteForbiddenError(f"Not permitted to modify existing chute {chute.name}", chute=chute.name)


def check_requests(spec: Spec, actor: Actor, settings: ChuteSettings, others: Iterable[Chute]) -> None:
    """Raises when the specification asks for what this gateway, or this user, may not have."""
    for name, service in spec.services.items():
        asks = [
            word
            for word, is_asked in (
                ("to be privileged", service.requests.privileged),
                ("for the host's network", service.requests.network_mode == "host"),
            )
            if is_asked
        ]
        if asks and not settings.allow_privileged:
            raise ChuteForbiddenError(
                f"Service {name} asks {' and '.join(asks)}; this gateway does not allow that (chutes.allow_privileged)."
            )
        if asks and actor.role not in _STRONG:
            raise ChuteForbiddenError(
                f"Service {name} asks {' and '.join(asks)}; only an admin may install that."
            )
        if not settings.allow_monitor_mode and any(
            one.get("type") == "wifi-monitor" for one in service.interfaces.values()
        ):
            raise ChuteForbiddenError(
                f"Service {name} asks for a Wi-Fi monitor interface; set chutes.allow_monitor_mode to allow it."
            )
    _check_names(spec, others)


def _check_names(spec: Spec, others: Iterable[Chute]) -> None:
    """`a-b` + `c` and `a` + `b-c` would be the same container."""
    mine = {container_name(spec.name, service) for service in spec.services}
    for other in others:
        for service in other.spec.services:
            name = container_name(other.name, service)
            if name in mine:
                raise ChuteStateError(
                    f"Container {name} belongs to chute {other.name} already. Rename the chute or the service."
                )
