"""What a machine with one connection wants of its driver: `Open` and `Send`.

Given out by `outbox()` of the subscriber, the calls of a client and the link of a worker; done in order.
"""

from __future__ import annotations

import msgspec


class Open(msgspec.Struct, frozen=True):
    """Give up the connection and make a new one, so that nothing of the old one arrives any more."""


class Send(msgspec.Struct, frozen=True, gc=False):
    frames: list[bytes]


Command = Open | Send
