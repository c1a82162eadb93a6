"""The page of a real gateway in a real browser: from the one-time link to the removed app, without a complaint of the
browser's console."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.parts.chromium import CHROMIUM, CONTRAST, FAULTS, WAIT_MS
from tests.parts.gateway import PASSWORD, GatewayProcess

HELLO = Path(__file__).parents[2] / "examples" / "hello"

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]


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
