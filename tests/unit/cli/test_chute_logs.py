import io
import sys
import threading

from wayhouse.chutes.model import container_name
from wayhouse.ledger.model import INTERNAL


def _say(gateway, text):
    gateway.do(gateway.engine.print_line(container_name("hello", "main"), text))


def test_the_last_lines(cli, app, gateway):
    app()
    for text in ("one", "two", "three"):
        _say(gateway, text)
    assert cli("chute", "logs", "hello", "--tail", 2).out == "two\nthree\n"
    lines = cli("chute", "logs", "hello", "--json").json_lines
    assert [line["message"] for line in lines] == ["main started", "one", "two", "three"]
    stamped = cli("chute", "logs", "hello", "-t", "--tail", 1).out
    assert stamped.startswith("20")
    assert stamped.endswith(" three\n")


class Output(io.StringIO):
    """Tells when a text has been written."""

    def __init__(self, *awaited):
        super().__init__()
        self.seen = {text: threading.Event() for text in awaited}

    def write(self, text):
        for awaited, event in self.seen.items():
            if awaited in text:
                event.set()
        return super().write(text)


def test_following_shows_what_comes_and_ends_with_the_app(cli, app, gateway, monkeypatch):
    app()
    _say(gateway, "before")
    output = Output("before", "after")

    def go_on():
        assert output.seen["before"].wait(20)
        _say(gateway, "after")
        assert output.seen["after"].wait(20)
        gateway.do(gateway.chutes.delete("hello", INTERNAL))

    thread = threading.Thread(target=go_on)
    thread.start()
    monkeypatch.setattr(sys, "stdout", output)
    result = cli("chute", "logs", "-f", "hello")
    thread.join()
    assert result.code == 0
    assert output.getvalue().splitlines()[:3] == ["main started", "before", "after"]


def test_tail_has_its_limits(cli):
    assert cli("chute", "logs", "hello", "--tail", -1).code == 2
    assert cli("chute", "logs", "hello", "--tail", 999999).code == 2
