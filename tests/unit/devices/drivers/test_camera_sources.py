"""Against a real HTTP server; the outside programs for video devices are stood in for, as no machine here has one."""

import asyncio
import base64
import hashlib
import re

import pytest
from aiohttp import web

from wayhouse.base.errors import TooLargeError, UnavailableError
from wayhouse.devices.drivers import camera_sources
from wayhouse.devices.drivers.camera_sources import fetch
from wayhouse.devices.drivers.settings import CameraSettings
from wayhouse.devices.model import DeviceGoneError, DeviceNotReadyError

JPEG = b"\xff\xd8\xff\xe0 a picture"
STOP = web.AppKey("stop", asyncio.Event)


def is_digest_right(header, method="GET"):
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', header))
    first = hashlib.md5(b"me:cam:secret").hexdigest()
    second = hashlib.md5(f"{method}:{given['uri']}".encode()).hexdigest()
    text = f"{first}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{second}"
    return hashlib.md5(text.encode()).hexdigest() == given["response"]


PAGES = {
    "/now.jpg": {"body": JPEG, "content_type": "image/jpeg"},
    "/large": {"body": b"\xff" * 100_000},
    "/film": {"body": b"--x", "content_type": "multipart/x-mixed-replace"},
    "/away": {"status": 302, "headers": {"Location": "/now.jpg"}},
}


async def answer(request):
    header = request.headers.get("Authorization", "")
    if request.path == "/basic":
        right = "Basic " + base64.b64encode(b"me:secret").decode()
        return web.Response(body=JPEG) if header == right else web.Response(status=401)
    if request.path == "/digest":
        if header.startswith("Digest") and is_digest_right(header):
            return web.Response(body=JPEG)
        challenge = 'Digest realm="cam", nonce="abc", qop="auth", algorithm=MD5'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})
    if request.path == "/slow":
        await request.app[STOP].wait()
    return web.Response(**PAGES.get(request.path, {"status": 404}))


@pytest.fixture
async def server():

    stop = asyncio.Event()
    app = web.Application()
    app[STOP] = stop
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    stop.set()
    await runner.cleanup()


def camera(url, **more):
    return CameraSettings(name="door", url=url, **more)


async def test_a_picture(server):
    assert await fetch(camera(f"{server}/now.jpg")) == JPEG


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/nothing", DeviceNotReadyError),
        ("/film", DeviceNotReadyError),
        ("/away", DeviceNotReadyError),
        ("/basic", DeviceNotReadyError),
        ("/large", TooLargeError),
    ],
)
async def test_what_is_no_picture(server, path, error):
    with pytest.raises(error):
        await fetch(camera(server + path, max_bytes=50_000))


async def test_a_camera_that_is_too_slow(server, monkeypatch):
    monkeypatch.setattr(camera_sources, "LIMIT_S", 0.2)
    with pytest.raises(DeviceGoneError, match="within"):
        await fetch(camera(f"{server}/slow"))


async def test_nobody_there():
    with pytest.raises(DeviceGoneError, match="reached"):
        await fetch(camera("http://127.0.0.1:1/now.jpg"))
    with pytest.raises(DeviceGoneError):
        await fetch(camera("http://[::1/"))


@pytest.mark.parametrize("login", ["basic", "digest"])
async def test_name_and_password(server, tmp_path, login):
    (tmp_path / "right").write_text("secret\n")
    (tmp_path / "wrong").write_text("guess\n")
    given = {"login": login, "username": "me"}
    assert await fetch(camera(f"{server}/{login}", password_file=str(tmp_path / "right"), **given)) == JPEG
    with pytest.raises(DeviceNotReadyError, match="refuses") as caught:
        await fetch(camera(f"{server}/{login}", password_file=str(tmp_path / "wrong"), **given))
    assert "guess" not in caught.value.message
    with pytest.raises(UnavailableError, match="password file"):
        await fetch(camera(f"{server}/{login}", password_file=str(tmp_path / "none"), **given))


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A place for programs that stand in for ffmpeg and v4l2-ctl."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name, script):
        (folder / name).write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
        (folder / name).chmod(0o755)

    return add


def video(device="/dev/null", **more):
    return CameraSettings(name="door", device=device, **more)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ffmpeg", "-f v4l2 -video_size 640x480 -i /dev/null"),
        ("v4l2-ctl", "-d /dev/null --set-fmt-video=width=640,height=480,pixelformat=MJPG"),
    ],
)
async def test_a_video_device_is_read_by_a_program(programs, name, words):
    programs(name, 'printf "%s" "$*"')
    assert words.encode() in await fetch(video(width=640, height=480))


async def test_a_program_that_fails_floods_or_hangs(programs, monkeypatch):
    programs("ffmpeg", "echo no such format >&2; exit 1")
    with pytest.raises(DeviceNotReadyError, match="no such format"):
        await fetch(video())
    programs("ffmpeg", "exit 0")
    with pytest.raises(DeviceNotReadyError, match="said nothing"):
        await fetch(video())
    programs("ffmpeg", "exec cat /dev/zero")
    with pytest.raises(TooLargeError):
        await fetch(video(max_bytes=100_000))
    monkeypatch.setattr(camera_sources, "LIMIT_S", 0.2)
    programs("ffmpeg", "sleep 60 & sleep 60")
    with pytest.raises(DeviceGoneError, match="within"):
        await fetch(video())


async def test_no_device_and_no_program(programs):
    with pytest.raises(DeviceGoneError, match="plugged in"):
        await fetch(video("/dev/video-that-is-not-there"))
    with pytest.raises(UnavailableError, match="install ffmpeg"):
        await fetch(video())
