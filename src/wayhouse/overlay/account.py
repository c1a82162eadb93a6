"""An XMPP account by which peers are introduced: who, where, how its server is recognised, and who may be a friend.

Written by the overlay's configuration, used by `drivers/xmpp.py`. Rule: plain values that are checked when made; the password is in no repr.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from wayhouse.base.errors import BadInputError

_BARE_JID = re.compile(r"[^@/\s\"&'<>:\x00-\x1f]{1,255}@[A-Za-z0-9._\[\]:-]{1,255}")
_PIN = re.compile(r"[0-9a-f]{64}")


class Tls(StrEnum):
    """STARTTLS on the usual port, or TLS from the first byte (XEP-0368); never without."""

    STARTTLS = "starttls"
    DIRECT = "direct"


class BadAccountError(BadInputError):
    code = "bad-account"
    title = "This XMPP account cannot be used"


class XmppAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`host` and `port` say where the server is when that is not what DNS says of the JID's domain.

    The server is recognised by a certificate for the JID's domain, signed by the system's authorities or by those in `ca_file`; with `pin`
    (SHA-256 of its certificate, hexadecimal, colons allowed) by that certificate alone. Heard are the account's own devices, the friends
    whom the server's roster names, and `friends` (bare JIDs): only those may become friends by asking; with `invites` they are asked.
    """

    jid: str
    password: str
    host: str = ""
    port: int = 5222
    tls: Tls = Tls.STARTTLS
    ca_file: str = ""
    pin: str = ""
    friends: frozenset[str] = frozenset()
    invites: bool = False
    presence_s: float = 120.0
    ping_s: float = 15.0
    ping_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        for jid in (self.jid, *self.friends):
            if _BARE_JID.fullmatch(jid) is None:
                raise BadAccountError(f"`{jid[:80]}` is no account: write it as name@server.", path="jid")
        if not self.password:
            raise BadAccountError("The account needs a password.", path="password")
        if not 0 < self.port < 65_536:
            raise BadAccountError("The port is from 1 to 65535.", path="port")
        if self.pin and _PIN.fullmatch(self.plain_pin) is None:
            raise BadAccountError(
                "The pin is the SHA-256 of the server's certificate: 64 hexadecimal digits.", path="pin"
            )
        if min(self.presence_s, self.ping_s, self.ping_timeout_s) <= 0:
            raise BadAccountError("The times are above 0 seconds.", path="ping_s")

    @property
    def domain(self) -> str:
        return self.jid.partition("@")[2]

    @property
    def plain_pin(self) -> str:
        return self.pin.replace(":", "").lower()

    def __repr__(self) -> str:
        return f"XmppAccount({self.jid})"
