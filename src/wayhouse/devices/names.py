"""Which names devices may have. A name is part of keys and lists, so what separates those is refused in it.

`.` separates the parts of a full name, `/` those of a key, `|` the items of a list; `-` goes before a sub-device.
"""

from __future__ import annotations

from wayhouse.devices.model import BadDeviceError

MAX_NAME = 64
SEPARATORS = ".|/"


def check(name: object) -> str:
    """The name itself. Raises `BadDeviceError`."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise BadDeviceError(f"A device's name is a text of 1 to {MAX_NAME} characters.", path="name")
    if name != name.strip() or not name.isprintable() or any(sign in name for sign in SEPARATORS):
        raise BadDeviceError(
            "A device's name has no blanks around it, nothing unprintable and none of '.', '/' and '|'.",
            path="name",
        )
    return name


def fullname(prefix: str, name: str, subdevice: str = "") -> str:
    """`prefix.name[.subdevice]`."""
    return ".".join(part for part in (prefix, name, subdevice) if part)


def split(reference: str) -> tuple[str, str]:
    """Device and sub-device of a reference such as "tv-volume"; without a hyphen there is no sub-device."""
    name, hyphen, subdevice = reference.rpartition("-")
    return (name, subdevice) if hyphen else (reference, "")
