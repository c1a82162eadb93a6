import io

import pytest

from wayhouse.cli.live import away, draw, live_line
from wayhouse.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_steps_scroll_by_above_the_moving_line(terminal):
    screen = Screen(out=terminal, err=terminal, env={"TERM": "xterm"})
    with live_line(screen) as line:
        line.step("Building hello-main", "   0.1 s")
        line.step("[bold]odd\x1b[31m", "   0.2 s")
    drawn = terminal.getvalue()
    assert "Building hello-main" in drawn
    assert "[bold]odd\\x1b[31m" in drawn


def test_plain_lines_without_a_terminal():
    err = io.StringIO()
    with live_line(Screen(out=io.StringIO(), err=err)) as line:
        line.step("Building", "0 s")
    assert err.getvalue() == "Building\n"


def test_json_shows_no_steps():
    err = io.StringIO()
    with live_line(Screen(json=True, out=io.StringIO(), err=err)) as line:
        line.step("Building", "0 s")
    assert err.getvalue() == ""


def test_pages_take_each_others_place(terminal):
    screen = Screen(out=terminal, err=terminal, env={"TERM": "xterm"})
    draw(screen, [["first", "page"], ["[bold]second\x1b[31m"]])
    drawn = terminal.getvalue()
    assert drawn.index("first") < drawn.index("[bold]second\\x1b[31m")


def test_that_the_gateway_is_away_is_said_beside_the_answer():
    out, err = io.StringIO(), io.StringIO()
    away(Screen(out=out, err=err, env={}))(30.0)
    assert (out.getvalue(), err.getvalue()) == (
        "",
        "The gateway is away: it may be restarting. Waiting for it, up to 30 s.\n",
    )
