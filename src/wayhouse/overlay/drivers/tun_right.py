"""Whether this process can make an interface for an overlay, told before anything is begun.

Called by `wayhouse link`. Rule: it is tried, since rights alone do not say it (containers, user namespaces, interfaces that are there for one user); what was
made for that is gone at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from wayhouse.base.errors import OutsideError

DEVICE = Path("/dev/net/tun")
STATUS = Path("/proc/self/status")
NET_ADMIN = 12
"""`linux/capability.h`."""
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_TAP, _IFF_NO_PI = 0x0001, 0x0002, 0x1000
_GIVE = (
    "Run it as root (sudo), or give it that alone: `AmbientCapabilities=CAP_NET_ADMIN` in a unit of systemd, `--cap-add NET_ADMIN --device /dev/net/tun` "
    "for a container. Without an interface: --no-tun."
)


class NoTunnelError(OutsideError):
    """It says what is missing, and how it is given."""

    code = "no-tunnel"
    title = "No interface can be made"


def demand_interface(name: str, *, is_ethernet: bool = False) -> None:
    """That an interface `name` can be made and set up. Raises `NoTunnelError`."""
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoTunnelError(
            f"The interface {name} cannot be made: there is no {DEVICE}. Load it (modprobe tun), or pass it to the container "
            "(--device /dev/net/tun). Without an interface: --no-tun."
        ) from None
    except OSError as error:
        raise NoTunnelError(
            f"The interface {name} cannot be made: {DEVICE} cannot be opened ({error.strerror}). {_GIVE}"
        ) from None
    try:
        flags = (_IFF_TAP if is_ethernet else _IFF_TUN) | _IFF_NO_PI
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError as error:
        raise NoTunnelError(_why_not(name, error)) from None
    finally:
        os.close(fd)
    if not _may_administer():
        raise NoTunnelError(
            f"The interface {name} is there, but cannot be given addresses: CAP_NET_ADMIN is missing. {_GIVE}"
        )


def _why_not(name: str, error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return f"The interface {name} cannot be made: another program has it. End that one, or take another name: --tun NAME"
    if error.errno in {errno.EPERM, errno.EACCES}:
        return f"The interface {name} cannot be made: CAP_NET_ADMIN is missing. {_GIVE}"
    return f"The interface {name} cannot be made ({error.strerror}). Take another name: --tun NAME"


def _may_administer() -> bool:
    """By the capabilities that count now; yes if they cannot be read."""
    try:
        text = STATUS.read_text(encoding="ascii", errors="replace")
        held = next(line.split()[1] for line in text.splitlines() if line.startswith("CapEff:"))
        return bool(int(held, 16) >> NET_ADMIN & 1)
    except (OSError, StopIteration, IndexError, ValueError):
        return True
