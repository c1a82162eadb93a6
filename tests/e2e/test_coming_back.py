"""Who follows an app's log over a restart or a crash of the gateway has every line once: the command, and the page in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.parts.gateway import PASSWORD, GatewayProcess, tar_of

CHROMIUM = Path("/usr/bin/chromium")
COUNT = """
import itertools, time
for number in itertools.count():
    print(number, number + 1, sep="\\n", flush=True) if number % 2 == 0 else None
    time.sleep(0.01)
"""
SPEC = """
name: count
version: 1
services:
  main: {type: light, source: ., image: python3, command: python3 -u main.py}
"""
PATIENCE_S = 40.0

pytestmark = pytest.mark.external


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    folder = Path(tempfile.mkdtemp(prefix="whc"))
    process = GatewayProcess(folder / "data")
    process.start()
    process.change("POST", "/api/v1/chutes/", tar_of({"paradrop.yaml": SPEC, "main.py": COUNT}))
    try:
        yield process
    finally:
        process.remove_all()
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def in_a_row(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_command_goes_on_where_it_was(gateway: GatewayProcess, tmp_path: Path, end: str) -> None:
    said = tmp_path / "said"
    command = [sys.executable, "-m", "wayhouse.cli.main", "--data", str(gateway.data), "chute", "logs"]
    with said.open("wb") as out:
        following = subprocess.Popen([*command, "-f", "--json", "--tail", "5", "count"], stdout=out)
    try:

        def numbers() -> list[int]:
            whole = said.read_text().rpartition("\n")[0]
            return [int(json.loads(line)["message"]) for line in whole.splitlines()]

        until(lambda: len(numbers()) > 50)
        getattr(gateway, end)()
        time.sleep(1)
        had = len(numbers())
        gateway.start()
        until(lambda: len(numbers()) > had + 300)
        assert following.poll() is None
        assert in_a_row(numbers())
    finally:
        following.kill()
        following.wait()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium")
def test_the_page_goes_on_where_it_was(gateway: GatewayProcess) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--headless", "--disable-gpu"]
        )
        page = browser.new_page(base_url=gateway.url)
        page.goto("/sign-in")
        page.get_by_label("User name").fill("paradrop")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{gateway.url}/")
        page.goto("/apps/count/logs")
        until(lambda: len(shown(page)) > 50)
        gateway.stop()
        page.get_by_text("Connection lost; trying again").wait_for()
        had = len(shown(page))
        gateway.start()
        page.get_by_text("Following.").wait_for()
        until(lambda: len(shown(page)) > had + 300)
        assert in_a_row(shown(page))
        browser.close()


def shown(page: Page) -> list[int]:
    texts: list[str] = page.evaluate(
        "[...document.querySelectorAll('[data-lines] li span')].map((one) => one.textContent)"
    )
    return [int(text) for text in texts]
