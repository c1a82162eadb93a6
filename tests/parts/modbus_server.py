"""pymodbus's own server as a process: PORT as argument. Says "ready", then each read as `read FUNCTION ADDRESS COUNT`.

Holding registers 0..9 hold 100..109; 20 and 21 are a float, 30 and 31 one with its halves swapped; 40 can be read alone
only; 50 never answers. Coils 0..7 are on and off in turn, discrete inputs off and on; input registers 0..3 hold 65535.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Sequence
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def action(
    function: int, _start: int, address: int, count: int, _registers: list[int], values: Sequence[Any] | None
) -> ExcCodes | None:
    if values is None:
        say(f"read {function} {address} {count}")
    if function == 3 and address <= 40 < address + count and count > 1:
        return ExcCodes.ILLEGAL_ADDRESS
    if address == 50:
        await asyncio.sleep(60)
    return None


async def serve(port: int) -> None:
    words = list(struct.unpack(">2H", struct.pack(">f", 21.5)))
    holding = [
        SimData(0, values=list(range(100, 110)), datatype=DataType.REGISTERS),
        SimData(20, values=words, datatype=DataType.REGISTERS),
        SimData(30, values=words[::-1], datatype=DataType.REGISTERS),
        SimData(39, values=[1, 2, 3], datatype=DataType.REGISTERS),
        SimData(50, values=0, datatype=DataType.REGISTERS),
    ]
    coils = [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)]
    discrete = [SimData(0, values=[False, True] * 8, datatype=DataType.BITS)]
    inputs = [SimData(0, values=[65535] * 4, datatype=DataType.REGISTERS)]
    device = SimDevice(id=1, simdata=(coils, discrete, holding, inputs), action=action)
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    say("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
