"""Who comes in: the keys of a new group, invitations, joining by one, and taking back. Pure, but for the randomness of keys.

Called by `service.py`, which loads it when it is first needed: this is where the daemon needs cryptography.
"""

from __future__ import annotations

import msgspec

from wayhouse.base import ids
from wayhouse.base.errors import BadInputError, ForbiddenError
from wayhouse.overlay import invitation, membership
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.addressing import new_uid
from wayhouse.overlay.configuration import (
    SOCIAL_IP4,
    SUBNET,
    BadConfigurationError,
    Configuration,
    Keys,
    check_label,
    read_servers,
    read_subnet,
)
from wayhouse.overlay.group import pick_address
from wayhouse.overlay.invitation import Invitation
from wayhouse.overlay.membership import Administrator, Group
from wayhouse.overlay.model import is_uid
from wayhouse.overlay.orders import Code, Founding, Inviting, Issued, Joining
from wayhouse.overlay.tickets import Revocations, Signed


def found(wish: Founding, label: str) -> Configuration:
    """`label` names the gateway if the wish does not. Raises `BadConfigurationError`."""
    uid = new_uid()
    if wish.kind == "social" and wish.subnet:
        raise BadConfigurationError(
            "A social overlay has no subnet: every gateway has its own view.", path="subnet"
        )
    subnet = (wish.subnet or SUBNET) if wish.kind == "group" else ""
    return Configuration(
        name=wish.name,
        kind=wish.kind,
        uid=uid,
        dns_name=wish.dns_name or label,
        ip4=_address(uid, subnet),
        subnet=subnet,
        accounts=wish.accounts,
        is_on_lan=wish.is_on_lan,
        stun=read_servers(wish.stun),
        turn=wish.turn,
        relay_ca=wish.relay_ca,
        policy=wish.policy,
        keys=_new_keys(wish.name) if wish.kind == "group" else None,
    )


def join(wish: Joining, label: str, wall: float) -> Configuration:
    """By an invitation, at `wall` in Unix seconds. Raises `BadInvitationError`, `BadConfigurationError`."""
    read = invitation.decode(wish.code, wall)
    uid = new_uid()
    return Configuration(
        name=read.overlay,
        kind=read.kind,
        uid=uid,
        dns_name=wish.dns_name or label,
        ip4=_address(uid, read.subnet),
        subnet=read.subnet,
        accounts=wish.accounts or tuple(map(_account, read.accounts)),
        stun=read.stun,
        turn=read.turn,
        relay_ca=read.relay_ca,
        keys=_given_keys(read),
    )


def invite(one: Configuration, wish: Inviting, now: float) -> Code:
    """Raises `ForbiddenError`, `BadInvitationError`. A social overlay has no tickets: its invitation only says where to meet."""
    if one.keys is None:
        issued = Issued(id=ids.short_id(), overlay=one.name, made=now, note=wish.note)
        return Code(code=invitation.encode(_invitation(one)), invitation=issued)
    expires = int(now + wish.valid_s) if wish.valid_s > 0 else 0
    key = membership.new_key()
    ticket = administrator(one).ticket(key, expires=expires, tags=wish.tags)
    issued = Issued(
        id=_group(one).read_ticket(ticket).id,
        overlay=one.name,
        made=now,
        expires=float(expires),
        tags=wish.tags,
        note=wish.note,
    )
    return Code(code=invitation.encode(_invitation(one, ticket, key)), invitation=issued)


def revoke(one: Configuration, *, ticket: str = "", uid: str = "") -> Configuration:
    """With a new list, which has one ticket or uid more. Raises `ForbiddenError`, `BadInputError`."""
    admin = administrator(one)
    if uid and (not is_uid(uid) or uid == one.uid):
        raise BadInputError("A uid is 40 lower-case hex digits, and not this gateway's own.", path="uid")
    listed = membership.revoke(
        _revocations(one),
        tickets=frozenset([ticket] if ticket else []),
        uids=frozenset([uid] if uid else []),
    )
    return msgspec.structs.replace(one, revoked=admin.revocations(listed))


def is_newer(one: Configuration, signed: Signed) -> bool:
    """Than the list that the configuration has. Raises `BadBindingError` for one that the administrator did not sign."""
    return one.keys is not None and _group(one).read_revocations(signed).serial > _revocations(one).serial


def administrator(one: Configuration) -> Administrator:
    """Raises `ForbiddenError`, which says who can."""
    if one.keys is None:
        raise ForbiddenError(
            f"`{one.name}` is a social overlay: remove the friend from the XMPP account, or set its policy to off."
        )
    if not one.keys.administrator:
        raise ForbiddenError(
            f"Only the gateway that founded `{one.name}` can invite to it and take back; ask there."
        )
    return Administrator(one.keys.administrator, one.name)


def _new_keys(name: str) -> Keys:
    if not check_label(name):
        raise BadConfigurationError("`name`: 1 to 32 lower-case letters, digits and `-`.", path="name")
    admin, key = Administrator.create(name), membership.new_key()
    return Keys(
        admin_key=admin.public_key,
        secret=membership.new_key(),
        ticket=admin.ticket(key, role="founder"),
        ticket_key=key,
        administrator=admin.private_key,
    )


def _given_keys(read: Invitation) -> Keys | None:
    if read.ticket is None:
        return None
    return Keys(admin_key=read.admin_key, secret=read.secret, ticket=read.ticket, ticket_key=read.ticket_key)


def _invitation(one: Configuration, ticket: Signed | None = None, key: bytes = b"") -> Invitation:
    """A group shares its accounts, friends have their own."""
    keys = one.keys
    return Invitation(
        overlay=one.name,
        kind=one.kind,
        subnet=one.subnet,
        accounts=tuple(map(_shared, one.accounts)) if one.kind == "group" else (),
        stun=one.stun,
        turn=one.turn,
        relay_ca=one.relay_ca,
        admin_key=keys.admin_key if keys else b"",
        ticket=ticket,
        ticket_key=key,
        secret=keys.secret if keys else b"",
    )


def _shared(one: XmppAccount) -> invitation.Account:
    return invitation.Account(
        jid=one.jid, password=one.password, host=one.host, port=one.port, pin=one.plain_pin, tls=one.tls
    )


def _account(one: invitation.Account) -> XmppAccount:
    return XmppAccount(
        jid=one.jid, password=one.password, host=one.host, port=one.port, pin=one.pin, tls=one.tls
    )


def _address(uid: str, subnet: str) -> str:
    return pick_address(uid, read_subnet(subnet), ()) if subnet else SOCIAL_IP4


def _group(one: Configuration) -> Group:
    own = one.membership()
    assert own is not None  # noqa: S101 - asked of groups alone
    return own.group


def _revocations(one: Configuration) -> Revocations:
    if one.revoked is None:
        return Revocations(overlay=one.name)
    return _group(one).read_revocations(one.revoked)
