# covers: cli/command.py, cli/wanted.py
"""The help texts as files, exit codes, and errors in one line."""

import os
from pathlib import Path

import pytest
import typer

from wayhouse.api.client_errors import ProblemError, UnreachableError
from wayhouse.base.errors import BadInputError, ConflictError
from wayhouse.cli import main as module
from wayhouse.cli.main import app, exit_code
from wayhouse.cli.wanted import Wanted, from_environment
from wayhouse.cli.watch import ChangeFailedError, LeftError

SNAPSHOTS = Path(__file__).parent / "snapshots"


def _commands(command, above=()):
    yield above
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*above, name))


COMMANDS = list(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words) or "wayhouse")
def test_help_is_as_in_its_snapshot(bare, words):
    """`UPDATE_SNAPSHOTS=1 pytest tests/unit/cli/test_main.py` writes them anew."""
    result = bare(*words, "--help")
    assert result.code == 0
    file = SNAPSHOTS / f"{'-'.join(words) or 'wayhouse'}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(result.out)
    assert result.out == file.read_text()


def test_there_is_no_snapshot_of_what_is_gone():
    assert {file.stem for file in SNAPSHOTS.glob("*.txt")} == {
        "-".join(words) or "wayhouse" for words in COMMANDS
    }


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words) or "wayhouse")
def test_every_command_has_examples(bare, words):
    told = bare(*words, "--help").out
    is_group = "Commands:" in told
    assert is_group or "For example:" in told


def test_the_codes_that_the_help_promises():
    assert exit_code(ChangeFailedError("")) == 1
    assert exit_code(ProblemError("", status=400, code="bad-input")) == 1
    assert exit_code(ConflictError("")) == 1
    assert exit_code(BadInputError("")) == 2
    assert exit_code(UnreachableError("")) == 3
    assert exit_code(ProblemError("", status=401, code="unauthenticated")) == 4
    assert exit_code(ProblemError("", status=403, code="forbidden")) == 4
    assert exit_code(LeftError("")) == 130


@pytest.mark.parametrize(
    "words", [("nonsense",), ("chute", "lss"), ("chute", "show"), ("status", "--no-such")]
)
def test_wrong_usage_is_2_and_says_where_help_is(bare, words):
    result = bare(*words)
    assert result.code == 2
    assert "--help" in result.err
    assert result.out == ""


def test_without_a_gateway_it_is_3_in_one_line(bare, tmp_path):
    result = bare("--data", tmp_path, "status")
    assert (result.code, result.out) == (3, "")
    assert result.err.count("\n") == 1
    assert "wayhouse up" in result.err


def test_what_nobody_foresaw_is_one_line_too(bare, monkeypatch):
    monkeypatch.setattr(module, "_run", lambda _: 1 / 0)
    result = bare("status")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err


def test_errors_of_the_system_are_one_line(bare, monkeypatch):
    def fail(_):
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(module, "_run", fail)
    assert bare("status").err == "wayhouse: /some/file: Permission denied\n"


def test_ctrl_c_is_130(bare, monkeypatch):
    def fail(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_run", fail)
    assert bare("status").code == 130


def test_options_may_stand_before_or_after(bare, gateway):
    for words in (
        ("--data", gateway.base, "whoami"),
        ("whoami", "--data", gateway.base),
        ("--gateway", f"unix:{gateway.base}/run/wayhouse.sock", "whoami"),
    ):
        assert bare(*words).code == 0
    assert bare("--json", "--data", gateway.base, "whoami").json["role"] == "owner"


def test_what_is_said_later_wins():
    first = Wanted(gateway="http://a", json=True)
    later = Wanted(data=Path("/b"))
    assert later.over(first) == Wanted(data=Path("/b"), json=True)
    assert Wanted().over(first) == first


def test_the_environment_chooses_one_of_the_two():
    assert from_environment({"WAYHOUSE_DATA": "/a"}) == Wanted(data=Path("/a"))
    both = {"WAYHOUSE_DATA": "/a", "WAYHOUSE_GATEWAY": "http://b"}
    assert from_environment(both) == Wanted(gateway="http://b")
    assert from_environment({"WAYHOUSE_DATA": ""}) == Wanted()


def test_nobody_is_told_to_sign_in(bare, gateway):
    result = bare("--gateway", gateway.http, "status")
    assert result.code == 4
    assert "wayhouse login" in result.err
    assert "header" not in result.err
