"""What a server says of itself."""

from __future__ import annotations

import pytest

from wayhouse.bus.model import Frames
from wayhouse.bus.server_face import mmi

ANSWER = mmi(lambda: True, lambda: ["h.x.mmi", "h.x.devices"], lambda: ["/device/h.x.b", "/device/h.x.a"])
MMIS = b"directory|helper.mmi|helper.replies|helper.topics|status"
SERVICES, TOPICS = b"h.x.devices|h.x.mmi", b"/device/h.x.a|/device/h.x.b"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ([b"status"], [b"200"]),
        ([b"directory"], [b"h.x.devices=1|h.x.mmi=1", SERVICES, TOPICS, MMIS, b"200"]),
        ([b"helper.replies"], [SERVICES, b"200"]),
        ([b"helper.topics", b"/device/h.x.b"], [b"/device/h.x.b", b"200"]),
        ([b"helper.mmi", b"\xff"], [b"", b"200"]),
        ([b"else"], [b"501"]),
        ([], [b"501"]),
    ],
)
async def test_verbs(body: Frames, answer: Frames) -> None:
    assert await ANSWER(body) == answer


async def test_one_that_is_not_well_and_publishes_nothing() -> None:
    answer = mmi(lambda: False, list)
    assert await answer([b"status"]) == [b"500"]
    assert await answer([b"directory"]) == [b"", b"", b"", MMIS, b"200"]
