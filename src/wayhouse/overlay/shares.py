"""What this gateway gives to peers of an overlay: devices, services of the bus and apps; and who may have which.

Kept in the `Configuration`, asked by the door (`visit.py`, `drivers/door.py`), compiled into access rules by `gateway_node.py`. Rules: what no share names
is given to nobody; a share opens the one port that it needs, to those whom it names, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.model import is_uid
from wayhouse.overlay.policy import ANY, TAG, Protocol, Rule

DOOR_PORT = 5525
"""TCP, at the overlay's own address: where peers ask for what is shared."""
DNS_PORT = 53
MOST_SHARES = 256
MOST_LENGTH = 200
EVERY = "*"
_TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class BadShareError(BadInputError):
    code = "bad-share"
    title = "This cannot be shared"


class Good(StrEnum):
    """What kinds of things are shared: the word before the colon of `Share.what`."""

    DEVICE = "device"
    SERVICE = "service"
    APP = "app"


class May(StrEnum):
    """Of devices: READ is to see them and their values, COMMAND also to tell them something. Services and apps are used, or not."""

    READ = "read"
    COMMAND = "command"


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`what`: `device:<name or id>`, `device:*`, `service:<name on the bus>` or `app:<chute>`. `to`: `any`, a uid or `tag:name`. `port`: at which
    port of the gateway's address in the overlay an app is reached, 0 for all else."""

    what: str
    to: str
    may: May = May.READ
    port: int = 0

    def __post_init__(self) -> None:
        _check_what(self.what)
        _check_to(self.to)
        if self.good is not Good.APP:
            _check(self.port == 0, "port", "only apps have a port")
            return
        _check(
            0 < self.port < 65536, "port", "an app is reached at a port from 1 to 65535: name it, such as 80"
        )
        _check(
            self.port not in {DOOR_PORT, DNS_PORT}, "port", f"{self.port} is the gateway's own; take another"
        )

    @property
    def good(self) -> Good:
        return Good(self.what.partition(":")[0])

    @property
    def name(self) -> str:
        return self.what.partition(":")[2]


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a peer of an overlay, known by the address that only its tunnel can speak from."""

    overlay: str
    uid: str
    name: str
    tags: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """For logs."""
        return f"{self.name or self.uid[:8]}.{self.overlay}"


def check_all(shares: Iterable[Share]) -> tuple[Share, ...]:
    """Each thing once for each receiver, with the most that was said, and each app at a port of its own. Raises `BadShareError`."""
    found: dict[tuple[str, str], Share] = {}
    ports: dict[int, str] = {}
    for one in shares:
        key = (one.what, one.to)
        if key not in found or one.may is May.COMMAND:
            found[key] = one
        if one.port and ports.setdefault(one.port, one.what) != one.what:
            raise BadShareError(
                f"`shares`: {ports[one.port]} has port {one.port}; give {one.what} another.", path="shares"
            )
    if len(found) > MOST_SHARES:
        raise BadShareError(f"`shares`: at most {MOST_SHARES}.", path="shares")
    return tuple(found.values())


def is_for(share: Share, visitor: Visitor) -> bool:
    if share.to in (ANY, visitor.uid):
        return True
    return share.to.startswith(TAG) and share.to.removeprefix(TAG) in visitor.tags


def given(shares: Iterable[Share], visitor: Visitor) -> tuple[Share, ...]:
    """Those that are for this visitor."""
    return tuple(one for one in shares if is_for(one, visitor))


def device_right(shares: Iterable[Share], names: Iterable[str]) -> May | None:
    """What the shares give of the device that has these names (and its id); None: nothing. `shares` are those of one visitor."""
    wanted = {EVERY, *names}
    rights = {one.may for one in shares if one.good is Good.DEVICE and one.name in wanted}
    if May.COMMAND in rights:
        return May.COMMAND
    return May.READ if rights else None


def services(shares: Iterable[Share]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.name for one in shares if one.good is Good.SERVICE))


def app_ports(shares: Iterable[Share]) -> dict[int, str]:
    """The chute behind each port."""
    return {one.port: one.name for one in shares if one.good is Good.APP}


def rules(shares: Iterable[Share]) -> tuple[Rule, ...]:
    """What the firewall has to let in for them: of each port, those to whom something behind it is given."""
    receivers: dict[int, set[str]] = {}
    for one in shares:
        receivers.setdefault(one.port or DOOR_PORT, set()).add(one.to)
    return tuple(
        Rule(source=who, protocol=Protocol.TCP, ports=(str(port),), note="shared")
        for port, whom in sorted(receivers.items())
        for who in ([ANY] if ANY in whom else sorted(whom))
    )


def _check_what(what: str) -> None:
    good, colon, name = what.partition(":")
    is_known = bool(colon) and good in set(Good)
    _check(is_known, "what", "write device:NAME, device:*, service:NAME or app:CHUTE")
    is_name = 0 < len(name) <= MOST_LENGTH and name.isprintable() and name == name.strip()
    _check(is_name, "what", f"a name of 1 to {MOST_LENGTH} characters comes after `{good}:`")
    _check(
        good != Good.SERVICE or (name.isascii() and name != EVERY),
        "what",
        "services are shared one by one, by their names on the bus",
    )
    _check(good != Good.APP or name != EVERY, "what", "apps are shared one by one")


def _check_to(to: str) -> None:
    is_tag = to.startswith(TAG) and _TAG_NAME.fullmatch(to.removeprefix(TAG)) is not None
    _check(to == ANY or is_uid(to) or is_tag, "to", "write any, tag:name or a uid of 40 hex digits")


def _check(is_right: bool, path: str, rule: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not is_right:
        raise BadShareError(f"`{path}`: {rule}.", path=path)
