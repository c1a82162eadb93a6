"""What the code sees, against a gateway that is a list of answers."""

from __future__ import annotations

from typing import Any

import pytest

from wayhouse.automation.sandbox.channel import CallError
from wayhouse.automation.sandbox.main import run
from wayhouse.automation.sandbox.names import Output, Settings, Stopping, names


class FakeChannel:
    """A gateway that writes down what it is asked, and answers what it was told to."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked, self.told = answers, list[Any](), list[Any]()

    def call(self, name: str, /, **asked: Any) -> Any:
        self.asked.append((name, asked))
        return self.answers.get(name)

    def tell(self, **message: Any) -> None:
        self.told.append((message["call"], message["text"]))


BEGIN = {
    "name": "one",
    "cause": "asked",
    "entries": {"t": "device:t"},
    "settings": {"bound": 3},
    "seed": "x",
    "code": "",
}


def space(channel: FakeChannel) -> dict[str, Any]:
    return names(channel, BEGIN, Stopping())  # type: ignore[arg-type]


def test_calls() -> None:
    channel = FakeChannel(
        value=5,
        variables=["a", "b"],
        variable=7,
        remove_cron=True,
        readings=[[1.0, 2]],
        wait_for=True,
        now=0.0,
    )
    found = space(channel)
    assert found["value"]("t") == 5
    assert found["readings"]("t", 0) == [(1.0, 2)]
    assert found["wait_for"]("t", above=3, timeout=5) is True
    assert found["remove_cron"]("x") is True
    assert found["now"]().timestamp() == 0
    found["command"]("lamp", "on")
    found["wait_until"]("07:30")
    found["wait_until"](found["now"]())
    assert [name for name, _ in channel.asked] == [
        "value", "readings", "wait_for", "remove_cron", "now", "command", "wait_until", "now", "wait_until",
    ]  # fmt: skip
    assert channel.asked[2][1] == {"entry": "t", "timeout": 5.0, "above": 3}
    found["log"]("a", 1)
    assert channel.told == [("log", "a 1")]


def test_variables() -> None:
    channel = FakeChannel(variables=["a", "b"], variable=7)
    variables = space(channel)["variables"]
    assert (variables["a"], list(variables), len(variables), "a" in variables) == (7, ["a", "b"], 2, True)
    variables["a"] = 8
    del variables["a"]
    assert channel.asked[-1] == ("set_variable", {"name": "a", "value": None})
    channel.answers["variable"] = None
    assert variables.get("x", 3) == 3
    with pytest.raises(KeyError):
        variables["x"]
    with pytest.raises(KeyError):
        del variables["x"]
    with pytest.raises(TypeError, match="del variables"):
        variables["x"] = None


def test_settings_and_stopping() -> None:
    settings = Settings({"bound": 3})
    assert settings.bound == settings["bound"] == 3
    with pytest.raises(AttributeError, match="no parameter `x`"):
        settings.x  # noqa: B018
    stopping = Stopping()
    assert not stopping
    stopping.is_asked = True
    assert stopping
    assert repr(stopping) == "True"


def test_output_goes_out_line_by_line() -> None:
    channel = FakeChannel()
    output = Output(channel)  # type: ignore[arg-type]
    print("one\ntwo", end="", file=output)  # type: ignore[call-overload]
    output.flush()
    assert channel.told == [("print", "one")]
    output.write("x" * 10_000)
    output.end()
    assert [len(text) for _, text in channel.told] == [3, 8192]
    assert not output.isatty()


def test_how_code_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    class Fails(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise ValueError

    expected: dict[str, dict[str, Any]] = {
        "pass": {"outcome": "done"},
        "raise SystemExit": {"outcome": "done"},
        "\nraise SystemExit(3)": {"outcome": "failed", "error": "3", "line": 2},
        "raise Stopped": {"outcome": "stopped"},
        "x = 1\nx +": {
            "outcome": "failed",
            "error": "SyntaxError: invalid syntax (<scenario>, line 2)",
            "line": 2,
        },
        "import json\njson.loads('x')": {"outcome": "failed", "line": 2},
        "raise KeyboardInterrupt": {"outcome": "failed", "error": "KeyboardInterrupt", "line": 1},
        "\n\nraise Fails": {"outcome": "failed", "error": "Fails", "line": 3},
        "def f(): f()\nf()": {"outcome": "failed", "line": 1},
        "assert __name__ == '__main__'": {"outcome": "done"},
        "import random, random\nassert random.random() != random.random()": {"outcome": "done"},
    }
    for code, wanted in expected.items():
        with monkeypatch.context() as patch:
            for stream in ("stdout", "stderr"):
                patch.setattr(sys, stream, getattr(sys, stream))
            text = code.replace("Fails", "type('Fails', (Exception,), {'__str__': lambda self: 1 / 0})")
            found = run(FakeChannel(), {**BEGIN, "code": text}, Stopping())  # type: ignore[arg-type]
        assert {key: found.get(key) for key in wanted} == wanted, code
    assert Fails.__name__ == "Fails"
    assert CallError("a").code == "error"
