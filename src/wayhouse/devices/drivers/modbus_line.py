"""One Modbus unit behind a TCP connection: asks, answers plain registers, and says in our errors what went wrong.

A unit that cannot be reached is left alone for a while that grows, so that its devices do not hold up those of others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wayhouse.base.clock import Clock
from wayhouse.devices.drivers.modbus_words import Block
from wayhouse.devices.drivers.settings import ModbusHost
from wayhouse.devices.model import DeviceGoneError, DeviceNotReadyError, DriverFailedError

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusTcpClient

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
ILLEGAL_ADDRESS = 2
EXCEPTIONS = {
    1: "it does not know this function",
    2: "it has no such address",
    3: "it does not take this value",
    4: "it failed",
    5: "it is still at work",
    6: "it is busy",
    10: "the gateway before it has no path to it",
    11: "it does not answer the gateway before it",
}


class RefusedError(DeviceNotReadyError):
    """The unit answered with a Modbus exception; `exception` is its number."""

    code = "modbus-refused"
    title = "The Modbus device refuses"

    def __init__(self, where: str, exception: int) -> None:
        why = EXCEPTIONS.get(exception, "it does not say why")
        super().__init__(f"The Modbus device {where} refuses: {why} (exception {exception}).")
        self.exception = exception


class ModbusLine:
    def __init__(self, settings: ModbusHost, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: AsyncModbusTcpClient | None = None
        self._wait_s = 0.0
        self._next_try = 0.0
        self._reason = ""

    @property
    def where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}, unit {self._settings.unit}"

    async def reach(self) -> bool:
        """Whether it is connected, after an attempt to if it is time for one."""
        try:
            await self._connected()
        except DeviceGoneError:
            return False
        return True

    async def read(self, block: Block) -> list[int] | list[bool]:
        """As many registers or bits as were asked for. Raises `DeviceGoneError`, `RefusedError`."""
        client = await self._connected()
        asks: dict[str, Callable[..., Awaitable[Any]]] = {
            "coil": client.read_coils,
            "discrete": client.read_discrete_inputs,
            "holding": client.read_holding_registers,
            "input": client.read_input_registers,
        }
        ask = asks[block.kind]
        answer = await self._ask(ask(block.address, count=block.count, device_id=self._settings.unit))
        found = answer.bits if block.kind in {"coil", "discrete"} else answer.registers
        if len(found) < block.count:
            raise DeviceNotReadyError(f"The Modbus device {self.where} answered with too little.")
        return list(found[: block.count])

    async def write_bit(self, address: int, *, value: bool) -> None:
        client = await self._connected()
        await self._ask(client.write_coil(address, value, device_id=self._settings.unit))

    async def write_words(self, address: int, words: list[int]) -> None:
        """With function 6 for one register, which simple devices know, and 16 for two."""
        client = await self._connected()
        unit = self._settings.unit
        if len(words) == 1:
            await self._ask(client.write_register(address, words[0], device_id=unit))
        else:
            await self._ask(client.write_registers(address, words, device_id=unit))

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _connected(self) -> AsyncModbusTcpClient:
        """Raises `DeviceGoneError`."""
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        if self._clock.monotonic() < self._next_try:
            raise self._gone()
        client = self._new_client()
        try:
            is_connected = await client.connect()
        except OSError:
            is_connected = False
        except BaseException:
            client.close()
            raise
        if not is_connected:
            client.close()
            raise self._failed("It cannot be reached.")
        self._client, self._wait_s = client, 0.0
        return client

    async def _ask(self, question: Awaitable[Any]) -> Any:
        """One try; whoever asked for the value asks again. Any doubt about the connection ends it."""
        from pymodbus.exceptions import ModbusException

        try:
            answer = await question
        except ModbusException as error:
            self.close()
            raise DeviceGoneError(f"The Modbus device {self.where} does not answer.") from error
        except asyncio.CancelledError:
            self.close()  # its answer would be taken for that of the next question
            raise
        except (OSError, ValueError, LookupError, TypeError) as error:
            self.close()
            raise DriverFailedError(
                f"The Modbus device {self.where} gave an answer that makes no sense."
            ) from error
        if answer.isError():
            raise RefusedError(self.where, int(getattr(answer, "exception_code", 0)))
        return answer

    def _new_client(self) -> AsyncModbusTcpClient:
        from pymodbus.client import AsyncModbusTcpClient

        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # what it would say is in our errors
        return AsyncModbusTcpClient(
            self._settings.host,
            port=self._settings.port,
            timeout=self._settings.timeout_s,
            retries=0,
            reconnect_delay=0,
        )

    def _failed(self, reason: str) -> DeviceGoneError:
        self._wait_s = min(max(FIRST_WAIT_S, self._wait_s * 2), LONGEST_WAIT_S)
        self._next_try = self._clock.monotonic() + self._wait_s
        self._reason = reason
        return self._gone()

    def _gone(self) -> DeviceGoneError:
        return DeviceGoneError(f"There is no connection to the Modbus device {self.where}. {self._reason}")
