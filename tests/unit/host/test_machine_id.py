import contextlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError, PermanentError
from wayhouse.host.machine_id import NodeId


def test_empty_until_provisioned_and_kept(tmp_path):
    path = tmp_path / "config" / "node-id"
    node = NodeId(path)
    assert node.current() == ""
    node.change("5a1b2c3d4e5f")
    assert node.current() == "5a1b2c3d4e5f"
    assert NodeId(path).current() == "5a1b2c3d4e5f"
    node.change("")
    assert NodeId(path).current() == ""
    assert os.listdir(path.parent) == ["node-id"]


@pytest.mark.parametrize("bad", ["a b", "a\nb", "../x", "-x", "x" * 129, "é"])
def test_what_is_no_id_changes_nothing(tmp_path, bad):
    node = NodeId(tmp_path / "node-id")
    node.change("good")
    with pytest.raises(BadInputError):
        node.change(bad)
    assert NodeId(tmp_path / "node-id").current() == "good"


def test_a_damaged_file_says_what_to_do(tmp_path):
    (tmp_path / "node-id").write_bytes(b"\xff\xfe")
    with pytest.raises(PermanentError, match="provision"):
        NodeId(tmp_path / "node-id")
    with pytest.raises(PermanentError):
        NodeId(tmp_path)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_content_crashes_it(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any-node-id"
    path.write_bytes(data)
    with contextlib.suppress(PermanentError):
        assert isinstance(NodeId(path).current(), str)
