"""The words of access: roles, identities, users, tokens, settings and errors.

Read by `api`, which turns a request into an `Identity` and asks `policy` what it may. No struct here shows a secret in
its `repr`.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

import msgspec

from wayhouse.base.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    PermanentError,
    TooManyRequestsError,
    UnauthenticatedError,
)

LOCAL = "localhost"
"""The domain of this gateway's own users."""

CHUTE_DOMAIN = "chute"
"""The domain of identities that are chutes, so that no chute is taken for a user of the same name."""

Positive = Annotated[int, msgspec.Meta(ge=1)]


class Role(enum.IntEnum):
    """Ranks of ParaDrop's API. In words (`label`) on the wire, as numbers when compared."""

    GUEST = 0
    USER = 1
    TRUSTED = 2
    ADMIN = 3
    OWNER = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, label: str) -> Role:
        """The role of that name. Raises `BadInputError`."""
        for role in cls:
            if role.label == label:
                return role
        raise BadInputError(
            f"There is no such role. Known ones: {', '.join(role.label for role in cls)}.", path="role"
        )


Via = Literal["basic", "jwt", "api-token", "chute", "peer", "internal"]


class Identity(msgspec.Struct, frozen=True):
    """Who sends a request. `chute` is set for a chute's own token; `via` says how the sender proved it."""

    name: str
    domain: str = LOCAL
    role: Role = Role.GUEST
    chute: str | None = None
    via: Via = "internal"


INTERNAL = Identity("__paradrop__", LOCAL, Role.OWNER)
"""The daemon itself."""


class AccessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[access]` of the settings file.

    `login_attempts` failures for one user from one client within `login_window_s` lock that pair for `lockout_s`, and
    twice as long each further time, up to `lockout_max_s`; `client_attempts` does the same for a client as a whole.
    `insecure_default_login` lets the default user in without a password, from this machine only, until one is set.
    `homes` is where the home directories of the machine's users are, for their SSH keys.
    """

    default_user: str = "paradrop"
    login_attempts: Positive = 5
    client_attempts: Positive = 20
    login_window_s: Positive = 300
    lockout_s: Positive = 30
    lockout_max_s: Positive = 3600
    jwt_lifetime_s: Positive = 2_592_000
    argon2_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19_456
    argon2_time: Positive = 2
    argon2_lanes: Positive = 1
    insecure_default_login: bool = False
    homes: str = "/home"


class User(msgspec.Struct, frozen=True):
    """A user as stored. `hash` is empty while no password is set; `epoch` changes with every change of the password,
    and every session carries the epoch it began in. Times are Unix seconds."""

    name: str
    role: Role
    hash: str
    epoch: str
    created: float
    changed: float

    @property
    def identity(self) -> Identity:
        return Identity(self.name, LOCAL, self.role)

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.role.label})"


class ApiToken(msgspec.Struct, frozen=True):
    """What is known of an API token; the token itself is shown once, when made. Times are Unix seconds."""

    id: str
    name: str
    owner: str
    role: Role
    created: float
    last_used: float | None = None
    expires: float | None = None


class NewPassword(msgspec.Struct, frozen=True):
    """A password the gateway made and the caller must show to a person. None: the user needs none for now
    (`insecure_default_login`) or has brought it along."""

    username: str
    password: str | None

    def __repr__(self) -> str:
        return f"NewPassword({self.username!r})"


class FirstBoot(msgspec.Struct, frozen=True):
    """To be printed once: the first user, its password if the gateway made one, and a one-time sign-in code."""

    username: str
    password: str | None
    link_code: str

    def __repr__(self) -> str:
        return f"FirstBoot({self.username!r})"


class AuditEntry(msgspec.Struct, frozen=True):
    """One line of the audit log. `time` is Unix seconds; `outcome` is "ok" or says what was refused."""

    id: int
    time: float
    who: str
    via: str
    client: str
    action: str
    target: str
    outcome: str


class WrongCredentialsError(UnauthenticatedError):
    """The same for an unknown user and for a wrong password."""

    code = "wrong-credentials"
    title = "Wrong user name or password"


class LockedOutError(TooManyRequestsError):
    code = "locked-out"
    title = "Too many failed sign-ins"


class NoSuchUserError(NotFoundError):
    code = "no-such-user"
    title = "No such user"


class UserExistsError(ConflictError):
    code = "user-exists"
    title = "There is a user of this name"


class LastAdminError(ConflictError):
    code = "last-admin"
    title = "The last administrator must stay"


class WeakPasswordError(BadInputError):
    code = "weak-password"
    title = "This password is not taken"


class NoSuchTokenError(NotFoundError):
    code = "no-such-token"
    title = "No such API token"


class NoHomeError(NotFoundError):
    code = "no-home-directory"
    title = "No such home directory"


class KeyExistsError(NotFoundError):
    """ParaDrop answers 404 for a key that is there already, and its clients look for that."""

    code = "key-exists"
    title = "Key already exists"


class NoSuchKeyError(NotFoundError):
    code = "no-such-key"
    title = "No such SSH key"


class BadKeyError(BadInputError):
    code = "bad-ssh-key"
    title = "This is no SSH public key"


class UnsafeFileError(PermanentError):
    """A file of ours or of a home directory is not what it must be (a link, someone else's, damaged)."""

    code = "unsafe-file"
    status: ClassVar[int] = 409
    title = "A file is not as it must be"
