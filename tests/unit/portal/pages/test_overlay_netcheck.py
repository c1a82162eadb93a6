from __future__ import annotations

from tests.parts.overlay_lab import REPORT

PLACE = "/overlay/home/netcheck"


async def test_it_is_done_when_asked_and_told_in_words(in_overlay):
    page = (await in_overlay.admin.get(PLACE)).text
    assert "Check now" in page
    assert "What it means" not in page
    page = (await in_overlay.admin.post(PLACE)).text
    for words in (
        REPORT.advice[0], "keeps its ports: direct paths", "one port for everybody", "gets through", "198.51.100.2", "12 ms", "turn udp",
        "It does not answer.", "Check again",
    ):  # fmt: skip
        assert words in page, words


async def test_when_it_cannot_be_done(in_overlay):
    in_overlay.links.trouble = "The process was lost."
    reply = await in_overlay.admin.post(PLACE)
    assert reply.status_code == 503
    assert "The process was lost." in reply.text
