import pytest

from tests.parts.armed import SLEEPING, child
from wayhouse.cli.ps import HEADS, branches
from wayhouse.runtime.sight.trace_box import FOLDER


@pytest.fixture
def stuck(bare, tmp_path, monkeypatch):
    """A gateway's processes without a daemon that answers."""
    monkeypatch.setenv("WAYHOUSE_DATA", str(tmp_path))
    traces = tmp_path / "run" / FOLDER
    with (
        child(traces, SLEEPING, name="gateway", role="gateway") as gateway,
        child(traces, SLEEPING, name="hello-main", role="shim"),
    ):
        yield gateway


def test_a_row_for_each_process(bare, stuck):
    told = bare("ps")
    assert told.code == 0
    heads, gateway, shim = told.out.splitlines()
    assert tuple(heads.split()) == HEADS
    assert gateway.split()[:3] == ["gateway", str(stuck), "no"]
    assert shim.startswith("hello-main (shim)")
    assert "does not answer" in told.err


def test_for_programs(bare, stuck):
    told = bare("ps", "--json")
    assert told.err == ""
    assert told.json["gateway_answers"] is False
    row = told.json["processes"][0]
    assert (row["pid"], row["role"], row["ready"]) == (stuck, "gateway", False)
    assert row["rss_bytes"] > 0


def test_nobody_there(bare, tmp_path):
    told = bare("ps", "--data", tmp_path)
    assert (told.code, told.out) == (3, "")
    assert "wayhouse up" in told.err


def test_only_here(bare):
    told = bare("ps", "--gateway", "http://192.168.1.1:8080")
    assert told.code == 2
    assert "own machine" in told.err


def test_a_tree_is_drawn_or_indented():
    depths = [0, 1, 2, 2, 1, 2, 0, 1]
    assert branches(depths, drawn=True) == ["", "├─ ", "│  ├─ ", "│  └─ ", "└─ ", "   └─ ", "", "└─ "]
    assert branches(depths, drawn=False) == ["", "  ", "    ", "    ", "  ", "    ", "", "  "]
    assert branches([], drawn=True) == []
