"""What a gateway's node is made of, after its configuration: as nodes are today, or as old ones were. Called by `gateway_node.py`.

Rule: the two have nothing in common that one could be recognised by: other keys, and another list of known peers.
"""

from __future__ import annotations

from pathlib import Path as Folder
from typing import TYPE_CHECKING

from wayhouse.overlay import identity
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.legacy import old_identity
from wayhouse.overlay.legacy.old_trust import OLD_PINS_FILE, OldTrust
from wayhouse.overlay.node_parts import NodeParts
from wayhouse.overlay.trust import PINS_FILE, PinFile, Trust

if TYPE_CHECKING:
    from wayhouse.overlay.gateway_node import Outside


def make(wanted: Configuration, outside: Outside, folder: Folder, interface: str) -> NodeParts:
    """`folder` is the node's own. Raises `UnsafeFileError`, `BadBindingError`."""
    if wanted.is_legacy:
        return NodeParts(
            clock=outside.clock,
            trust=OldTrust(PinFile(folder / OLD_PINS_FILE), outside.clock),
            identify=lambda uid: old_identity.load_or_create(folder, uid),
            open_tunnel=lambda key: outside.old_tunnel(interface, key),
            make_path=outside.old_path,
        )
    return NodeParts(
        clock=outside.clock,
        trust=Trust(PinFile(folder / PINS_FILE), outside.clock, wanted.membership(), wanted.revoked),
        identify=lambda uid: identity.load_or_create(folder, uid),
        open_tunnel=lambda key: outside.tunnel(interface, key, in_kernel=suits_kernel(wanted)),
        make_path=outside.path,
    )


def suits_kernel(wanted: Configuration) -> bool:
    """Whether nobody has to look into packets: to translate addresses, or to learn for whom they are."""
    return wanted.in_kernel and wanted.kind == "group" and not wanted.on_demand
