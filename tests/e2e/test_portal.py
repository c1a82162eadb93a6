"""The page of a real gateway in a real browser: from the one-time link to the removed app, without a complaint of the
browser's console."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.parts.gateway import PASSWORD, GatewayProcess

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
HELLO = Path(__file__).parents[2] / "examples" / "hello"
WAIT_MS = 30_000

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    folder = Path(tempfile.mkdtemp(prefix="whp"))
    process = GatewayProcess(folder / "data")
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


def install(page: Page, folder: Path = HELLO) -> None:
    page.goto("/install")
    page.locator("[data-folder]").set_input_files(folder)
    succeeds(page)


def succeeds(page: Page) -> None:
    """The change that is shown ends well; if not, its steps are in the failure."""
    page.wait_for_url(re.compile(r"/changes/\d+$"))
    verdict = page.locator(".steps .verdict")
    expect(verdict).to_be_visible(timeout=WAIT_MS)
    assert verdict.inner_text() == "Done", page.locator(".steps").inner_text()


def test_the_link_of_the_first_start_signs_in_once(page: Page, gateway: GatewayProcess) -> None:
    link = re.search(r"/sign-in\?code=[\w-]+", gateway.output.read_text(encoding="utf-8"))
    assert link is not None
    page.goto(link.group())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="No apps yet")).to_be_visible()
    expect(page).to_have_url(f"{gateway.url}/")
    cookie = next(one for one in page.context.cookies() if one["name"] == "wayhouse_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"


def test_an_app_from_its_folder_to_its_removal(
    signed_in: Page, context: BrowserContext, gateway: GatewayProcess
) -> None:
    page = signed_in
    install(page)
    expect(page.locator(".steps .step").first).to_have_text(re.compile("Keeping the bundle"))
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open").click()
    app = opened.value
    expect(app.get_by_role("heading", name="Hello!")).to_be_visible()

    page.goto("/apps/hello/logs")
    lines = page.locator("[data-lines]")
    expect(lines).to_contain_text("listens on port 8000")
    expect(page.locator("[data-status]")).to_have_text("Following.")
    app.goto(app.url + "?followed")
    expect(lines).to_contain_text("GET /?followed")
    page.get_by_label("Show only lines with").fill("followed")
    expect(lines.locator("li:visible")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-status]")).to_contain_text("Paused")

    page.goto("/")
    row = page.locator(".app", has_text="hello")
    expect(row.locator("[data-memory]")).to_have_text(re.compile(r"\d+ (KB|MB)"))
    row.get_by_role("button", name="Stop hello").click()
    expect(row.locator(".state")).to_have_text("Stopped", timeout=WAIT_MS)
    row.get_by_role("button", name="Start hello").click()
    expect(row.locator(".state")).to_have_text("Running", timeout=WAIT_MS)
    row.get_by_role("button", name="Remove hello").click()
    expect(page.get_by_role("dialog")).to_contain_text("Remove hello?")
    page.get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Remove hello").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="No apps yet")).to_be_visible(timeout=WAIT_MS)
    assert gateway.request("GET", "/api/v1/chutes/")[1] == []


def test_an_archive_and_a_change_of_the_environment(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    archive = tmp_path / "hello.tar.gz"
    subprocess.run(["tar", "-C", str(HELLO), "-czf", str(archive), "."], check=True)
    page.goto("/install")
    page.locator("[data-archive]").set_input_files(archive)
    succeeds(page)
    page.goto("/apps/hello/configure")
    page.get_by_label("Name", exact=True).last.fill("GREETING")
    page.get_by_label("Value", exact=True).last.fill("<b>hello</b>")
    page.get_by_role("button", name="Apply and restart").first.click()
    succeeds(page)
    page.goto("/apps/hello/configure")
    expect(page.get_by_label("Value", exact=True).first).to_have_value("<b>hello</b>")


def test_a_new_version_is_dropped_on_the_page(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    folder = tmp_path / "dropped"
    shutil.copytree(HELLO, folder)
    manifest = folder / "paradrop.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("hello", "dropped"), encoding="utf-8")
    page.goto("/install")
    drop(page, folder)
    succeeds(page)
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("version: 1", "version: 2"), encoding="utf-8"
    )
    page.goto("/apps/dropped/configure")
    drop(page, folder)
    expect(page.get_by_role("heading", name="Update dropped")).to_be_visible()
    succeeds(page)
    page.goto("/apps/dropped")
    expect(page.get_by_title("Version")).to_have_text("2")


def drop(page: Page, folder: Path) -> None:
    """What a person does with the mouse, as the browser's own protocol says it."""
    place = page.locator("[data-drop]")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + 40, "y": box["y"] + 40}
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})
    page.wait_for_url(re.compile(r"/changes/\d+$"))


def test_a_folder_with_long_names_and_programs(
    signed_in: Page, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """The page's own tar: names over 100 bytes, letters that are not ASCII, programs stay programs."""
    folder = tmp_path / "packed"
    shutil.copytree(HELLO, folder)
    deep = folder / ("d" * 60) / ("ü" * 40)
    deep.mkdir(parents=True)
    (deep / ("f" * 50 + ".txt")).write_text("deep", encoding="utf-8")
    (folder / "run.sh").write_text("#!/bin/sh\nexec python3 -u main.py\n", encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("left out", encoding="utf-8")
    text = (folder / "paradrop.yaml").read_text(encoding="utf-8")
    text = text.replace("name: hello", "name: packed").replace(
        "[python3, -u, main.py]",
        f"sh -c 'test -x run.sh && test -f {'d' * 60}/{'ü' * 40}/{'f' * 50}.txt && test ! -e .git && exec ./run.sh'",
    )
    (folder / "paradrop.yaml").write_text(text, encoding="utf-8")
    install(signed_in, folder)


def test_a_folder_that_is_no_app_is_refused_here(signed_in: Page, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file.txt").write_text("x", encoding="utf-8")
    signed_in.goto("/install")
    signed_in.locator("[data-folder]").set_input_files(tmp_path / "other")
    expect(signed_in.locator("[data-error]")).to_contain_text("There is no paradrop.yaml in other")


def test_without_scripts_it_still_works(chromium: Browser, gateway: GatewayProcess) -> None:
    context = chromium.new_context(base_url=gateway.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/changes")
    page.get_by_label("User name").fill("paradrop")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Changes", exact=True)).to_be_visible()
    page.goto("/account")
    page.get_by_role("button", name="Make a sign-in link").click()
    expect(page.locator(".secret code")).to_contain_text("/sign-in?code=")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{gateway.url}/sign-in")
    context.close()


PAGES = (
    "/", "/install", "/changes", "/system", "/system/log", "/system/settings", "/api", "/account", "/users",
    "/ssh-keys", "/audit",
)  # fmt: skip

FAULTS = """
() => {
  const faults = [];
  const name = (e) => (e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent || e.title || '').trim();
  for (const e of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary'))
    if (!name(e)) faults.push('no name: ' + e.outerHTML.slice(0, 120));
  for (const e of document.querySelectorAll('[aria-labelledby]'))
    if (!document.getElementById(e.getAttribute('aria-labelledby'))) faults.push('label is missing: ' + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll('svg:not([aria-hidden]):not([role=img])'))
    if (!e.closest('[aria-hidden], li')) faults.push('loud picture: ' + e.outerHTML.slice(0, 80));
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push('id twice: ' + id);
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  if (document.querySelectorAll('main').length !== 1) faults.push('not one main');
  if (!document.documentElement.lang || !document.title) faults.push('no language or title');
  if (document.documentElement.scrollWidth > innerWidth) faults.push('wider than the screen');
  return faults;
}
"""

CONTRAST = """
() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
    .reduce((all, v, i) => all + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if ((c[3] ?? 1) > .99) return c; } return [255, 255, 255]; };
  const faults = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    if (style.color.startsWith('color(') || style.clipPath !== 'none') continue;
    const [a, b] = [lum(parse(style.color)), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) faults.push(ratio.toFixed(2) + ' ' + e.tagName + ' ' + e.textContent.trim().slice(0, 30));
  }
  return faults;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1200, 800), (360, 740)])
def test_every_page_can_be_read_by_everyone(signed_in: Page, scheme: str, size: tuple[int, int]) -> None:
    page = signed_in
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    shown = page.request.get("/api/v1/chutes/").json()
    apps = [
        f"/apps/{one['name']}{rest}" for one in shown[:1] for rest in ("", "/logs", "/configure", "/changes")
    ]
    for path in (*PAGES, *apps):
        page.goto(path)
        assert page.evaluate(FAULTS) == [], path
        assert page.evaluate(CONTRAST) == [], path


def test_the_keyboard_alone(signed_in: Page) -> None:
    page = signed_in
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_colours_are_switched_and_remembered(signed_in: Page) -> None:
    page = signed_in
    switch = page.get_by_role("button", name="Colours:")
    switch.click()
    switch.click()
    page.goto("/system")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
