"""The clone's XPUB: who subscribes to what, and updates out to all of them.

Called by the clone's driver. Rules: a subscriber gets all that begins with one of its topics, in order; who does not read loses whole batches, which it
finds out by the sequence; what goes to many is turned into bytes once.
"""

from __future__ import annotations

from collections.abc import Callable

from wayhouse.bus.drivers.frames import encode
from wayhouse.bus.drivers.router import Router
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.model import Frames
from wayhouse.bus.zmtp.mechanisms import Mechanism
from wayhouse.bus.zmtp.session import XPUB

BEGIN, END = b"\1", b"\0"
MAX_TOPICS = 1000
"""Of one subscriber; who asks for more is disconnected."""


class PublisherSocket:
    """`subscriptions` are for the owner to take away: 1 or 0 and the topic, for each that begins or ends."""

    def __init__(self, watch: Watch, mechanism: Callable[[bytes], Mechanism], expiry_s: float) -> None:
        self.router = Router(watch, mechanism, expiry_s, XPUB)
        self.subscriptions: list[bytes] = []
        self._topics: dict[bytes, dict[bytes, int]] = {}

    def hear(self) -> None:
        """Take what subscribers have said, and who has gone."""
        router = self.router
        for identity, *frames in router.received:
            if frames[0][:1] in {BEGIN, END} and len(frames) == 1:
                self._subscribe(identity, frames[0])
        router.received.clear()
        for identity in router.gone:
            for topic, count in self._topics.pop(identity, {}).items():
                self.subscriptions += [END + topic] * count
        router.gone.clear()

    def publish(self, messages: list[Frames]) -> None:
        """What nobody wants, or cannot take, is gone."""
        pieces = [encode(message, 0) for message in messages] if self._topics else []
        ready: dict[tuple[bytes, ...], bytes] = {}
        for identity, topics in self._topics.items():
            connection = self.router.connection(identity)
            if connection is None:
                continue
            wish = tuple(topics)
            if connection.session.mechanism.wrapping is not None:
                for message in messages:
                    if message[0].startswith(wish):
                        connection.put([b"", *message])
                continue
            if wish not in ready:
                ready[wish] = _wanted(wish, messages, pieces)
            if ready[wish]:
                connection.put_bytes(ready[wish])

    def _subscribe(self, identity: bytes, frame: bytes) -> None:
        topics, topic = self._topics.setdefault(identity, {}), frame[1:]
        if frame[:1] == BEGIN:
            topics[topic] = topics.get(topic, 0) + 1
        elif topic not in topics:
            return
        elif topics[topic] > 1:
            topics[topic] -= 1
        else:
            del topics[topic]
        self.subscriptions.append(frame)
        connection = self.router.connection(identity)
        if len(topics) > MAX_TOPICS and connection is not None:
            connection.close("it subscribes to too much")


def _wanted(wish: tuple[bytes, ...], messages: list[Frames], pieces: list[bytes]) -> bytes:
    """The bytes of those messages that begin so; many subscribers have the same wish."""
    if b"" in wish:
        return b"".join(pieces)
    return b"".join(
        piece for piece, message in zip(pieces, messages, strict=True) if message[0].startswith(wish)
    )
