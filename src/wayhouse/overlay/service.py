"""The overlays of this gateway: founding, joining, inviting and taking back, and how each is doing. The daemon's side.

Called by the API and the gateway. What people want is on disk before it is answered; then the process of the links is told, as a whole and again after each
of its starts, so that it never has to be asked what it knows. Rule: secrets leave this file only towards that process and in an invitation's code.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import msgspec

from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.errors import ConflictError, NotFoundError
from wayhouse.base.events import Events
from wayhouse.overlay import tuning
from wayhouse.overlay.configuration import Configuration, check_label
from wayhouse.overlay.configuration_store import ConfigurationStore
from wayhouse.overlay.drivers import networks_here
from wayhouse.overlay.links import Links
from wayhouse.overlay.model import NoSuchOverlayError, OverlayExistsError
from wayhouse.overlay.netcheck import NetReport
from wayhouse.overlay.orders import Code, Founding, Inviting, Issued, Joining, Setup, Tuning
from wayhouse.overlay.shares import Share
from wayhouse.overlay.tickets import Signed
from wayhouse.overlay.views import LinkView, OverlayChanged, OverlayState, OverlayView

MOST_OVERLAYS = 16


class Overlays:
    """`links` is the process that carries them out. `hostname` is this gateway's usual name in overlays."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        links: Links,
        *,
        hostname: str = "",
        events: Events | None = None,
    ) -> None:
        """Raises `PermanentError` for a database of a newer version."""
        self._store = ConfigurationStore(database)
        self._clock, self._links = clock, links
        self._label = _as_label(hostname or socket.gethostname())
        self._changing = asyncio.Lock()
        self._all: dict[str, Configuration] = {}
        self._events = events or Events()

    def load(self) -> None:
        """Know what is on disk, before anybody asks, and have it carried out."""
        self._all = {one.name: one for one in self._store.load()}
        self._tell()

    # ---- looking

    def setup(self, name: str) -> Setup:
        """Raises `NoSuchOverlayError`."""
        return _setup(self._one(name))

    def state(self, name: str) -> OverlayState:
        """As it was some seconds ago. Raises `NoSuchOverlayError`."""
        one = self._one(name)
        found = self._links.states().get(name)
        if found is not None:
            return found
        problem = self._links.problem() or "It is being set up."
        return OverlayState(
            overlay=OverlayView(
                name=name, kind=one.kind, uid=one.uid, ip4=one.ip4, dns_name=f"{one.dns_name}.{name}",
                is_admin=one.is_admin, problem=problem,
            )
        )  # fmt: skip

    def shares(self, name: str) -> tuple[Share, ...]:
        """What peers are given. Raises `NoSuchOverlayError`."""
        return self._one(name).shares

    def names(self) -> list[str]:
        """Of all overlays that this gateway is in."""
        return sorted(self._all)

    def links(self, name: str) -> tuple[LinkView, ...]:
        """Raises `NoSuchOverlayError`."""
        return self.state(name).links

    def invitations(self, name: str) -> Sequence[Issued]:
        """Made on this gateway, the newest first. Raises `NoSuchOverlayError`."""
        self._one(name)
        return self._store.issued(name)

    async def netcheck(self, name: str) -> NetReport:
        """What is between this gateway and the network, looked at now. Raises `NoSuchOverlayError`, `UnavailableError`."""
        self._one(name)
        return await self._links.netcheck(name)

    # ---- coming and going

    async def found(self, wish: Founding) -> OverlayView:
        """Raises `OverlayExistsError`, `BadConfigurationError`, `ConflictError`, `UnavailableError`."""
        from wayhouse.overlay import admission

        return await self._add(admission.found(wish, self._label))

    async def join(self, wish: Joining) -> OverlayView:
        """By an invitation. Raises as `found`, and `BadInvitationError`."""
        from wayhouse.overlay import admission

        return await self._add(admission.join(wish, self._label, self._clock.wall()))

    async def leave(self, name: str) -> None:
        """Its keys are forgotten: only a new invitation leads back. Raises `NoSuchOverlayError`, `UnavailableError`."""
        async with self._changing:
            self._one(name)
            await self._store.remove(name)
            del self._all[name]
            self._tell()
        self._events.publish(OverlayChanged(name, is_gone=True))

    async def tune(self, name: str, wish: Tuning) -> Setup:
        """Raises `NoSuchOverlayError`, `UnavailableError`, and as `tuning.tuned`."""
        async with self._changing:
            one = self._one(name)
            others = [other for other in self._all.values() if other is not one]
            changed = tuning.tuned(one, wish, others, networks_here.others)
            if changed is not one:
                await self._replace(changed)
            return self.setup(name)

    # ---- members

    async def invite(self, name: str, wish: Inviting) -> Code:
        """Only where the group was founded. Raises `NoSuchOverlayError`, `ForbiddenError`, `BadInvitationError`, `UnavailableError`."""
        from wayhouse.overlay import admission

        code = admission.invite(self._one(name), wish, self._clock.wall())
        if self._one(name).kind == "group":
            await self._store.keep(code.invitation)
        return code

    async def revoke(self, name: str, *, invitation_id: str = "", uid: str = "") -> None:
        """Take back an invitation, with all who joined by it, or one member. Raises `NoSuchOverlayError`, `ForbiddenError`,
        `NotFoundError`, `BadInputError`, `UnavailableError`."""
        from wayhouse.overlay import admission

        async with self._changing:
            changed = admission.revoke(self._one(name), ticket=invitation_id, uid=uid)
            if invitation_id:
                issued = {one.id: one for one in self._store.issued(name)}
                if invitation_id not in issued:
                    raise NotFoundError(
                        f"No invitation `{invitation_id[:40]}` was made here. See them: wayhouse overlay invitations -o {name}"
                    )
                await self._store.keep(msgspec.structs.replace(issued[invitation_id], is_revoked=True))
            await self._replace(changed)

    async def note_revocations(self, name: str, text: str) -> None:
        """A list that came from a member, as JSON; it counts if it is newer. Raises `BadInputError`, `BadBindingError`, `UnavailableError`."""
        from wayhouse.overlay import admission

        signed = codec.decode_json(text, Signed, what="list of revocations")
        async with self._changing:
            one = self._all.get(name)
            if one is not None and admission.is_newer(one, signed):
                await self._replace(msgspec.structs.replace(one, revoked=signed))

    async def forget(self, name: str, uid: str) -> None:
        """The peer's pinned certificate, so that it is trusted anew. Raises `NoSuchOverlayError`, `UnavailableError`."""
        self._one(name)
        await self._links.forget(name, uid)

    # ---- inside

    def _one(self, name: str) -> Configuration:
        try:
            return self._all[name]
        except KeyError:
            known = ", ".join(sorted(self._all)) or "none"
            raise NoSuchOverlayError(f"There is no overlay `{name[:40]}` here. Known are: {known}.") from None

    async def _add(self, one: Configuration) -> OverlayView:
        async with self._changing:
            if one.name in self._all:
                raise OverlayExistsError(
                    f"This gateway is in an overlay `{one.name}` already. Leave it first: wayhouse overlay leave -o {one.name}"
                )
            if len(self._all) >= MOST_OVERLAYS:
                raise ConflictError(f"A gateway is in at most {MOST_OVERLAYS} overlays. Leave one first.")
            self._refuse_overlap(one)
            await self._replace(one)
        return self.state(one.name).overlay

    async def _replace(self, one: Configuration) -> None:
        await self._store.save(one)
        self._all[one.name] = one
        self._tell()
        self._events.publish(OverlayChanged(one.name))

    def _tell(self) -> None:
        """That process may be one of an earlier version, and nothing follows from the revision there."""
        self._links.carry_out([msgspec.structs.replace(one, revision=0) for one in self._all.values()])

    def _refuse_overlap(self, one: Configuration) -> None:
        for other in self._all.values():
            if one.network.overlaps(other.network):
                raise ConflictError(
                    f"{one.network} overlaps {other.network} of `{other.name}`. Found it with another subnet."
                )
        used = networks_here.overlapping(one.network)
        if used:
            raise ConflictError(
                f"{one.network} overlaps {used} of this machine. Found it with another subnet, such as 172.29.0.0/16."
            )

    def list(self) -> Sequence[OverlayView]:
        """All, by name."""
        return [self.state(name).overlay for name in sorted(self._all)]


def _as_label(hostname: str) -> str:
    label = "".join(
        letter if letter.isascii() and letter.isalnum() else "-"
        for letter in hostname.lower().partition(".")[0]
    )
    label = label.strip("-")[:32].strip("-")
    return label if check_label(label) else "gateway"


def _setup(one: Configuration) -> Setup:
    return Setup(
        name=one.name,
        kind=one.kind,
        uid=one.uid,
        dns_name=one.dns_name,
        ip4=one.ip4,
        subnet=one.subnet,
        accounts=tuple(account.jid for account in one.accounts),
        is_on_lan=one.is_on_lan,
        stun=tuple(f"{host}:{port}" for host, port in one.stun),
        turn=tuple(f"{server.transport}:{server.host}:{server.port}" for server in one.turn),
        relay_ca=one.relay_ca,
        policy=one.policy,
        peer_policies=one.peer_policies,
        rules=one.rules,
        offered_subnets=one.offered_subnets,
        accepted_subnets=one.accepted_subnets,
        shares=one.shares,
        on_demand=one.on_demand,
        in_kernel=one.in_kernel,
        is_legacy=one.is_legacy,
        is_admin=one.is_admin,
        revision=one.revision,
    )
