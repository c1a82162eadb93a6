"""A node under one of this product's own controllers (`controller.py`): facts go to the machine, its wishes are done at the node.

Made by the link process. Rule: a wish that cannot be done is passed over, as tincan does with a datagram; the machine sees by the facts what became of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.overlay.node import TICK_S, Node
from wayhouse.overlay.tincan import CreateLink, Forward, TrimLink
from wayhouse.overlay.wishes import Fact, News, SetAddress, Wish

log = logging.getLogger(__name__)


class Machine(Protocol):
    """What `controller.Controller` is; another may take its place."""

    def receive(self, fact: Fact, now: float) -> None: ...

    def tick(self, now: float) -> None: ...

    def deadline(self) -> float: ...

    def outbox(self) -> Sequence[Wish]: ...

    def events(self) -> Sequence[News]: ...


class Steering:
    """`told` hears the machine's news, for people."""

    def __init__(
        self, node: Node, machine: Machine, clock: Clock, told: Callable[[News], None] | None = None
    ) -> None:
        self._node = node
        self._machine = machine
        self._clock = clock
        self._told = told
        node.facts.append(self.receive)

    def receive(self, fact: Fact) -> None:
        self._machine.receive(fact, self._clock.monotonic())
        self._follow()

    def tick(self) -> None:
        now = self._clock.monotonic()
        if self._machine.deadline() <= now:
            self._machine.tick(now)
        self._follow()

    async def run(self) -> None:
        """Turn the machine's clock, until cancelled."""
        while True:
            self.tick()
            wait_s = self._machine.deadline() - self._clock.monotonic()
            await self._clock.sleep(TICK_S if math.isinf(wait_s) else min(TICK_S, max(0.05, wait_s)))

    def _follow(self) -> None:
        for wish in self._machine.outbox():
            try:
                self._do(wish)
            except WayhouseError as error:
                log.debug("a wish of the controller was passed over: %s", error)
        for news in self._machine.events():
            log.info("%s", news)
            if self._told is not None:
                self._told(news)

    def _do(self, wish: Wish) -> None:
        if isinstance(wish, Forward):
            self._node.ask(wish.uid, wish.kind, wish.data)
        elif isinstance(wish, CreateLink):
            self._node.create_link(wish.uid, wish.fpr, wish.cas)
        elif isinstance(wish, TrimLink):
            self._node.trim_link(wish.uid)
        elif isinstance(wish, SetAddress):
            self._node.set_address(wish.uid, wish.ip4, wish.ip6)
        else:
            self._node.move(wish.ip4)
