"""Who may do what: the one table of rights, as data.

`api` names a `Right` at each endpoint and calls `demand`; nothing else decides. What is not in the table is refused.
The rules are ParaDrop's: administrators may all, the owner of a chute may use it, trusted users may change their own
chutes and install new ones, a chute's token reaches that chute alone.
"""

from __future__ import annotations

import enum

import msgspec

from wayhouse.access.model import Identity, Role
from wayhouse.base.errors import ForbiddenError, UnauthenticatedError


class Right(enum.Enum):
    OPEN = "open"
    """Anyone, signed in or not."""
    SEE = "see"
    """Facts about the gateway that every signed-in user and chute may read."""
    SEE_CHUTES = "see-chutes"
    """The list of chutes; the caller cuts it down to itself for a chute's token (`chute=None`: the list)."""
    USE_CHUTE = "use-chute"
    """Read, start, stop and restart one chute."""
    CHANGE_CHUTE = "change-chute"
    """Install, update, configure and remove one chute."""
    SEE_CHANGES = "see-changes"
    """The list of changes (`chute=None`) and the stream of one; a chute's token sees those of its chute."""
    CHANGE_SELF = "change-self"
    """The own password, the own API tokens, an own sign-in link."""
    MANAGE_USERS = "manage-users"
    """Users, roles and other people's passwords. Not for API tokens: one that leaked could make itself permanent."""
    ADMINISTER = "administer"
    """Configuration, settings, SSH keys, power, snapd, the daemon's log and environment."""
    SEE_DEVICES = "see-devices"
    """Devices, their values, their history and their log; scenarios and jobs as they stand."""
    COMMAND_DEVICES = "command-devices"
    """Read a device anew and tell it what to do."""
    CHANGE_DEVICES = "change-devices"
    """Add, name, place, configure and remove devices."""
    AUTOMATE = "automate"
    """Write, enable and run scenarios (that is code that commands every device), and keep the cron's jobs."""
    SEE_OVERLAYS = "see-overlays"
    """Which overlays the gateway is in, its peers there and the links to them."""
    CHANGE_OVERLAYS = "change-overlays"
    """Found, join and leave overlays, invite to them, and say who may reach what."""


class Reach(enum.Enum):
    """How far a chute's own token reaches."""

    NOTHING = 0
    ITSELF = 1
    ITSELF_AND_LISTS = 2
    ALL = 3


class Rule(msgspec.Struct, frozen=True):
    """`least` may always. `own` may if it is the chute's owner, `absent` if the chute does not exist (None: nobody more).
    `token` is what a chute's token may, `api_token` whether a person's API token serves as well as the person."""

    least: Role
    token: Reach
    own: Role | None = None
    absent: Role | None = None
    api_token: bool = True


TABLE: dict[Right, Rule] = {
    Right.SEE: Rule(Role.GUEST, Reach.ALL),
    Right.SEE_CHUTES: Rule(Role.GUEST, Reach.ITSELF_AND_LISTS),
    Right.USE_CHUTE: Rule(Role.ADMIN, Reach.ITSELF, own=Role.GUEST, absent=Role.GUEST),
    Right.CHANGE_CHUTE: Rule(Role.ADMIN, Reach.NOTHING, own=Role.TRUSTED, absent=Role.TRUSTED),
    Right.SEE_CHANGES: Rule(Role.USER, Reach.ITSELF_AND_LISTS),
    Right.CHANGE_SELF: Rule(Role.USER, Reach.NOTHING, api_token=False),
    Right.MANAGE_USERS: Rule(Role.ADMIN, Reach.NOTHING, api_token=False),
    Right.ADMINISTER: Rule(Role.ADMIN, Reach.NOTHING),
    Right.SEE_DEVICES: Rule(Role.USER, Reach.NOTHING),
    Right.COMMAND_DEVICES: Rule(Role.USER, Reach.NOTHING),
    Right.CHANGE_DEVICES: Rule(Role.ADMIN, Reach.NOTHING),
    Right.AUTOMATE: Rule(Role.ADMIN, Reach.NOTHING),
    Right.SEE_OVERLAYS: Rule(Role.USER, Reach.NOTHING),
    Right.CHANGE_OVERLAYS: Rule(Role.ADMIN, Reach.NOTHING),
}

CHUTE_RIGHTS = {Right.USE_CHUTE, Right.CHANGE_CHUTE}
CHUTE_REFUSAL = "You do not have permission to access the requested chute."


def permits(
    right: Right,
    identity: Identity | None,
    *,
    chute_owner: tuple[str, str] | None = None,
    chute: str | None = None,
) -> bool:
    """Whether `identity` (None: not signed in) has `right`, on `chute` if the right is about one.

    `chute_owner` is (name, domain) of that chute's owner; None: there is no chute of that name.
    """
    if right is Right.OPEN:
        return True
    rule = TABLE.get(right)
    if rule is None or identity is None:
        return False
    if identity.chute is not None or identity.via == "chute":
        return _token_reaches(rule.token, identity.chute, chute)
    if identity.via == "api-token" and not rule.api_token:
        return False
    return identity.role >= rule.least or _by_the_chute(rule, identity, chute, chute_owner)


def demand(
    right: Right,
    identity: Identity | None,
    *,
    chute_owner: tuple[str, str] | None = None,
    chute: str | None = None,
) -> Identity | None:
    """Return `identity` if it has `right`. Raises `UnauthenticatedError` for nobody, else `ForbiddenError`."""
    if permits(right, identity, chute_owner=chute_owner, chute=chute):
        return identity
    if identity is None:
        raise UnauthenticatedError("Sign in first: send an Authorization header, or open the sign-in page.")
    raise ForbiddenError(_refusal(right, identity), right=right.value)


def _token_reaches(reach: Reach, own: str | None, chute: str | None) -> bool:
    if own is None:
        return False
    if reach is Reach.ALL:
        return True
    if chute is None:
        return reach is Reach.ITSELF_AND_LISTS
    return reach is not Reach.NOTHING and chute == own


def _by_the_chute(rule: Rule, identity: Identity, chute: str | None, owner: tuple[str, str] | None) -> bool:
    if chute is None:
        return False
    if owner is None:
        return rule.absent is not None and identity.role >= rule.absent
    is_owner = owner == (identity.name, identity.domain)
    return is_owner and rule.own is not None and identity.role >= rule.own


def _refusal(right: Right, identity: Identity) -> str:
    if right in CHUTE_RIGHTS:
        return CHUTE_REFUSAL
    if identity.chute is not None:
        return "A chute's own token cannot do this. Sign in as a user of the gateway."
    if identity.via == "api-token" and not TABLE[right].api_token:
        return "An API token cannot do this. Sign in with your password."
    return (
        f"This needs the role {TABLE[right].least.label}, and yours is {identity.role.label}. "
        "Ask an administrator of this gateway."
    )
