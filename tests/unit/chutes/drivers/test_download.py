# covers: chutes/drivers/git.py
"""Downloads from a real repository and a real HTTP server, both of this test."""

import asyncio
import base64
import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from wayhouse.base.errors import BadInputError, NotFoundError, OutsideError, WayhouseError
from wayhouse.chutes.bundle import ArchiveLimits, read_spec
from wayhouse.chutes.drivers.download import SCHEMES, SourceDownloader
from wayhouse.chutes.model import BadArchiveError

SECRET = "hunter2-very-secret"
LIMITS = ArchiveLimits(archive_bytes=2**20, unpacked_bytes=2**20, members=50)


def git(*arguments: str, at: Path) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=at, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(at: Path, **files: str) -> str:
    for name, text in files.items():
        (at / name.replace("_yaml", ".yaml")).write_text(text)
    git("add", "-A", at=at)
    git("commit", "-q", "-m", "x", at=at)
    return git("rev-parse", "HEAD", at=at)


class Repository:
    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path
        git("init", "-q", "-b", "trunk", at=path)
        self.first = commit(path, paradrop_yaml="name: app\nversion: 1\n")
        git("tag", "v1", at=path)
        self.second = commit(path, paradrop_yaml="name: app\nversion: 2\n")
        git("checkout", "-q", "-b", "other/branch", at=path)
        commit(path, paradrop_yaml="name: app\nversion: 3\n")
        git("checkout", "-q", "trunk", at=path)

    @property
    def url(self) -> str:
        return f"file://{self.path}"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


class Caller:
    """Fetches into a fresh directory and keeps what was said."""

    def __init__(self, base: Path, **options: Any) -> None:
        self.into = base / "into"
        self.said: list[str] = []
        self.downloader = SourceDownloader(
            limits=LIMITS, **{"schemes": SCHEMES | {"file"}, "timeout_s": 30.0, **options}
        )

    async def fetch(
        self, url: str, checkout: str | None = None, user: str | None = None, secret: str | None = None
    ) -> Path:
        return await self.downloader.fetch(
            url, self.into, checkout=checkout, user=user, secret=secret, say=self.said.append
        )

    async def refuses(self, kind: type[WayhouseError], url: str, **more: Any) -> str:
        with pytest.raises(kind) as caught:
            await self.fetch(url, **more)
        assert not self.into.exists() or not list(self.into.iterdir())
        assert not list(self.into.parent.glob("*.download"))
        assert SECRET not in str(caught.value) + str(caught.value.fields) + "".join(self.said)
        return caught.value.message


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    return Caller(tmp_path)


# --- git ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkout", "version"),
    [(None, 2), ("trunk", 2), ("v1", 1), ("other/branch", 3), ("first", 1), ("short", 1)],
)
async def test_checkouts(repository: Repository, caller: Caller, checkout: str | None, version: int) -> None:
    names = {"first": repository.first, "short": repository.first[:10]}
    found = await caller.fetch(repository.url, checkout=names.get(checkout or "", checkout))
    assert found == caller.into
    assert read_spec(found).version == version
    assert not (found / ".git").exists()
    assert caller.said == [f"Fetching {repository.url}"]


async def test_a_bundle_further_down(repository: Repository, caller: Caller) -> None:
    git("rm", "-q", "paradrop.yaml", at=repository.path)
    (repository.path / "app").mkdir()
    (repository.path / "app" / "Dockerfile").write_text("FROM x")
    commit(repository.path)
    assert await caller.fetch(repository.url) == caller.into / "app"


async def test_what_git_cannot_give(repository: Repository, caller: Caller) -> None:
    assert "nothing-there" in await caller.refuses(OutsideError, repository.url, checkout="nothing-there")
    await caller.refuses(OutsideError, repository.url, checkout="0" * 40)
    await caller.refuses(OutsideError, repository.url + "-not")


async def test_transports_that_are_not_allowed(repository: Repository, tmp_path: Path) -> None:
    caller = Caller(tmp_path, schemes=SCHEMES)
    await caller.refuses(BadInputError, repository.url)
    await caller.refuses(BadInputError, "ext::sh -c touch% x")
    await caller.refuses(BadInputError, str(repository.path))


async def test_options_in_disguise(repository: Repository, caller: Caller, tmp_path: Path) -> None:
    for checkout in ("--upload-pack=touch owned", "-h", "trunk..v1"):
        await caller.refuses(BadInputError, repository.url, checkout=checkout)
    assert not (tmp_path / "owned").exists()


async def test_hooks_and_settings_of_the_machine_take_no_part(
    repository: Repository, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "templates" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    await caller.fetch(repository.url)
    assert not (tmp_path / "ran").exists()


async def test_links_out_of_the_repository(repository: Repository, caller: Caller) -> None:
    (repository.path / "link").symlink_to("/etc/passwd")
    commit(repository.path)
    assert "unsafe paths" in await caller.refuses(BadArchiveError, repository.url)


async def test_repositories_that_are_too_large(repository: Repository, caller: Caller) -> None:
    commit(repository.path, big="x" * (2**20 + 1))
    assert "larger than" in await caller.refuses(BadArchiveError, repository.url)
    git("rm", "-q", "big", at=repository.path)
    commit(repository.path, **{f"f{number}": "" for number in range(60)})
    assert "larger than" in await caller.refuses(BadArchiveError, repository.url)


async def test_a_fetch_that_takes_too_long(repository: Repository, tmp_path: Path) -> None:
    caller = Caller(tmp_path, timeout_s=0.001)
    assert "took longer" in await caller.refuses(OutsideError, repository.url)


# --- HTTP -----------------------------------------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers from `pages` by path, and keeps the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, Handler | bytes | tuple[int, str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, request.headers.get("Authorization")))
        page = self.pages.get(request.path)
        if callable(page):
            return await page(request)
        if isinstance(page, tuple):
            return web.Response(status=page[0], headers={"Location": page[1]} if page[1] else {})
        return web.Response(body=page) if page is not None else web.Response(status=404)

    async def run(self) -> AsyncIterator["Server"]:
        runner = web.ServerRunner(web.Server(self.answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield self
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async for one in Server().run():
        yield one


@pytest.fixture
async def stranger() -> AsyncIterator[Server]:
    async for one in Server().run():
        yield one


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("_yaml", ".yaml").replace("__", "/"))
            info.size = len(text)
            target.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


APP = gzip.compress(archive(repo__paradrop_yaml="name: app\n", repo__Dockerfile="FROM x"))
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


async def test_an_archive(server: Server, caller: Caller) -> None:
    server.pages["/app.tgz"] = APP
    found = await caller.fetch(f"{server.url}/app.tgz")
    assert found == caller.into / "repo"
    assert read_spec(found).name == "app"
    assert not list(caller.into.parent.glob("*.download"))
    assert server.requests == [("/app.tgz", None)]


async def test_a_password_goes_where_it_belongs_and_nowhere_else(
    server: Server, stranger: Server, caller: Caller
) -> None:
    server.pages["/app"] = (302, "/here")
    server.pages["/here"] = (307, f"{stranger.url}/there")
    stranger.pages["/there"] = APP
    await caller.fetch(f"{server.url}/app?key={SECRET}", user="me", secret=SECRET)
    assert server.requests == [("/app", BASIC), ("/here", BASIC)]
    assert stranger.requests == [("/there", None)]
    assert SECRET not in "".join(caller.said)


@pytest.mark.parametrize("target", ["", "file:///etc/passwd", "ftp://h/x", "/app"])
async def test_redirects_that_are_not_followed(server: Server, caller: Caller, target: str) -> None:
    server.pages["/app"] = (301, target)
    await caller.refuses(OutsideError, f"{server.url}/app", user="me", secret=SECRET)


@pytest.mark.parametrize("status", [401, 403, 500, 204])
async def test_other_answers(server: Server, caller: Caller, status: int) -> None:
    server.pages["/app"] = (status, "")
    assert str(status) in await caller.refuses(OutsideError, f"{server.url}/app", secret=SECRET)


async def test_missing_refused_and_unreachable(server: Server, caller: Caller) -> None:
    await caller.refuses(NotFoundError, f"{server.url}/none", secret=SECRET)
    await caller.refuses(OutsideError, "http://127.0.0.1:1/app", user="me", secret=SECRET)


async def test_what_is_no_bundle(server: Server, caller: Caller) -> None:
    server.pages |= {"/a": b"<html>", "/b": archive(README="x"), "/c": archive(paradrop_yaml="x")[:700]}
    for path in server.pages:
        await caller.refuses(BadArchiveError, server.url + path)


async def test_archives_that_are_too_large(server: Server, caller: Caller) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65536))
        except ConnectionResetError:
            return response

    server.pages |= {"/stated": bytes(2**20 + 1), "/endless": endless}
    for path in server.pages:
        assert "larger than" in await caller.refuses(BadArchiveError, server.url + path)


async def test_a_server_that_falls_silent(server: Server, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response()

    server.pages["/app"] = silent
    caller = Caller(tmp_path, idle_timeout_s=0.05)
    assert "in time" in await caller.refuses(OutsideError, f"{server.url}/app")
    gate.set()


@pytest.fixture
def hub(server: Server, tmp_path: Path) -> Caller:
    return Caller(tmp_path, github=server.url, github_api=f"{server.url}/repos")


async def test_github_with_a_checkout(server: Server, hub: Caller) -> None:
    server.pages["/me/app/tarball/v1"] = APP
    assert (await hub.fetch("https://github.com/me/app.git", checkout="v1")).name == "repo"


async def test_github_without_master(server: Server, hub: Caller) -> None:
    server.pages["/me/app/tarball/HEAD"] = APP
    await hub.fetch("http://github.com/me/app")
    assert [path for path, _ in server.requests] == ["/me/app/tarball/master", "/me/app/tarball/HEAD"]


async def test_github_with_a_secret(server: Server, hub: Caller) -> None:
    server.pages["/repos/me/app/tarball/master"] = APP
    await hub.fetch("https://github.com/me/app", secret=SECRET)
    assert server.requests == [("/repos/me/app/tarball/master", BASIC)]


async def test_github_without_the_repository(server: Server, hub: Caller) -> None:
    await hub.refuses(NotFoundError, "https://github.com/me/none", secret=SECRET)


# --- git over HTTP --------------------------------------------------------------------------------------------------


def as_dumb_server(repository: Repository, server: Server) -> None:
    git("update-server-info", at=repository.path)
    folder = repository.path / ".git"

    async def file(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != BASIC:
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        path = folder / request.path.removeprefix("/app.git/")
        return web.Response(body=path.read_bytes()) if path.is_file() else web.Response(status=404)

    for path in [*folder.rglob("*")]:
        server.pages[f"/app.git/{path.relative_to(folder)}"] = file


async def test_git_over_http_with_a_password(repository: Repository, server: Server, caller: Caller) -> None:
    """A dumb server gives no shallow copies, so the commit is asked for by its name."""
    as_dumb_server(repository, server)
    found = await caller.fetch(f"{server.url}/app.git", checkout=repository.first, user="me", secret=SECRET)
    assert read_spec(found).version == 1


async def test_git_over_http_does_not_follow_with_a_password(
    server: Server, stranger: Server, caller: Caller
) -> None:
    server.pages["/app.git/info/refs"] = (302, f"{stranger.url}/app.git/info/refs")
    await caller.refuses(OutsideError, f"{server.url}/app.git", user="me", secret=SECRET)
    assert all(authorization is None for _, authorization in stranger.requests)


async def test_git_never_prompts(repository: Repository, server: Server, caller: Caller) -> None:
    as_dumb_server(repository, server)
    await caller.refuses(OutsideError, f"{server.url}/app.git", user="me", secret="wrong")
    await caller.refuses(OutsideError, f"{server.url}/app.git")
