"""One allocation at a TURN server (RFC 8656), over UDP, TCP or TLS, as a machine.

Used by `drivers/relays.py`. It allocates, refreshes, binds a channel for each address that is sent to, and unwraps what comes back. Rule: the password
is never sent; a server that refuses says so in `Refused`, one that forgot the allocation in `Gone`.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable

import msgspec

from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.stun import BadStunError, Host, Message

_STEPS = (0.25, 0.5, 1.0, 2.0, 2.0)
"""Between the copies of a request over UDP; over a stream it is sent once, and waited for as long in all."""
_WAIT_S = sum(_STEPS)
_UDP = bytes((17, 0, 0, 0))
_FAMILY = {False: bytes((1, 0, 0, 0)), True: bytes((2, 0, 0, 0))}
_REBIND_S = 240.0
"""A channel lives 600 s, the permission that it carries 300 s."""
_UNUSED_S = 300.0
_MOST_CHANNELS = 200
_MOST_WAITING = 4
_MOST_TRIES = 4
_PROBE_S = 1.0


class Allocated(msgspec.Struct, frozen=True):
    """The server relays for us at `relayed`; it saw us at `mapped`."""

    relayed: Host
    mapped: Host | None


class Refused(msgspec.Struct, frozen=True):
    """No allocation; `reason` is for people."""

    reason: str


class Gone(msgspec.Struct, frozen=True):
    """The allocation is no more."""

    reason: str


class Relayed(msgspec.Struct, frozen=True):
    """A datagram that came to the relayed address."""

    source: Host
    data: bytes


@dataclasses.dataclass
class _Request:
    method: int
    attributes: list[tuple[int, bytes]]
    data: bytes
    next_at: float
    peer: Host | None = None
    copies: int = 1
    tries: int = 1


@dataclasses.dataclass
class _Channel:
    number: int
    is_bound: bool = False
    rebind_at: float = 0.0
    used_at: float = 0.0
    waiting: list[bytes] = dataclasses.field(default_factory=list)


class Allocation:
    """Feed it with `hear`, `unwrap` and `tick`; take `outbox()` (to the server) and `events()`."""

    def __init__(
        self,
        username: str,
        password: str,
        *,
        is_stream: bool,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.relayed: Host | None = None
        self.mapped: Host | None = None
        self.lifetime = 600
        self._username, self._password = username, password
        self._is_stream = is_stream
        self._random = random
        self._wants_ipv6 = False
        self._realm = ""
        self._nonce = b""
        self._key: bytes | None = None
        self._requests: dict[bytes, _Request] = {}
        self._channels: dict[Host, _Channel] = {}
        self._hosts: dict[int, Host] = {}
        self._refresh_at: float | None = None
        self._expires_at = 0.0
        self._outbox: list[bytes] = []
        self._events: list[Allocated | Refused | Gone | Relayed] = []
        self._is_over = False

    # what the driver does

    def start(self, now: float) -> None:
        self._allocate(now)

    def send(self, peer: Host, data: bytes, now: float) -> None:
        """Through the relay; waits until its channel is bound, of many only the last few."""
        if self.relayed is None or self._is_over or (":" in peer[0]) != (":" in self.relayed[0]):
            return
        known = self._channels.get(peer) or self._open(peer, now)
        if known is None:
            return
        known.used_at = now
        if known.is_bound:
            self._outbox.append(channel.wrap(known.number, data, is_stream=self._is_stream))
        else:
            known.waiting = [*known.waiting[1 - _MOST_WAITING :], data]
            if not any(request.peer == peer for request in self._requests.values()):
                self._bind(peer, known, now)

    def channel(self, peer: Host) -> int | None:
        """The number of its channel, once bound."""
        known = self._channels.get(peer)
        return known.number if known is not None and known.is_bound else None

    def probe(self, now: float) -> None:
        """Asks the server whether the allocation is still there, unless it is asked already."""
        is_asked = any(request.method == stun.REFRESH for request in self._requests.values())
        if self.relayed is not None and not is_asked and not self._is_over:
            self._refresh(now)

    def close(self, now: float) -> None:
        """Gives the allocation back; nothing comes of it any more."""
        if self.relayed is not None and not self._is_over:
            self._requests.clear()
            self._ask(stun.REFRESH, [(stun.LIFETIME, bytes(4))], now)
        self._is_over = True
        self._events.clear()

    def owns(self, message: Message) -> bool:
        """Whether this is an answer to one of our requests, or relayed data."""
        is_data = (message.method, message.kind) == (stun.DATA, stun.INDICATION)
        return is_data or message.transaction in self._requests

    def hear(self, message: Message, now: float) -> None:
        """A STUN message of the server. Raises nothing."""
        try:
            if (message.method, message.kind) == (stun.DATA, stun.INDICATION):
                self._relay(message)
            elif message.kind in {stun.SUCCESS, stun.ERROR} and not self._is_over:
                self._answer(message, now)
        except BadStunError:
            return

    def unwrap(self, data: bytes) -> None:
        """ChannelData of the server. Raises nothing."""
        number, content = channel.unwrap(data)
        host = self._hosts.get(number)
        if host is not None and not self._is_over:
            self._events.append(Relayed(host, content))

    def tick(self, now: float) -> None:
        if self._is_over:
            return
        for transaction, request in tuple(self._requests.items()):
            if request.next_at <= now:
                self._again(transaction, request, now)
        if self._refresh_at is not None and self._refresh_at <= now:
            self._refresh_at = None
            self.probe(now)
        for peer, known in tuple(self._channels.items()):
            if known.is_bound and known.rebind_at <= now:
                self._keep_or_close(peer, known, now)

    def deadline(self) -> float | None:
        if self._is_over:
            return None
        times = [request.next_at for request in self._requests.values()]
        times += [known.rebind_at for known in self._channels.values() if known.is_bound]
        if self._refresh_at is not None:
            times.append(self._refresh_at)
        return min(times, default=None)

    def outbox(self) -> list[bytes]:
        sends, self._outbox = self._outbox, []
        return sends

    def events(self) -> list[Allocated | Refused | Gone | Relayed]:
        events, self._events = self._events, []
        return events

    # requests

    def _allocate(self, now: float, tries: int = 1) -> None:
        attributes = [(stun.REQUESTED_TRANSPORT, _UDP)]
        if self._wants_ipv6:
            attributes.append((stun.REQUESTED_ADDRESS_FAMILY, _FAMILY[True]))
        self._ask(stun.ALLOCATE, attributes, now, tries=tries)

    def _refresh(self, now: float) -> None:
        self._ask(stun.REFRESH, [(stun.LIFETIME, self.lifetime.to_bytes(4, "big"))], now)

    def _open(self, peer: Host, now: float) -> _Channel | None:
        if len(self._channels) >= _MOST_CHANNELS:
            return None
        known = self._channels[peer] = _Channel(0x4000 + len(self._hosts) % 0x0FFF, used_at=now)
        self._hosts[known.number] = peer
        return known

    def _bind(self, peer: Host, known: _Channel, now: float) -> None:
        transaction = self._random(stun.TRANSACTION)
        attributes = [
            (stun.CHANNEL_NUMBER, known.number.to_bytes(2, "big") + bytes(2)),
            (stun.XOR_PEER_ADDRESS, stun.xor_address(peer, transaction)),
        ]
        self._ask(stun.CHANNEL_BIND, attributes, now, peer=peer, transaction=transaction)

    def _keep_or_close(self, peer: Host, known: _Channel, now: float) -> None:
        if now - known.used_at > _UNUSED_S:
            known.is_bound = False  # it lapses by itself; the same number is bound again when it is needed
        else:
            known.rebind_at = now + _REBIND_S
            self._bind(peer, known, now)

    def _ask(
        self,
        method: int,
        attributes: list[tuple[int, bytes]],
        now: float,
        *,
        peer: Host | None = None,
        tries: int = 1,
        transaction: bytes = b"",
    ) -> None:
        transaction = transaction or self._random(stun.TRANSACTION)
        signed = list(attributes)
        if self._key is not None:
            signed += [(stun.USERNAME, self._username.encode()), (stun.REALM, self._realm.encode())]
            signed.append((stun.NONCE, self._nonce))
        data = stun.encode(method, stun.REQUEST, transaction, signed, key=self._key)
        wait_s = _WAIT_S if self._is_stream else _STEPS[0]
        self._requests[transaction] = _Request(method, attributes, data, now + wait_s, peer, tries=tries)
        self._outbox.append(data)

    def _again(self, transaction: bytes, request: _Request, now: float) -> None:
        if not self._is_stream and request.copies < len(_STEPS):
            request.next_at = now + _STEPS[request.copies]
            request.copies += 1
            self._outbox.append(request.data)
            return
        del self._requests[transaction]
        if request.method == stun.ALLOCATE:
            self._end(Refused("the relay does not answer"))
        elif request.method == stun.REFRESH:
            self._still_there(now)

    def _still_there(self, now: float) -> None:
        """A refresh was not answered: over UDP the line may be down for a while, and the allocation be there when it is back."""
        if self._is_stream or now >= self._expires_at:
            self._end(Gone("the relay does not answer any more"))
        else:
            self._refresh_at = now + _PROBE_S

    def _end(self, event: Refused | Gone) -> None:
        self._is_over = True
        self._requests.clear()
        self._events.append(event)

    # answers

    def _answer(self, message: Message, now: float) -> None:
        request = self._requests.get(message.transaction)
        if request is None:
            return
        code, reason = message.error() if message.kind == stun.ERROR else (0, "")
        if not self._is_believed(message, code):
            return
        del self._requests[message.transaction]
        if message.kind == stun.SUCCESS:
            self._done(request, message, now)
        elif code in {401, 438} and request.tries < _MOST_TRIES and self._challenge(message, code):
            self._retry(request, now)
        else:
            self._failed(request, code, reason, now)

    def _is_believed(self, message: Message, code: int) -> bool:
        """Answers are signed once there is a key; a challenge cannot be, and servers do not sign other errors."""
        if self._key is None or code in {401, 438} or message.is_signed_by(self._key):
            return True
        return message.kind == stun.ERROR and not message.integrity

    def _challenge(self, message: Message, code: int) -> bool:
        """Takes realm and nonce; false when the same were refused already."""
        realm, nonce = message.text(stun.REALM), message.get(stun.NONCE)
        if nonce is None or (code == 401 and self._key is not None and nonce == self._nonce):
            return False
        if realm is not None and (realm != self._realm or self._key is None):
            self._realm = realm
            self._key = stun.long_term_key(self._username, realm, self._password)
        self._nonce = nonce
        return self._key is not None

    def _retry(self, request: _Request, now: float) -> None:
        if request.peer is not None and request.peer in self._channels:
            self._bind(request.peer, self._channels[request.peer], now)
        else:
            self._ask(request.method, request.attributes, now, tries=request.tries + 1)

    def _done(self, request: _Request, message: Message, now: float) -> None:
        if request.method == stun.ALLOCATE:
            self._allocated(message, now)
        elif self.relayed is None:
            self._allocate(now, request.tries + 1)
        elif request.method == stun.REFRESH:
            self._refreshed(message, now)
        elif request.peer is not None:
            self._bound(request.peer, now)

    def _allocated(self, message: Message, now: float) -> None:
        relayed = message.address(stun.XOR_RELAYED_ADDRESS)
        if relayed is None:
            self._end(Refused("the relay answered without an address"))
            return
        self.relayed = relayed
        self._refreshed(message, now)
        self.mapped = message.address(stun.XOR_MAPPED_ADDRESS)
        self._events.append(Allocated(relayed, self.mapped))

    def _refreshed(self, message: Message, now: float) -> None:
        self.lifetime = min(max(message.number(stun.LIFETIME) or self.lifetime, 30), 3600)
        self._expires_at = now + self.lifetime
        self._refresh_at = now + self.lifetime / 2

    def _bound(self, peer: Host, now: float) -> None:
        known = self._channels.get(peer)
        if known is None:
            return
        known.is_bound = True
        known.rebind_at = now + _REBIND_S
        for data in known.waiting:
            self._outbox.append(channel.wrap(known.number, data, is_stream=self._is_stream))
        known.waiting = []

    def _failed(self, request: _Request, code: int, reason: str, now: float) -> None:
        text = f"the relay refused: {code} {reason}".rstrip()
        if request.method == stun.ALLOCATE:
            self._not_allocated(request, code, text, now)
        elif self.relayed is None:
            self._allocate(now, request.tries + 1)
        elif request.method == stun.REFRESH and code != 438:
            self._end(Gone(text))
        elif request.peer in self._channels and request.peer is not None:
            known = self._channels[request.peer]
            known.is_bound, known.waiting = False, []

    def _not_allocated(self, request: _Request, code: int, text: str, now: float) -> None:
        if code == 440 and not self._wants_ipv6:
            self._wants_ipv6 = True
            self._allocate(now)
        elif code == 437 and request.tries < _MOST_TRIES:
            # An allocation of an earlier life holds our address: give it back, and ask again when that is answered.
            self._ask(stun.REFRESH, [(stun.LIFETIME, bytes(4))], now, tries=request.tries)
        else:
            self._end(Refused(text))

    def _relay(self, message: Message) -> None:
        source, data = message.address(stun.XOR_PEER_ADDRESS), message.get(stun.DATA_VALUE)
        if source is not None and data is not None and not self._is_over:
            self._events.append(Relayed(source, data))
