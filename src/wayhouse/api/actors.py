"""Between the access room's `Identity` and the ledger's `Actor`: the two rooms do not know each other."""

from __future__ import annotations

from wayhouse.access.model import Identity
from wayhouse.ledger.model import Actor


def actor_of(identity: Identity) -> Actor:
    return Actor(identity.name, identity.domain, identity.role.label)
