import io
import sys
import threading

import pytest

from wayhouse.api.wire_devices import ChangedFrame, NotedFrame, ReadingFrame
from wayhouse.cli.device_watch import _line
from wayhouse.devices.model import DeviceView, LogEntry


class Enough(io.StringIO):
    """Presses Ctrl-C when a text has been written."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def write(self, text):
        super().write(text)
        if self.text in text:
            raise KeyboardInterrupt
        return len(text)


@pytest.mark.parametrize("words", [("lamp",), ("--json",)])
def test_what_comes_is_shown(cli, house, monkeypatch, words):
    is_over = threading.Event()

    def switch():
        while not is_over.wait(0.05):
            house.do(house.devices.command("hall", "level", 5))
            house.do(house.devices.command("lamp", "power", value=True, who="ann"))

    thread = threading.Thread(target=switch)
    thread.start()
    output = Enough("ann")
    monkeypatch.setattr(sys, "stdout", output)
    result = cli("device", "watch", *words)
    is_over.set()
    thread.join()
    assert result.code == 130
    shown = output.getvalue()
    assert "power" in shown
    assert ("hall" in shown) == (words != ("lamp",))


def test_the_words_of_frames():
    view = DeviceView(id="d", name="x", fullname="h.d.x", oid="switch", driver="d", address="x")
    assert _line(ReadingFrame("d", "x", "power", True, "", 0.0)).endswith("x  power  on")
    entry = LogEntry(1, 0.0, "moved", "area: a", "ann")
    assert _line(NotedFrame("d", "x", entry)).endswith("x  moved: area: a (ann)")
    assert _line(ChangedFrame("removed", view, 0.0)).endswith("x  removed")
    assert _line(ChangedFrame("moved", view, 0.0)) == ""
