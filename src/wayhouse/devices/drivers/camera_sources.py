"""Where a camera's picture comes from: an address on the network, or a video device of this machine.

Both answer the bytes of one picture within a size and a time. The video device is read by an outside program (ffmpeg,
or else v4l2-ctl), so that a driver that hangs in the kernel takes no thread of the gateway with it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wayhouse.base.errors import TooLargeError, UnavailableError
from wayhouse.devices.drivers.secret_file import read_secret
from wayhouse.devices.drivers.settings import CameraSettings
from wayhouse.devices.model import DeviceGoneError, DeviceNotReadyError

if TYPE_CHECKING:
    import aiohttp

LIMIT_S = 8.0
"""Less than a driver's call may take."""
END_LIMIT_S = 1.0
MAX_COMPLAINT = 64 * 1024
SKIPPED_FRAMES = 3
"""A camera's first frames are often dark."""
SHOWN_ERROR = 200


async def fetch(camera: CameraSettings) -> bytes:
    """Raises `DeviceGoneError`, `DeviceNotReadyError`, `TooLargeError`, `UnavailableError`."""
    source = _from_url if camera.url else _from_device
    try:
        async with asyncio.timeout(LIMIT_S):
            return await source(camera)
    except TimeoutError as error:
        raise DeviceGoneError(f"The camera gave no picture within {LIMIT_S:g} s.") from error


async def _from_url(camera: CameraSettings) -> bytes:
    import aiohttp

    password = await asyncio.to_thread(read_secret, camera.password_file)
    try:
        async with (
            aiohttp.ClientSession(**_login(camera, password)) as session,
            session.get(camera.url, allow_redirects=False, ssl=_trust(camera)) as answer,
        ):
            return await _body(answer, camera.max_bytes)
    except aiohttp.ClientConnectorCertificateError as error:
        raise DeviceGoneError("The camera's certificate is not trusted. Give its own as ca_file.") from error
    except aiohttp.ClientError as error:
        raise DeviceGoneError(f"The camera cannot be reached: {type(error).__name__}.") from error
    except (ValueError, OSError) as error:
        raise DeviceGoneError("The camera's answer makes no sense, or its address does not.") from error


def _login(camera: CameraSettings, password: str) -> dict[str, Any]:
    if not camera.username:
        return {}
    if camera.login == "digest":
        import aiohttp

        return {"middlewares": (aiohttp.DigestAuthMiddleware(camera.username, password),)}
    word = base64.b64encode(f"{camera.username}:{password}".encode()).decode()
    return {"headers": {"Authorization": f"Basic {word}"}}


def _trust(camera: CameraSettings) -> ssl.SSLContext | bool:
    if camera.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=camera.ca_file)
    except OSError as error:
        raise UnavailableError(
            f"The certificate file {camera.ca_file} cannot be used: {error.strerror}."
        ) from error


async def _body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if answer.status in {401, 403}:
        raise DeviceNotReadyError(f"The camera refuses name and password (HTTP {answer.status}).")
    if answer.status != 200:
        raise DeviceNotReadyError(f"The camera answers with HTTP {answer.status} instead of a picture.")
    if answer.content_type.startswith("multipart/"):
        raise DeviceNotReadyError("This address gives a film. Give the camera's address for single pictures.")
    found = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        found += chunk
        _check_size(found, max_bytes)
    return bytes(found)


async def _from_device(camera: CameraSettings) -> bytes:
    if not await asyncio.to_thread(Path(camera.device).exists):
        raise DeviceGoneError(f"There is no {camera.device}. Is the camera plugged in?")
    process = await _started(_command(camera))
    try:
        found, complaint = await asyncio.gather(
            _piped(process.stdout, camera.max_bytes), _piped(process.stderr, MAX_COMPLAINT)
        )
        await process.wait()
    finally:
        await _end(process)
    if process.returncode or not found:
        said = " ".join(complaint.decode("utf-8", "replace").split())[-SHOWN_ERROR:]
        raise DeviceNotReadyError(f"The camera {camera.device} gave no picture: {said or 'it said nothing'}.")
    return found


async def _started(command: list[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        raise UnavailableError(f"{command[0]} cannot be started: {error.strerror}.") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it with all that it started. Its pipes are emptied: asyncio waits for their ends, which a full one hides."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_LIMIT_S):
            for stream in (process.stdout, process.stderr):
                while stream is not None and await stream.read(64 * 1024):
                    pass
            await process.wait()


def _command(camera: CameraSettings) -> list[str]:
    """Raises `UnavailableError` if there is no program for it."""
    program = shutil.which("ffmpeg")
    if program is not None:
        size = f"{camera.width}x{camera.height}"
        start = f"{program} -nostdin -hide_banner -loglevel error -f v4l2 -video_size {size} -i".split()
        pick = ["-vf", f"select=gte(n\\,{SKIPPED_FRAMES})", "-frames:v", "1"]
        return [*start, camera.device, *pick, "-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe", "-"]
    program = shutil.which("v4l2-ctl")
    if program is None:
        raise UnavailableError(
            "To read a video device, install ffmpeg or v4l-utils (cameras with MJPEG) beside the gateway."
        )
    shape = f"--set-fmt-video=width={camera.width},height={camera.height},pixelformat=MJPG"
    stream = ["--stream-mmap", f"--stream-skip={SKIPPED_FRAMES}", "--stream-count=1", "--stream-to=-"]
    return [program, "-d", camera.device, shape, *stream]


async def _piped(stream: asyncio.StreamReader | None, max_bytes: int) -> bytes:
    found = bytearray()
    while stream is not None and (chunk := await stream.read(64 * 1024)):
        found += chunk
        _check_size(found, max_bytes)
    return bytes(found)


def _check_size(found: bytearray, max_bytes: int) -> None:
    if len(found) > max_bytes:
        raise TooLargeError(
            f"The camera's picture has more than {max_bytes} bytes. Raise max_bytes or take a smaller size."
        )
