"""The pages about overlays in a real browser: the page and the service of a gateway in this process, with links that are played.

The browser's requests are answered by the page itself, without a port, so that peers can come and go when the test says so.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, Route, async_playwright, expect

from tests.parts import asgi
from tests.parts.chromium import ARGUMENTS, CHROMIUM, CONTRAST, FAULTS, WAIT_MS
from tests.parts.house import PASSWORD, house
from tests.parts.overlay_lab import AWAY, BARN, DIRECT, KITCHEN, RELAYED, SUBNET, later
from tests.parts.overlay_portal import OverlayPortal, overlay_portal
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.shares import Share
from wayhouse.overlay.views import Received, ReceivedDevice

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
ORIGIN = "http://gateway.test:8080"
PLACES = (
    "/overlay", "/overlay-create", "/overlay-join", "/overlay/home", f"/overlay/home/peers/{KITCHEN}", f"/overlay/home/peers/{BARN}",
    "/overlay/home/invitations", "/overlay/home/rules", "/overlay/home/sharing", "/overlay/home/setup", "/overlay/home/netcheck", "/",
)  # fmt: skip


class Pages:
    """`page` is signed in as an administrator; `parts.lab` is behind it."""

    def __init__(self, page: Page, parts: OverlayPortal) -> None:
        self.page, self.parts, self.lab = page, parts, parts.lab

    async def answer(self, route: Route, request: Request) -> None:
        """Nothing is packed: what is put in place of an answer of the network is not unpacked."""
        sent = await request.all_headers()
        headers = {
            name: value for name, value in sent.items() if name[0] != ":" and name != "accept-encoding"
        }
        place = request.url.removeprefix(ORIGIN)
        reply = await asgi.ask(
            self.parts.portal, request.method, place, request.post_data_buffer or b"", headers={"host": "gateway.test:8080", **headers}
        )  # fmt: skip
        await route.fulfill(status=reply.status, headers=reply.headers, body=reply.body)


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    async with (
        house(tmp_path) as gateway,
        overlay_portal(gateway.gateway, tmp_path / "overlay") as parts,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        context = await browser.new_context(base_url=ORIGIN)
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        complaints: list[str] = []
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        found = Pages(page, parts)
        await context.route("**/*", found.answer)
        await page.goto("/sign-in")
        await page.get_by_label("User name").fill("admin")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()
        yield found
        await page.goto("about:blank")  # it asks no more
        await context.unroute_all(behavior="ignoreErrors")
        await browser.close()
        assert complaints == []


async def test_an_overlay_is_created_seen_and_left(pages: Pages) -> None:
    page = pages.page
    await page.get_by_role("link", name="Overlay", exact=True).click()
    await page.get_by_role("link", name="Create an overlay").click()
    await page.get_by_label("Name small letters").fill("home")
    await page.get_by_label("Subnet").fill(SUBNET)
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("status").filter(has_text="founded")).to_be_visible()
    await expect(page.locator(".map")).to_have_count(0)

    pages.lab.told("home", DIRECT, RELAYED)  # what the links tell is there without loading the page again
    await expect(page.locator(".map .way.direct")).to_have_count(1)
    await expect(page.locator(".map .way.relayed")).to_have_count(1)
    pages.lab.told("home", later(DIRECT, is_relayed=True), RELAYED, AWAY)
    await expect(page.locator(".map .way.relayed")).to_have_count(2)
    await expect(page.locator(".map .way.away")).to_have_count(1)
    await page.locator(".map .node", has_text="barn").click()
    await expect(page.get_by_role("heading", name="barn")).to_be_visible()
    await expect(page.get_by_text(RELAYED.why)).to_be_visible()
    await page.get_by_label("With this peer").select_option("relay")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("status").filter(has_text="is changed")).to_be_visible()

    await page.goto("/overlay/home/setup")
    await page.get_by_role("button", name="Leave").click()
    await page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", name="No overlay yet")).to_be_visible()
    assert not pages.lab.overlays.list()


async def test_one_is_invited_and_a_rule_is_written(pages: Pages) -> None:
    page = pages.page
    await pages.parts.found()
    await page.goto("/overlay/home/invitations")
    await page.get_by_label("Tags").fill("family")
    await page.get_by_role("button", name="Invite").click()
    code = await page.locator("code.invitation").text_content()
    assert re.fullmatch(r"wayhouse1:[\w-]+", code or "")
    await page.get_by_role("button", name="Copy").click()
    await expect(page.locator(".secret")).to_contain_text("Copy")

    await page.get_by_role("link", name="Rules").click()
    await page.locator("select[name=from]").select_option(label="Peers tagged family")
    await page.locator("select[name=protocol]").select_option("tcp")
    await page.get_by_role("textbox", name="Ports").fill("22")
    await page.get_by_role("button", name="Add").click()
    await expect(page.locator(".overlay-rules")).to_contain_text(
        "Peers tagged family may reach TCP 22 on this gateway."
    )
    await page.get_by_role("button", name="Remove rule 1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("There is no rule")).to_be_visible()

    await page.get_by_role("link", name="Network check").click()
    await page.get_by_role("button", name="Check now").click()
    await expect(page.get_by_role("heading", name="What it means")).to_be_visible()
    await page.goto("/overlay/home")
    await page.get_by_role("button", name="Use 192.168.7.0/24").click()
    await expect(page.get_by_role("button", name="Stop using 192.168.7.0/24")).to_be_visible()


async def test_something_is_given_to_peers_and_taken_back(pages: Pages) -> None:
    page = pages.page
    await pages.parts.found()
    await page.goto("/overlay/home")
    await page.get_by_role("link", name="Sharing").click()
    await expect(page.get_by_text("Nothing is shared.")).to_be_visible()
    await page.locator("select[name=what]").select_option(label="All devices, also those to come")
    await page.locator("select[name=to]").select_option(label="Peers tagged home")
    await page.locator("select[name=may]").select_option(label="Also command it")
    await page.get_by_role("button", name="Share", exact=True).click()
    await expect(page.get_by_role("status").filter(has_text="It is shared.")).to_be_visible()
    (one,) = pages.lab.overlays.setup("home").shares
    assert (one.what, one.to, one.may) == ("device:*", "tag:home", "command")

    lamp = ReceivedDevice(name="lamp", may="read", id="x", is_available=True)
    pages.lab.received["home"] = (
        Received(uid=KITCHEN, name="kitchen", address="10.213.0.7", devices=(lamp,)),
    )
    given = page.locator("#received-now")  # what peers give is there without loading the page again
    await expect(given.get_by_role("row", name="lamp")).to_contain_text("kitchen.home")
    await page.get_by_role("button", name="Take back All devices").click()
    await expect(page.get_by_text("Nothing is shared.")).to_be_visible()
    assert pages.lab.overlays.setup("home").shares == ()
    await page.get_by_role("textbox", name="Network").fill("192.168.77.0/24")
    await page.get_by_role("button", name="Offer it").click()
    await expect(page.get_by_role("button", name="Offer 192.168.77.0/24 no more")).to_be_visible()


@pytest.mark.parametrize(("scheme", "size"), [("light", (1280, 800)), ("dark", (360, 740))])
async def test_everybody_can_read_and_reach_it(pages: Pages, scheme: str, size: tuple[int, int]) -> None:
    page = pages.page
    await pages.parts.found()
    await pages.lab.overlays.tune("home", Tuning(shares=(Share(what="app:hello", to=KITCHEN, port=80),)))
    lamp = ReceivedDevice(name="lamp", may="read", id="x", reason="It is unplugged.")
    pages.lab.received["home"] = (
        Received(uid=KITCHEN, name="kitchen", address="10.213.0.7", devices=(lamp,), apps={80: "hello"}),
    )
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    for place in PLACES:
        await page.goto(place)
        assert await page.evaluate(FAULTS) == [], place
        assert await page.evaluate(CONTRAST) == [], place
