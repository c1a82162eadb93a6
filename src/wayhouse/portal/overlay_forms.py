"""What the forms about overlays say, as the orders of `overlay/orders.py`. Pure, used by the pages.

Rule: a form that says too little or nonsense is a `BadInputError` with the sentence that the page then shows; secrets are in no error.
"""

from __future__ import annotations

from collections.abc import Iterable

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.account import Tls, XmppAccount
from wayhouse.overlay.model import Kind, PathPolicy, TurnServer
from wayhouse.overlay.orders import Founding, Inviting, Joining, Tuning
from wayhouse.overlay.policy import ANY, TAG, Action, Protocol, Rule
from wayhouse.overlay.shares import Good, May, Share
from wayhouse.portal.model import Visit

DAY_S = 86_400
WEB_PORT = 80
VALIDITIES = {"1": "1 day", "7": "a week", "30": "a month", "365": "a year", "": "for ever"}
"""Of an invitation, in days."""
KINDS: tuple[Kind, ...] = ("group", "social")
TRANSPORTS = ("udp", "tcp", "tls")


def founding(visit: Visit) -> Founding:
    """Raises `BadInputError`."""
    kind: Kind = "social" if _one_of(visit, "kind", KINDS) == "social" else "group"
    return Founding(
        name=_text(visit, "name"),
        kind=kind,
        dns_name=_text(visit, "dns_name"),
        subnet=_text(visit, "subnet") if kind == "group" else "",
        accounts=accounts(visit),
        is_on_lan=is_ticked(visit, "is_on_lan"),
        stun=words(visit.field("stun")),
        turn=relays(visit),
    )


def joining(visit: Visit) -> Joining:
    """Raises `BadInputError`."""
    code = _text(visit, "code")
    if not code:
        raise BadInputError("Paste the invitation's code.", path="code")
    return Joining(code=code, dns_name=_text(visit, "dns_name"), accounts=accounts(visit))


def inviting(visit: Visit) -> Inviting:
    """Raises `BadInputError`."""
    days = _one_of(visit, "days", VALIDITIES)
    return Inviting(
        valid_s=float(days) * DAY_S if days else 0.0,
        tags=words(visit.field("tags")),
        note=_text(visit, "note")[:200],
    )


def accounts(visit: Visit) -> tuple[XmppAccount, ...]:
    """One, or none where its name is left empty. Raises `BadInputError`."""
    jid = _text(visit, "jid")
    if not jid:
        return ()
    return (
        XmppAccount(
            jid=jid,
            password=visit.field("password"),
            host=_text(visit, "host"),
            port=_port(visit, "port", 5222),
            tls=Tls(_one_of(visit, "tls", Tls)),
            pin=_text(visit, "pin"),
            friends=frozenset(words(visit.field("friends"))),
            invites=is_ticked(visit, "invites"),
        ),
    )


def relays(visit: Visit) -> tuple[TurnServer, ...]:
    """One, or none where its host is left empty. Raises `BadInputError`."""
    host = _text(visit, "turn_host")
    if not host:
        return ()
    return (
        TurnServer(
            host=host,
            port=_port(visit, "turn_port", 3478),
            transport=_one_of(visit, "turn_transport", TRANSPORTS),
            username=_text(visit, "turn_user"),
            password=visit.field("turn_password"),
        ),
    )


def tuning(visit: Visit) -> Tuning:
    """Of the first form of the setup. Raises `BadInputError`."""
    return Tuning(
        dns_name=_text(visit, "dns_name"),
        policy=PathPolicy(_one_of(visit, "policy", PathPolicy)),
        stun=words(visit.field("stun")),
        is_on_lan=is_ticked(visit, "is_on_lan"),
        on_demand=is_ticked(visit, "on_demand"),
        offered_subnets=words(visit.field("offered_subnets")),
    )


def revision(visit: Visit) -> int | None:
    """Of the setup that was seen with the form; None where it does not say. Raises `BadInputError`."""
    text = visit.field("revision")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadInputError("The form is damaged: load the page again.", path="revision")
    return int(text)


def peer_policy(visit: Visit) -> PathPolicy | None:
    """None: as the overlay has it. Raises `BadInputError`."""
    text = _one_of(visit, "policy", ("", *PathPolicy))
    return PathPolicy(text) if text else None


def rule(visit: Visit) -> Rule:
    """About this gateway. Raises `BadInputError`."""
    return Rule(
        source=_who(visit, "from"),
        protocol=Protocol(_one_of(visit, "protocol", Protocol)),
        ports=words(visit.field("ports")),
        networks=words(visit.field("networks")),
        action=Action(_one_of(visit, "action", Action)),
        note=_text(visit, "note"),
    )


def share(visit: Visit) -> Share:
    """A service of the bus may be typed. What a form says of the wrong kind (a port of a device) does not count. Raises `BadInputError`."""
    service = _text(visit, "service")
    what = f"{Good.SERVICE}:{service}" if service else visit.field("what")
    return Share(
        what=what,
        to=_who(visit, "to"),
        may=May(_one_of(visit, "may", May)) if what.startswith(f"{Good.DEVICE}:") else May.READ,
        port=_port(visit, "port", WEB_PORT) if what.startswith(f"{Good.APP}:") else 0,
    )


def words(text: str) -> tuple[str, ...]:
    """Between blanks, commas and ends of lines; each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def is_ticked(visit: Visit, name: str) -> bool:
    return visit.field(name) == "on"


def _who(visit: Visit, name: str) -> str:
    """Whom it is about: the tag that was typed, or the choice."""
    tag = _text(visit, "tag").removeprefix(TAG)
    return f"{TAG}{tag}" if tag else visit.field(name, ANY)


def _text(visit: Visit, name: str) -> str:
    return visit.field(name).strip()


def _one_of(visit: Visit, name: str, known: Iterable[str]) -> str:
    """The first of them where the form says nothing."""
    names = [str(one) for one in known]
    text = visit.field(name, names[0])
    if text not in names:
        raise BadInputError(f"`{text[:40]}` is no choice for `{name}`.", path=name)
    return text


def _port(visit: Visit, name: str, usual: int) -> int:
    text = _text(visit, name)
    if not text:
        return usual
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 0 < number < 65_536:
        raise BadInputError("A port is a number from 1 to 65535.", path=name)
    return number
