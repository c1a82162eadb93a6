import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self):
        return True


def _screen(*, terminal=False, **more):
    kind = Terminal if terminal else io.StringIO
    return Screen(out=kind(), err=kind(), **more)


def test_columns_are_aligned_and_end_without_blanks():
    screen = _screen()
    screen.table(("NAME", "X"), [("a", "1"), ("longer", "")], empty="")
    assert screen.out.getvalue() == "NAME    X\na       1\nlonger\n"


def test_an_empty_table_is_a_note():
    screen = _screen()
    screen.table(("NAME",), [], empty="Nothing yet.")
    assert (screen.out.getvalue(), screen.err.getvalue()) == ("", "Nothing yet.\n")


def test_states_are_coloured_on_a_terminal_only():
    for screen, expected in (
        (_screen(terminal=True), "\033[32mrunning\033[0m"),
        (_screen(terminal=True, env={"NO_COLOR": "1"}), "running"),
        (_screen(terminal=True, env={"TERM": "dumb"}), "running"),
        (_screen(), "running"),
    ):
        screen.table(("STATE",), [("running",)], empty="")
        assert screen.out.getvalue().splitlines()[1] == expected


def test_notes_do_not_disturb_programs():
    screen = _screen(json=True)
    screen.note("for people")
    screen.data({"a": 1})
    screen.data_line({"b": "\u001b"})
    assert screen.err.getvalue() == ""
    assert msgspec.json.decode(screen.out.getvalue().rpartition("\n{")[0]) == {"a": 1}
    assert "\x1b" not in screen.out.getvalue()


@given(st.text())
def test_a_terminal_never_sees_a_control_character(text):
    screen = _screen(terminal=True, env={"NO_COLOR": "1"})
    screen.line(text)
    screen.note(text)
    screen.lines([(("name"), text)])
    shown = screen.out.getvalue() + screen.err.getvalue()
    assert all(char.isprintable() or char in "\n\t" for char in shown)


def test_pipes_get_what_was_written():
    screen = _screen()
    screen.line("a\x1b[31mb")
    assert screen.out.getvalue() == "a\x1b[31mb\n"


def test_nobody_can_be_asked_without_a_terminal():
    with pytest.raises(BadInputError, match="--yes"):
        _screen().confirm("Sure?", otherwise="Add --yes.")


@pytest.mark.parametrize(
    ("typed", "answer"), [("y\n", True), ("YES\n", True), ("\n", False), ("no\n", False), ("", False)]
)
def test_only_yes_is_yes(monkeypatch, typed, answer):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    screen = _screen(terminal=True)
    assert screen.confirm("Sure?", otherwise="") is answer
    assert screen.err.getvalue() == "Sure? [y/N] "
