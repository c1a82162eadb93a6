from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.portal.pages.system import _line, _shown, last_lines


async def test_the_machine(house):
    browser = await house.browser()
    page = (await browser.get("/system")).text
    for text in ("Processor", "Memory", "Disks", "This machine", "Nothing really runs"):
        assert text in page


async def test_settings_are_masked_and_logs_are_read(house, tmp_path):
    browser = await house.browser()
    assert "access_login_attempts" in (await browser.get("/system/settings")).text
    logs = tmp_path / "data" / "logs"
    logs.mkdir()
    (logs / "wayhouse.log").write_text(
        '{"timestamp": 1.5, "level": "WARNING", "message": "<b>bold</b>"}\nbroken\n[]\n', encoding="utf-8"
    )
    page = (await browser.get("/system/log")).text
    assert "&lt;b&gt;bold" in page
    assert "level-warning" in page


def test_a_missing_log_is_empty(tmp_path):
    assert last_lines(tmp_path / "none") == []
    assert [_shown(one) for one in (None, True, ["a", 1], "x")] == ["", "true", "a, 1", "x"]


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=80), st.text(max_size=60).map(lambda text: text.encode("utf-8"))))
def test_any_line_is_read_or_left_out(text):
    line = _line(text)
    assert line is None or set(line) == {"time", "level", "message"}
