"""Does a new container work? Asked once, after start, before the old version is let go.

With a declared check the answer is strict. Without one, a service must stay up for a moment, and its web port, if it
has one, is waited for: an app that is slow to open it is accepted with a remark, one that dies is not.
"""

from __future__ import annotations

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.chutes.model import Health, UnhealthyError
from wayhouse.chutes.ports import Container, Engine, Prober
from wayhouse.ledger.task import Say

POLL_S = 0.05


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One service to watch. `ports` maps its container ports (TCP) to host ports; `web` is its web port, if it has it."""

    service: str
    container: str
    health: Health | None = None
    ports: dict[int, int] = {}
    web: int | None = None


class Doctor:
    def __init__(
        self, engine: Engine, prober: Prober, clock: Clock, *, settle_s: float, web_wait_s: float
    ) -> None:
        self._engine = engine
        self._prober = prober
        self._clock = clock
        self._settle_s = settle_s
        self._web_wait_s = web_wait_s

    async def check(self, check: Check, say: Say) -> None:
        """Return when the service works. Raises `UnhealthyError` with what was seen last."""
        if check.health is not None:
            await self._declared(check, check.health)
        elif check.web is not None:
            await self._web(check, check.web, say)
        else:
            await self._stays_up(check)

    async def _declared(self, check: Check, health: Health) -> None:
        deadline = self._clock.monotonic() + health.timeout_s
        seen = "it was not asked"
        pause_s = min(POLL_S, health.interval_s)
        while True:
            await self._alive(check)
            seen = await self._ask(check, health, seen)
            if not seen:
                return
            if self._clock.monotonic() >= deadline:
                raise UnhealthyError(
                    f"Service {check.service} did not pass its health check in {health.timeout_s:g} s: {seen}."
                )
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, health.interval_s)

    async def _ask(self, check: Check, health: Health, before: str) -> str:
        """Empty when healthy, else what was wrong."""
        if health.command is not None:
            result = await self._engine.execute(check.container, health.command, timeout_s=health.timeout_s)
            said = result.output.strip().splitlines()[-1:] or ["no output"]
            return (
                ""
                if result.exit_code == 0
                else f"the command ended with {result.exit_code} ({said[0][:200]})"
            )
        port = health.tcp or health.port or check.web
        if port is None:
            return before
        host, number = await self._target(check, port)
        if health.http is not None:
            return await self._prober.http(host, number, health.http)
        return await self._prober.tcp(host, number)

    async def _web(self, check: Check, port: int, say: Say) -> None:
        deadline = self._clock.monotonic() + self._web_wait_s
        while self._clock.monotonic() < deadline:
            await self._alive(check)
            host, number = await self._target(check, port)
            if not await self._prober.tcp(host, number):
                return
            await self._clock.sleep(POLL_S)
        say(f"Service {check.service} runs, but nothing answers on its web port {port} yet.")

    async def _stays_up(self, check: Check) -> None:
        deadline = self._clock.monotonic() + self._settle_s
        while self._clock.monotonic() < deadline:
            await self._clock.sleep(POLL_S)
            await self._alive(check)

    async def _alive(self, check: Check) -> Container:
        container = await self._engine.container(check.container)
        if (
            container is None
            or container.state.state not in {"running", "created"}
            or container.state.restarts
        ):
            raise UnhealthyError(
                f"Service {check.service} ended right after it was started{_why(container)}."
            )
        return container

    async def _target(self, check: Check, port: int) -> tuple[str, int]:
        address = await self._engine.address(check.container)
        return (address, port) if address else ("127.0.0.1", check.ports.get(port, port))


def _why(container: Container | None) -> str:
    if container is None:
        return ""
    if container.state.exit_code is not None:
        return f" (exit code {container.state.exit_code})"
    return " and was restarted" if container.state.restarts else ""
