"""The connection to a Docker or Podman engine: aiodocker, loaded when first needed, with our errors.

`asking` turns every failure below it into an `EngineError` or, if nobody answers, an `UnavailableError` with advice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from wayhouse.base.errors import UnavailableError
from wayhouse.chutes.model import EngineError

NOT_FOUND = 404
CONFLICT = 409
NEWEST_API = (1, 47)


class EngineRefusedError(EngineError):
    """The engine answered with a failure; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, engine_status=status)
        self.answer = status


class DockerClient:
    def __init__(self, socket: str) -> None:
        self.socket = socket.removeprefix("unix://")
        self._docker: Any = None
        self._connecting = asyncio.Lock()

    async def api(self) -> Any:
        """The aiodocker object, connected with a version of the API that both sides know."""
        async with self._connecting:
            if self._docker is None:
                self._docker = await self._connect()
        return self._docker

    async def _connect(self) -> Any:
        import aiodocker

        async with self.asking():
            probe = aiodocker.Docker(url=f"unix://{self.socket}", api_version="v1.24")
            try:
                version = await _newest_common_version(probe)
            finally:
                await probe.close()
        return aiodocker.Docker(url=f"unix://{self.socket}", api_version=version)

    async def ask(self, method: str, path: str, *, body: Any = None, **params: Any) -> Any:
        """One request with JSON both ways; None for an empty answer."""
        async with self.stream(method, path, body=body, **params) as response:
            data = await response.read()
        try:
            return json.loads(data) if data.strip() else None
        except ValueError as error:
            raise EngineError(f"What answers at {self.socket} does not speak the Docker API.") from error

    async def find(self, path: str) -> Any:
        """As GET `ask`, but None for what is not there."""
        try:
            return await self.ask("GET", path)
        except EngineRefusedError as error:
            if error.answer == NOT_FOUND:
                return None
            raise

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, body: Any = None, data: Any = None, **params: Any
    ) -> AsyncIterator[Any]:
        """An open response (aiohttp). `data` is an async iterator of bytes to send, `body` is sent as JSON."""
        api = await self.api()
        url = f"{api.docker_host}/{api.api_version}/{path}"
        known = {name: _text(value) for name, value in params.items() if value is not None}
        headers = {"Content-Type": "application/x-tar"} if data is not None else None
        async with (
            self.asking(),
            api.session.request(method, url, params=known, json=body, data=data, headers=headers) as response,
        ):
            if response.status >= 400:
                raise EngineRefusedError(_message(await response.read()), response.status)
            yield response

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        import aiodocker
        import aiohttp

        try:
            yield
        except aiodocker.DockerError as error:
            raise EngineRefusedError(str(error.message), error.status) from error
        except (
            aiohttp.ClientConnectorError,
            FileNotFoundError,
            ConnectionRefusedError,
            PermissionError,
        ) as error:
            raise self._nobody(error) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise EngineError(f"The connection to the container engine broke: {error}") from error

    def _nobody(self, error: Exception) -> UnavailableError:
        cause: Any = getattr(error, "os_error", error)
        if isinstance(cause, PermissionError):
            advice = "This user may not use it: run the gateway as root or add its user to the group docker."
        else:
            advice = "Start it (systemctl start docker), or set the engine to sandbox to run apps without it."
        return UnavailableError(f"No container engine answers at {self.socket}. {advice}", socket=self.socket)

    async def close(self) -> None:
        if self._docker is not None:
            await self._docker.close()
            self._docker = None


async def _newest_common_version(probe: Any) -> str:
    async with probe.session.get(f"{probe.docker_host}/_ping") as response:
        await response.read()
        said = response.headers.get("Api-Version", "1.41")
    major, _, minor = said.partition(".")
    version = min((int(major), int(minor)), NEWEST_API) if (major + minor).isdigit() else (1, 41)
    return f"v{version[0]}.{version[1]}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip() or "it gave no reason"


def path_part(name: str) -> str:
    """A name as a part of a path; the engine itself refuses names it does not like."""
    return quote(name, safe="/:@")
