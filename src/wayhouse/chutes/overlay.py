"""Laying a partial document over a whole one: the steps of `document.merge`, on plain data.

Mappings are merged key by key, null takes a key away, everything else replaces; `environment` and `port-bindings` are
replaced as a whole, since leaving a variable or a port out means that it is not wanted. Every spelling of a key meets
the one that the document uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wayhouse.chutes.fields import SPELLINGS, Fields
from wayhouse.chutes.interfaces import WIRELESS
from wayhouse.chutes.legacy import MAIN, net_entry, net_view

Plain = dict[str, Any]

WHOLE = frozenset({"environment", "port-bindings"})
_CANONICAL = {other: key for key, others in SPELLINGS.items() for other in others}


def over(base: Mapping[str, Any], change: Mapping[Any, Any]) -> Plain:
    """`base` with `change` laid over it."""
    result = dict(base)
    for given, value in change.items():
        key = _CANONICAL.get(given, given)
        if value is None:
            result.pop(key, None)
        elif key == "interfaces" and isinstance(value, dict):
            result[key] = _interfaces(result.get(key) or {}, value)
        elif key not in WHOLE and isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = over(result[key], value)
        else:
            result[key] = value
    return result


def services(base: Mapping[str, Plain], change: Fields) -> Plain:
    """Services laid over services by name; null removes one."""
    result: Plain = dict(base)
    for name, value, _ in change.named("services"):
        if value is None:
            result.pop(name, None)
        elif name in result and isinstance(value, dict):
            result[name] = over(result[name], value)
        else:
            result[name] = value
    return result


def network(target: Plain, alias: str, entry: Fields, *, removes: bool) -> None:
    """Lay one entry of `net` over the document `target`, which is whole and checked.

    It belongs to the interface that has its key as alias or name, or its `intfName` as name; a new one goes to the web
    service, `main` or the first.
    """
    services = target["services"]
    owner, name = _find(services, alias, entry.raw().get("intfName"))
    old = services[owner]["interfaces"].pop(name) if owner and name else None
    if removes:
        return
    view = net_view(name, old)[1] if name and old else {}
    new_name, declaration = net_entry(alias, over(view, entry.raw()), entry.path, entry.warnings)
    if old and "alias" in old and alias == name:
        declaration["alias"] = old["alias"]
    service = owner or _default(services, target["web"].get("service"))
    services[service]["interfaces"][new_name] = declaration


def _find(services: Plain, alias: str, name: object) -> tuple[str | None, str | None]:
    known = [
        (service, inside, entry.get("alias", inside))
        for service, one in services.items()
        for inside, entry in one["interfaces"].items()
    ]
    for wanted, position in ((alias, 2), (alias, 1), (name, 1)):
        for place in known:
            if place[position] == wanted:
                return place[0], place[1]
    return None, None


def _default(services: Plain, web: str | None) -> str:
    return next((name for name in (web, MAIN) if name in services), None) or next(iter(services))


def _interfaces(base: Mapping[str, Any], change: Mapping[Any, Any]) -> Plain:
    """Interfaces by name, whose settings of Wi-Fi may be given in any of the places that are read."""
    result = dict(base)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = over(result[name], _gathered(value))
        else:
            result[name] = value
    return result


def _gathered(change: Mapping[Any, Any]) -> Plain:
    options = change.get("options")
    loose = {key: change[key] for key in WIRELESS if key in change}
    result = {key: value for key, value in change.items() if key not in loose}
    if isinstance(options, dict):
        loose = {key: options[key] for key in WIRELESS if key in options} | loose
        result["options"] = {key: value for key, value in options.items() if key not in WIRELESS}
    wireless = change.get("wireless")
    if loose and (wireless is None or isinstance(wireless, dict)):
        result["wireless"] = loose | (wireless or {})
    return result
