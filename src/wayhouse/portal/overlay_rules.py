"""Rules of access in words that a person understands: "Peers tagged family may reach TCP 22 on this gateway". Pure, used by `pages/overlay_rules.py`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from wayhouse.overlay.policy import ANY, SELF, TAG, Action, Protocol, Rule

SHORT_UID = 8
_WIRE = {Protocol.ANY: "TCP and UDP", Protocol.TCP: "TCP", Protocol.UDP: "UDP", Protocol.ICMP: "ICMP"}


def sentence(rule: Rule, own_uid: str, names: Mapping[str, str]) -> str:
    """`names` are those of peers by uid."""
    verb = "may reach" if rule.action is Action.ACCEPT else "may not reach"
    return f"{who_words(rule.source, names)} {verb} {_what(rule)} {_where(rule, own_uid, names)}"


def choices(names: Mapping[str, str], tags: Iterable[str]) -> list[tuple[str, str]]:
    """(what a rule says, its words) for everybody a rule can be about."""
    return [
        (ANY, "Every peer"),
        *((f"{TAG}{tag}", f"Peers tagged {tag}") for tag in sorted(set(tags))),
        *((uid, who_words(uid, names)) for uid in sorted(names, key=lambda uid: (names[uid], uid))),
    ]


def stamp(rules: Sequence[Rule]) -> str:
    """Changes with the rules, so that nobody takes away another rule than the one that was seen."""
    return f"{zlib.crc32(repr(rules).encode('utf-8', 'replace')):x}"


def listed(texts: Sequence[str]) -> str:
    """As in "22, 80 and 443"."""
    return " and ".join(part for part in (", ".join(texts[:-1]), texts[-1] if texts else "") if part)


def who_words(text: str, names: Mapping[str, str]) -> str:
    """Every peer, those with a tag, or one: as a rule or a share says it."""
    if text == ANY:
        return "Every peer"
    if text.startswith(TAG):
        return f"Peers tagged {text.removeprefix(TAG)}"
    return f"The peer {_named(text, names)}"


def _what(rule: Rule) -> str:
    if rule.ports:
        return f"{_WIRE[rule.protocol]} {listed(rule.ports)}"
    return "everything" if rule.protocol is Protocol.ANY else _WIRE[rule.protocol]


def _where(rule: Rule, own_uid: str, names: Mapping[str, str]) -> str:
    if rule.target in (ANY, SELF, own_uid):
        gateway = "this gateway"
    elif rule.target.startswith(TAG):
        gateway = f"gateways tagged {rule.target.removeprefix(TAG)}"
    else:
        gateway = f"the gateway {_named(rule.target, names)}"
    return f"in {listed(rule.networks)} behind {gateway}" if rule.networks else f"on {gateway}"


def _named(uid: str, names: Mapping[str, str]) -> str:
    name = names.get(uid, "")
    return f"{name} ({uid[:SHORT_UID]})" if name else uid[:SHORT_UID]
