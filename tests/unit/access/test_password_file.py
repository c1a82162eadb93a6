import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.access import password_file
from wayhouse.base.errors import BadInputError


def test_lines_of_user_and_hash():
    text = "paradrop:$6$abc$def\n\n  alice:$6$x$y  \n"
    assert password_file.parse(text) == [("paradrop", "$6$abc$def"), ("alice", "$6$x$y")]


@pytest.mark.parametrize("text", ["paradrop", "ok:hash\n:hash", "ok:hash\nuser:"])
def test_a_faulty_line_is_named_and_not_shown(text):
    with pytest.raises(BadInputError, match=r"Line [12]") as caught:
        password_file.parse(text)
    assert "hash`" not in caught.value.message.replace("`user:hash`", "")


def test_a_huge_file_is_refused():
    with pytest.raises(BadInputError, match="1 MiB"):
        password_file.parse("a:b\n" * 1_000_000)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_text_crashes_it(text):
    with contextlib.suppress(BadInputError):
        password_file.parse(text)
