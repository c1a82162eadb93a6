import contextlib
import io
import os
import stat
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.chutes import bundle
from wayhouse.cli.packing import find_spec, pack, repack

SPEC = b"name: hello\n"


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (folder / "paradrop.yaml").write_bytes(SPEC)
    (folder / "sub" / "run.sh").write_bytes(b"x" * 1000)
    (folder / "sub" / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("sub/run.sh")
    (folder / ("ü" * 60)).write_text("long")
    (folder / "notes.log").write_text("no")
    (folder / ".dockerignore").write_text("*.log\n")
    os.mkfifo(folder / "pipe")
    return folder


def _open(pieces):
    return tarfile.open(fileobj=io.BytesIO(b"".join(pieces)))


def test_what_is_in_it(app):
    with _open(pack(app)) as tar:
        assert tar.getnames() == [
            ".dockerignore",
            "link",
            "paradrop.yaml",
            "sub",
            "sub/empty",
            "sub/run.sh",
            "ü" * 60,
        ]
        run = tar.getmember("sub/run.sh")
        assert (stat.S_IMODE(run.mode), run.uid, run.uname) == (0o755, 0, "")
        assert tar.extractfile(run).read() == b"x" * 1000
        assert tar.getmember("link").linkname == "sub/run.sh"


def test_the_gateway_can_unpack_it(app, tmp_path):
    (tmp_path / "app.tar").write_bytes(b"".join(pack(app)))
    bundle.unpack(tmp_path / "app.tar", tmp_path / "out", bundle.ArchiveLimits())
    assert (tmp_path / "out" / "paradrop.yaml").read_bytes() == SPEC
    assert (tmp_path / "out" / "link").read_bytes() == b"x" * 1000


def test_the_specification_may_change_on_the_way(app):
    with _open(pack(app, lambda text: text + b"more: of it\n")) as tar:
        assert tar.extractfile("paradrop.yaml").read() == SPEC + b"more: of it\n"
    assert (app / "paradrop.yaml").read_bytes() == SPEC
    with _open(repack(io.BytesIO(b"".join(pack(app))), lambda _: b"new")) as tar:
        assert tar.extractfile("paradrop.yaml").read() == b"new"
        assert tar.extractfile("sub/run.sh").read() == b"x" * 1000
        assert len(tar.getnames()) == 7


def test_pieces_are_small(app):
    (app / "large").write_bytes(bytes(3 * 1024 * 1024))
    assert max(len(piece) for piece in pack(app)) <= 256 * 1024


def test_a_file_that_shrinks_is_an_error_and_one_that_grows_is_cut(app):
    large = app / "large"
    large.write_bytes(bytes(1024 * 1024))
    pieces = pack(app)
    for piece in pieces:
        if b"large" in piece:
            os.truncate(large, 10)
            break
    with pytest.raises(BadInputError, match="shorter"):
        list(pieces)


def test_the_specification_of_an_archive_is_found(app):
    assert find_spec(io.BytesIO(b"".join(pack(app)))) == SPEC
    (app / "paradrop.yaml").unlink()
    assert find_spec(io.BytesIO(b"".join(pack(app)))) is None


@given(st.binary(max_size=2000))
def test_no_bytes_break_it(data):
    with contextlib.suppress(BadInputError):
        find_spec(io.BytesIO(data))
    with contextlib.suppress(BadInputError):
        list(repack(io.BytesIO(data), bytes))


def test_damage_is_said(app):
    whole = b"".join(pack(app))
    with pytest.raises(BadInputError):
        list(repack(io.BytesIO(whole[:2200]), bytes))
