"""Devices, scenarios, jobs and the bus on the page of a real gateway, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.parts.chromium import CHROMIUM, CONTRAST, FAULTS
from tests.parts.gateway import GatewayProcess

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]

HEAD = """\
wayhouse_scenario = 1
name = "warm evening"
description = "Lights the hall"

[entries]
boiler = "device:boiler"

[parameters]
level = { kind = "number", default = 40, min = 0, max = 100 }
"""
CODE = 'log("it is", value("boiler"))\ncommand("hall", "level", int(settings.level))\nwait(1)\nlog("lit")\n'
IS_DRAWN = """
(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((one) => one > 0)
"""
SAVE = "Save"


def value_of(gateway: GatewayProcess, device: str, command: str) -> object:
    return gateway.request("GET", f"/api/v1/devices/{device}/commands/{command}")[1]["value"]


def write_scenario(page: Page, head: str, code: str) -> None:
    page.goto("/scenarios-new")
    page.locator("#head").fill(head)
    page.locator("#code").fill(code)


def test_a_device_is_commanded_and_its_history_drawn(signed_in: Page, gateway: GatewayProcess) -> None:
    page = signed_in
    page.goto("/devices")
    lamp = page.locator(".device", has_text="lamp")
    expect(lamp.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    lamp.get_by_role("switch").click()
    expect(lamp.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    assert value_of(gateway, "lamp", "power") is True

    gateway.request("PUT", "/api/v1/devices/lamp/commands/power", {"value": False})
    expect(lamp.get_by_role("switch")).to_have_attribute("aria-checked", "false")

    page.get_by_role("link", name="hall", exact=True).click()
    slider = page.get_by_role("slider", name="Level")
    slider.focus()
    slider.press("PageUp")
    expect(page.locator(".control output")).to_have_text(re.compile(r"^[1-9]\d* %$"))
    expect(page.locator(".control [data-time]")).to_have_text(re.compile("just now|s ago"))
    assert value_of(gateway, "hall", "level") == int(slider.input_value()) > 0
    expect(slider).to_be_focused()

    page.goto("/devices")
    page.get_by_role("link", name="boiler", exact=True).click()
    expect(page.locator("[data-summary]")).to_have_text(re.compile("°C"))
    assert page.locator(".plot canvas").evaluate(IS_DRAWN)
    page.get_by_role("button", name="Week").click()
    expect(page.get_by_role("button", name="Week")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".plot canvas")).to_be_visible()


def test_a_device_is_configured_and_renamed(signed_in: Page, gateway: GatewayProcess) -> None:
    page = signed_in
    page.goto("/devices")
    page.get_by_role("link", name="roof", exact=True).click()
    page.get_by_role("link", name="Configure").click()
    page.get_by_role("combobox", name="Area").fill("Outside")
    page.get_by_role("button", name=SAVE).first.click()
    expect(page.get_by_role("status").filter(has_text="moved")).to_be_visible()
    page.get_by_label("Poll").fill("5")
    page.get_by_role("button", name=SAVE).last.click()
    expect(page.get_by_role("status").filter(has_text="configured")).to_be_visible()
    page.goto("/devices")
    expect(page.get_by_role("heading", name="Outside")).to_be_visible()
    assert gateway.request("GET", "/api/v1/devices/roof")[1]["config"]["poll"] == 5


def test_a_scenario_is_written_rehearsed_and_run(signed_in: Page, gateway: GatewayProcess) -> None:
    page = signed_in
    write_scenario(page, HEAD, "x = (\n" + CODE)
    expect(page.locator("#fault")).to_contain_text("never closed")
    expect(page.locator('[data-editor="code"] .gutter .fault')).to_have_text("1")
    page.locator("#code").fill(CODE)
    expect(page.locator("#fault")).to_be_empty()
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator("#rehearsal")).to_contain_text("Nothing was commanded")
    page.get_by_role("button", name="Save and run").click()
    trace = page.locator(".trace")
    expect(trace).to_contain_text("it is")
    expect(page.locator("#trace .head .state")).to_have_text("Done")
    expect(trace).to_contain_text("lit")
    assert value_of(gateway, "hall", "level") == 40

    page.get_by_role("link", name="warm evening").click()
    page.get_by_role("switch").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    page.get_by_label("level").fill("55")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#trace .head .state")).to_have_text("Done")
    assert value_of(gateway, "hall", "level") == 55


def test_a_failed_run_is_shown_with_its_line_and_on_the_first_page(signed_in: Page) -> None:
    page = signed_in
    write_scenario(page, HEAD.replace("warm evening", "wrong"), "a = 1\nb = a / 0\n")
    page.get_by_role("button", name="Save and run").click()
    expect(page.locator(".about .fault")).to_contain_text("b = a / 0")
    page.goto("/")
    expect(page.locator("#troubles")).to_contain_text("wrong")
    page.goto("/scenarios/wrong")
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("link", name="wrong")).to_have_count(0)


def test_a_job_is_previewed_added_and_paused(signed_in: Page) -> None:
    page = signed_in
    page.goto("/jobs")
    page.get_by_label("Name").fill("tea")
    page.get_by_label("Schedule").press_sequentially("0 17 * * *")
    expect(page.locator("#preview")).to_contain_text("17:00")
    expect(page.locator("#preview time")).to_have_count(5)
    page.get_by_role("button", name="Add").click()
    row = page.locator(".job", has_text="tea")
    expect(row.locator("[data-next]")).to_have_text(re.compile("^in "))
    row.get_by_role("button", name="Pause tea").click()
    expect(row).to_contain_text("Paused")
    row.get_by_role("button", name="Run now: tea").click()
    expect(row.locator("[data-last]")).not_to_have_text("not yet")


def test_the_bus_is_seen_and_asked(signed_in: Page) -> None:
    page = signed_in
    page.goto("/bus")
    names = page.locator(".figures-table tbody th")
    expect(names.filter(has_text="titanic.request")).to_have_count(1)
    box = page.get_by_role("searchbox", name="Search services")
    box.press_sequentially("FAKE dev")
    expect(names).to_have_text([re.compile(r"\.fake\.devices$")])
    page.locator("#bus-now").evaluate("(now) => now.classList.add('before')")
    expect(page.locator("#bus-now.before")).to_have_count(0)  # it was refreshed
    expect(names).to_have_text([re.compile(r"\.fake\.devices$")])
    expect(box).to_be_focused()
    expect(box).to_have_value("FAKE dev")
    page.get_by_role("link", name=re.compile(r"\.fake\.devices$")).click()
    page.get_by_label("Request").fill("get\nrtc\npoll")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".frames li")).to_have_count(2)
    page.goto("/bus/keys")
    page.get_by_role("link", name="device", exact=True).click()
    expect(page.locator(".keys-table")).to_contain_text("boiler")


PAGES = (
    "/", "/devices", "/devices/new", "/scenarios", "/scenarios-new", "/scenarios-import", "/jobs", "/bus",
    "/bus/keys?under=/device/", "/bus/requests", "/bus/services/titanic.request",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1200, 800), (360, 740)])
def test_every_page_can_be_read_by_everyone(
    signed_in: Page, gateway: GatewayProcess, scheme: str, size: tuple[int, int]
) -> None:
    page = signed_in
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    devices = gateway.request("GET", "/api/v1/devices")[1]
    found = [f"/devices/{one['id']}{rest}" for one in devices for rest in ("", "/log", "/configure")]
    found += ["/scenarios/warm%20evening", "/scenarios/warm%20evening/edit", "/jobs/tea"]
    for path in (*PAGES, *found):
        page.goto(path)
        assert page.evaluate(FAULTS) == [], path
        assert page.evaluate(CONTRAST) == [], path
