from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.portal.pages.configure import environment_of, specification


@pytest.fixture
async def browser(house):
    browser = await house.browser()
    await house.install(browser, "alpha")
    return browser


def last_change(reply) -> int:
    assert reply.status_code == 303, reply.text
    return int(reply.headers["location"].rpartition("/")[2])


async def test_the_environment_is_shown_and_set(house, browser):
    page = (await browser.get("/apps/alpha/configure")).text
    assert 'value="GREETING"' in page
    data = {"key": ["GREETING", "", "MORE"], "value": ["hi <there>\r\nsecond", "", "1"]}
    await house.done(last_change(await browser.post("/apps/alpha/configure/environment", data=data)))
    assert house.gateway.chutes.get("alpha").spec.environment == {
        "GREETING": "hi <there>\nsecond",
        "MORE": "1",
    }
    assert "hi &lt;there&gt;\nsecond" in (await browser.get("/apps/alpha/configure")).text


@pytest.mark.parametrize(
    "data",
    [
        {"key": ["A", "A"], "value": ["1", "2"]},
        {"key": ["A=B"], "value": ["1"]},
        {"key": [""], "value": ["1"]},
        {"key": ["A B"], "value": ["<x>"]},
    ],
)
async def test_a_faulty_environment_comes_back_with_the_reason(house, browser, data):
    reply = await browser.post("/apps/alpha/configure/environment", data=data)
    assert reply.status_code == 400
    assert 'role="alert"' in reply.text
    assert house.gateway.ledger.open_changes() == []


async def test_the_specification_goes_out_and_comes_back(house, browser):
    text = specification(house.gateway.chutes.get("alpha"))
    assert codec.decode_yaml(text)["name"] == "alpha"
    changed = text.replace("version: 3", "version: 4")
    reply = await browser.post("/apps/alpha/configure/specification", data={"text": changed})
    await house.done(last_change(reply))
    assert house.gateway.chutes.get("alpha").spec.version == 4


@pytest.mark.parametrize("text", ["- a", "a: [", "services: 3", "name: other", "", "{1: 2}", "nonsense: <b>"])
async def test_a_faulty_specification_comes_back_as_it_was(browser, text):
    reply = await browser.post("/apps/alpha/configure/specification", data={"text": text})
    if reply.status_code == 303:  # keys that are unknown may be ignored with a warning
        return
    assert reply.status_code == 400
    assert 'role="alert"' in reply.text
    assert "<b>" not in reply.text.partition("<textarea class")[2].partition("</textarea>")[0]


@settings(max_examples=200)
@given(st.lists(st.text(max_size=8), max_size=6), st.lists(st.text(max_size=8), max_size=6))
def test_any_rows_are_an_environment_or_a_reason(keys, values):
    try:
        environment = environment_of({"key": keys, "value": values})
    except BadInputError:
        return
    assert all(name and "=" not in name for name in environment)
