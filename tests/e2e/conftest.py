"""A gateway with devices that are not there, and a browser that is signed in to its page."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.parts.chromium import ARGUMENTS, CHROMIUM, WAIT_MS
from tests.parts.gateway import PASSWORD, GatewayProcess


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    folder = Path(tempfile.mkdtemp(prefix="whp"))
    process = GatewayProcess(folder / "data")
    settings = process.data / "config" / "wayhouse.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[devices]\nfake = true\n", encoding="ascii")
    process.start()
    yield process
    for chute in process.request("GET", "/api/v1/chutes/")[1]:
        process.request("DELETE", f"/api/v1/chutes/{chute['name']}")
    for _ in range(100):
        if not process.request("GET", "/api/v1/chutes/")[1]:
            break
        time.sleep(0.1)
    process.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, gateway: GatewayProcess) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=gateway.url)
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not make the browser complain: content policy, scripts, missing files."""
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


@pytest.fixture
def signed_in(page: Page) -> Page:
    page.goto("/sign-in")
    page.get_by_label("User name").fill("paradrop")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()
    return page
