"""One connection's two ends as pure machines: bytes in, events and bytes out; no sockets and no clock.

`ServerWire` is driven by the epoll loop, the asyncio server and the hand-over; `ClientWire` by both clients. How the wires look is
in docs/decisions/0012-rpc-wire.md.
"""

from wayhouse.runtime.rpc.client_wire import ClientEvent, ClientWire, End, Goodbye, Item, Lost, Ready
from wayhouse.runtime.rpc.messages import Answer, Call, Cancel, Credit
from wayhouse.runtime.rpc.server_wire import Broken, Opened, ServerEvent, ServerWire
from wayhouse.runtime.rpc.wire_end import Wire

__all__ = [
    "Answer",
    "Broken",
    "Call",
    "Cancel",
    "ClientEvent",
    "ClientWire",
    "Credit",
    "End",
    "Goodbye",
    "Item",
    "Lost",
    "Opened",
    "Ready",
    "ServerEvent",
    "ServerWire",
    "Wire",
]
