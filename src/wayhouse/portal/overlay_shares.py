"""What is shared with peers, and what peers share, as the page of an overlay shows it. Pure, used by `pages/overlay_sharing.py`.

Rule: a thing that is shared but not there (an app that was removed) keeps its line, so that it can be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from wayhouse.devices.drivers.peers import NAME as FAR
from wayhouse.devices.model import DeviceView
from wayhouse.overlay.shares import EVERY, Good, May, Share
from wayhouse.overlay.views import Received
from wayhouse.portal.model import app_path, device_path
from wayhouse.portal.overlay_rules import who_words

AWAY, THERE = ("stopped", "Not available"), ("running", "Available")
INNER = ("mmi.", "titanic.", "peers.")
"""How services begin that are the bus's own, or those of peers: they are not offered, but can be named."""
MAY_WORDS = {May.READ: "See it and its values", May.COMMAND: "Also command it"}
KINDS = {Good.DEVICE: "Device", Good.SERVICE: "Service of the bus", Good.APP: "App"}


class ShareRow(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is the page of what is shared, "" without one; `may` in words; `port` "" where there is none."""

    share: Share
    kind: str
    label: str
    path: str
    who: str
    may: str
    port: str


class Choice(msgspec.Struct, frozen=True):
    """`value` is what a share's `what` says."""

    value: str
    label: str


class ReceivedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of one peer. `path` is its page here, "" without one; `name` is what programs here call it by."""

    kind: str
    label: str
    path: str
    name: str
    peer: str
    may: str
    look: str
    word: str
    why: str


def share_rows(
    shares: Iterable[Share], devices: Mapping[str, str], apps: Iterable[str], peers: Mapping[str, str]
) -> list[ShareRow]:
    """`devices`: names by id, `peers`: names by uid."""
    return [_share_row(one, devices, set(apps), peers) for one in shares]


def choices(
    devices: Iterable[DeviceView], services: Iterable[str], apps: Iterable[str]
) -> list[tuple[str, list[Choice]]]:
    """All that can be shared, by kind. Devices go by their ids, which outlast their names."""
    own = [Choice(f"{Good.DEVICE}:{one.id}", one.name) for one in devices if one.driver != FAR]
    every = [Choice(f"{Good.DEVICE}:{EVERY}", "All devices, also those to come")]
    groups = [
        ("Devices", every + own),
        ("Apps", [Choice(f"{Good.APP}:{name}", name) for name in sorted(apps)]),
        (
            "Services of the bus",
            [Choice(f"{Good.SERVICE}:{name}", name) for name in services if not name.startswith(INNER)],
        ),
    ]
    return [(title, found) for title, found in groups if found]


def received_rows(found: Sequence[Received], overlay: str) -> list[ReceivedRow]:
    """By peer; of each its devices, apps and services."""
    return [row for one in found for row in _of_peer(one, overlay)]


def _share_row(one: Share, devices: Mapping[str, str], apps: set[str], peers: Mapping[str, str]) -> ShareRow:
    label, path = one.name, ""
    if one.good is Good.DEVICE:
        is_every = one.name == EVERY
        label = "All devices" if is_every else devices.get(one.name, one.name)
        path = device_path(one.name) if one.name in devices else ""
    elif one.good is Good.APP and one.name in apps:
        path = app_path(one.name)
    return ShareRow(
        share=one,
        kind=KINDS[one.good],
        label=label,
        path=path,
        who=who_words(one.to, peers),
        may=MAY_WORDS[one.may] if one.good is Good.DEVICE else "Use it",
        port=str(one.port or ""),
    )


def _of_peer(one: Received, overlay: str) -> list[ReceivedRow]:
    peer = f"{one.name}.{overlay}"
    rows = [
        _row(
            Good.DEVICE,
            device.name,
            peer,
            path=device_path(device.id) if device.id else "",
            may=MAY_WORDS[May.COMMAND if device.may == May.COMMAND else May.READ],
            state=THERE if device.is_available else AWAY,
            why=device.reason,
        )
        for device in one.devices
    ]
    rows += [
        _row(Good.APP, app, peer, name=f"http://{peer}:{port}/") for port, app in sorted(one.apps.items())
    ]
    return rows + [_row(Good.SERVICE, service, peer, name=service) for service in one.services]


def _row(
    good: Good,
    label: str,
    peer: str,
    *,
    path: str = "",
    name: str = "",
    may: str = "Use it",
    state: tuple[str, str] = THERE,
    why: str = "",
) -> ReceivedRow:
    look, word = state
    return ReceivedRow(
        kind=KINDS[good], label=label, path=path, name=name, peer=peer, may=may, look=look, word=word, why=why
    )
