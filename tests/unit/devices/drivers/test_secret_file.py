import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers.secret_file import read_secret


def test_one_line(tmp_path):
    (tmp_path / "a").write_text("pass word\n")
    assert read_secret(str(tmp_path / "a")) == "pass word"
    assert read_secret(None) == ""


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 5000])
def test_what_is_no_secret(tmp_path, content):
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnavailableError) as caught:
        read_secret(str(tmp_path / "a"))
    assert "xx" not in caught.value.message
