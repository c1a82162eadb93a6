"""All the ways in which a node is introduced. Used by `node.py`. Rule: a message goes over one of them, that which saw the peer last if it can."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from wayhouse.base.errors import ConflictError
from wayhouse.overlay.model import NoSuchPeerError, SignalDown, SignalEvent, SignalUp
from wayhouse.overlay.ports import Signaller
from wayhouse.overlay.stanzas import check_message


class Signalling:
    """`down` says why a signaller is not up, by its name."""

    def __init__(self, hear: Callable[[SignalEvent], None]) -> None:
        self.signallers: dict[str, Signaller] = {}
        self.down: dict[str, str] = {}
        self._hear = hear
        self._who: tuple[str, str] | None = None

    def start(self, uid: str, status: str) -> None:
        """Sign in everywhere under this uid, telling everybody this."""
        self._who = (uid, status)
        for signaller in self.signallers.values():
            signaller.start(uid, status, self._hear)

    def add(self, signaller: Signaller) -> None:
        """Raises `ConflictError` if there is one of this name."""
        if signaller.name in self.signallers:
            raise ConflictError(f"This node is signed in as {signaller.name} already.")
        self.signallers[signaller.name] = signaller
        self.down[signaller.name] = "It is signing in."
        if self._who is not None:
            signaller.start(*self._who, self._hear)

    async def remove(self, name: str) -> None:
        signaller = self.signallers.pop(name, None)
        self.down.pop(name, None)
        if signaller is not None:
            await signaller.stop()

    async def stop(self) -> None:
        for name in tuple(self.signallers):
            await self.remove(name)

    def note(self, event: SignalUp | SignalDown) -> None:
        """Late news of one that was taken out count for nothing."""
        if isinstance(event, SignalUp):
            self.down.pop(event.via, None)
        elif event.via in self.signallers:
            self.down[event.via] = event.reason

    def send(self, uid: str, kind: str, data: str, first: str = "") -> None:
        """Over the signaller named `first`, or any other. Raises `NoSuchPeerError`, `BadStanzaError`."""
        check_message(kind, data)
        for name in sorted(self.signallers, key=lambda name: name != first):
            with contextlib.suppress(NoSuchPeerError):
                self.signallers[name].send(uid, kind, data)
                return
        raise NoSuchPeerError(f"No peer {uid} has been seen where this node is signed in.", uid=uid)
