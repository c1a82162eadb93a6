import pytest

from wayhouse.chutes import links
from wayhouse.chutes.model import BadArchiveError


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"a": "b"},
        {"a/b": "../c"},
        {"a/b/c": "../../d/./e"},
        {"a": "x/../y"},
        {"a": "nowhere/at/all"},
        {"a": "b", "b": "c", "c": "d"},
        {"lib": "lib64", "bin": "lib/../usr"},
        {"a": "."},
        {f"bin/{number}": f"../lib/{number}.js" for number in range(2000)},
    ],
)
def test_links_that_stay(tree: dict[str, str]) -> None:
    links.check(tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"a": "/etc/passwd"},
        {"a": ".."},
        {"a": "../x"},
        {"a/b": "../../x"},
        {"a": "b/../../x"},
        {"a": ""},
        {"a": "x\0y"},
        {"a": "a"},
        {"a": "b", "b": "a"},
        {"a": "a/a"},
        {"d/e/up": "../..", "x": "d/e/up/../y"},
        {"d/e/f": "../..", "g": "d/e/f/.."},
        {f"l{number}": f"l{number + 1}/../l{number + 1}" for number in range(100)},
    ],
)
def test_links_that_lead_out_or_nowhere(tree: dict[str, str]) -> None:
    with pytest.raises(BadArchiveError, match="unsafe paths"):
        links.check(tree)
