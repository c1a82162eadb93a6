"""How an overlay is set up after a wish to change it. Pure, called by `service.py`, which keeps the result.

Rules: what the wish does not name stays; a wish that was made for another revision than the present one changes nothing; a network behind a peer is taken only
if nothing of this gateway is in its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from wayhouse.base.errors import ConflictError
from wayhouse.overlay import subnets
from wayhouse.overlay.configuration import BadConfigurationError, Configuration, read_servers
from wayhouse.overlay.model import is_uid
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.shares import check_all
from wayhouse.overlay.subnets import Surroundings

Networks = Callable[[], Mapping[str, str]]


class SetupChangedError(ConflictError):
    """Somebody else has changed it since it was read."""

    code = "overlay-revision"
    title = "The overlay's setup has changed meanwhile"


def tuned(one: Configuration, wish: Tuning, others: Iterable[Configuration], here: Networks) -> Configuration:
    """`others` are this gateway's other overlays, `here` gives networks of the machine with what they are. Equal to `one` if nothing is different, else of the next
    revision. Raises `SetupChangedError`, `SubnetOverlapsError`, `BadConfigurationError`, `BadSubnetError`, `BadRuleError`, `BadShareError`."""
    if wish.if_revision not in {None, one.revision}:
        raise SetupChangedError(
            f"The setup of `{one.name}` has changed meanwhile: it is at revision {one.revision}, not {wish.if_revision}. "
            "Nothing was done. Look at it again, then say again what is to change.",
            revision=one.revision,
        )
    found = msgspec.structs.replace(one, **_changed(one, wish, list(others), here))
    return one if found == one else msgspec.structs.replace(found, revision=one.revision + 1)


def _changed(one: Configuration, wish: Tuning, others: list[Configuration], here: Networks) -> dict[str, Any]:
    named = {name: getattr(wish, name) for name in wish.__struct_fields__ if name != "if_revision"}
    changed: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if wish.stun is not None:
        changed["stun"] = read_servers(wish.stun)
    if wish.peer_policies is not None:
        merged = {**one.peer_policies, **wish.peer_policies}
        changed["peer_policies"] = {uid: policy for uid, policy in merged.items() if policy is not None}
    if wish.shares is not None:
        changed["shares"] = check_all(wish.shares)
    if wish.offered_subnets is not None:
        overlays = Surroundings(_overlays([one, *others]))
        changed["offered_subnets"] = tuple(
            subnets.check_offer(text, overlays) for text in wish.offered_subnets
        )
    if wish.accepted_subnets is not None:
        changed["accepted_subnets"] = _accepted(one, wish.accepted_subnets, others, here)
    return changed


def _accepted(
    one: Configuration, wish: Mapping[str, tuple[str, ...]], others: list[Configuration], here: Networks
) -> dict[str, tuple[str, ...]]:
    """What was accepted before stays, also when something came in its way since: it is not routed, and says why."""
    if not all(map(is_uid, wish)):
        raise BadConfigurationError(
            "`accepted_subnets`: peers are named by their uids.", path="accepted_subnets"
        )
    found = {uid: tuple(str(subnets.read(text)) for text in texts) for uid, texts in wish.items() if texts}
    fresh = [
        (uid, text)
        for uid, texts in found.items()
        for text in set(texts) - {*one.accepted_subnets.get(uid, ())}
    ]
    if fresh:
        own = Surroundings({**here(), **_overlays([one, *others]), **_behind(others)})
        for uid, text in sorted(fresh):
            subnets.check_accept(uid, text, found, own)
    return found


def _overlays(all_: Iterable[Configuration]) -> dict[str, str]:
    return {str(one.network): f"the overlay {one.name}" for one in all_}


def _behind(others: Iterable[Configuration]) -> dict[str, str]:
    return {
        text: f"which was accepted from {uid[:8]} of the overlay {one.name}"
        for one in others
        for uid, texts in one.accepted_subnets.items()
        for text in texts
    }
