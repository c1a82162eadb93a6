import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.cli.ignore import Rules


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("*.log", ["a.log"], ["dir/a.log", "a.log.txt"]),
        ("**/*.log", ["a.log", "dir/a.log", "a/b/c.log"], ["log"]),
        ("node_modules", ["node_modules", "node_modules/x/y"], ["a/node_modules"]),
        ("/build/", ["build", "build/x"], ["a/build"]),
        ("./build", ["build/x"], ["buildx"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["z"]),
        ("?.txt", ["a.txt"], ["ab.txt", "/.txt"]),
        ("[a-c].txt", ["b.txt"], ["d.txt"]),
        ("[^a].txt", ["b.txt"], ["a.txt"]),
        (r"\*.txt", ["*.txt"], ["a.txt"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_dockers_patterns(rule, inside, outside):
    rules = Rules([rule])
    assert all(rules.leaves_out(name) for name in inside)
    assert not any(rules.leaves_out(name) for name in outside)


def test_the_last_rule_decides():
    rules = Rules(["# all text", "", "*.txt", "!keep.txt"])
    assert rules.leaves_out("a.txt")
    assert not rules.leaves_out("keep.txt")
    rules = Rules(["docs", "!docs/keep"])
    assert rules.leaves_out("docs/other")
    assert not rules.leaves_out("docs/keep")
    assert not rules.leaves_out_all_below("docs")
    assert Rules(["docs"]).leaves_out_all_below("docs")


def test_git_never_goes_and_the_specification_always():
    rules = Rules(["*"])
    assert Rules().leaves_out(".git/config")
    assert Rules().leaves_out_all_below(".git")
    assert not Rules().leaves_out(".gitignore")
    assert not rules.leaves_out("paradrop.yaml")
    assert not rules.leaves_out("Dockerfile")
    assert rules.leaves_out("main.py")


@given(
    st.lists(st.text(alphabet="ab*?[]^!/.\\-x", max_size=12), max_size=4),
    st.text(alphabet="ab/.", max_size=12),
)
def test_no_rule_breaks_it(lines, name):
    rules = Rules(lines)
    rules.leaves_out(name)
    rules.leaves_out_all_below(name)


@pytest.mark.parametrize("rule", ["[a--]", "[--]", "[+--]", "[!a--b]", "[---]"])
def test_hyphens_in_sets_break_nothing(rule):
    Rules([rule]).leaves_out("-")


def test_a_range_that_begins_with_a_hyphen():
    assert Rules(["[+--]x"]).leaves_out("-x")
