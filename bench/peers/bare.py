"""The peer of the HTTP measurements: Starlette, msgspec and uvicorn, and nothing else. `python -m bench.peers.bare PORT FILE`
answers `/` with the JSON document of FILE, decoded once and encoded for every request, without asking who is there."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

encoder = msgspec.json.Encoder()
document = msgspec.json.decode(Path(sys.argv[2]).read_bytes())


async def answer(_request: Request) -> Response:
    return Response(encoder.encode(document), media_type="application/json")


app = Starlette(routes=[Route("/", answer)])

if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error", loop="asyncio"
    )
