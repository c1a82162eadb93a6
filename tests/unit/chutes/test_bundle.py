# covers: chutes/archive.py
"""Archives from strangers: what is taken, what is refused, and that nothing is ever written outside."""

import gzip
import io
import os
import random
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import PermanentError
from wayhouse.chutes.bundle import (
    NO_SPEC,
    ArchiveLimits,
    check_tree,
    clear,
    find_bundle,
    read_spec,
    unpack,
)
from wayhouse.chutes.model import BadArchiveError, BadSpecError, Health, Web

LIMITS = ArchiveLimits(archive_bytes=2**20, unpacked_bytes=2**22, file_bytes=2**20, members=200)
SPEC = b"name: app\n"


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, target, mode, len(data)
    return info, data


def tar(*members, layout: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Place:
    """A directory to unpack into, with a neighbour that must stay as it is."""

    def __init__(self, base: Path) -> None:
        self.archive = base / "archive"
        self.into = base / "place" / "into"
        self.outside = base / "place" / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "secret").write_text("secret")

    def unpack(self, data: bytes, limits: ArchiveLimits = LIMITS) -> None:
        self.archive.write_bytes(data)
        unpack(self.archive, self.into, limits)

    def refuses(self, data: bytes, text: str | None = None, limits: ArchiveLimits = LIMITS) -> str:
        with pytest.raises(BadArchiveError, match=text) as caught:
            self.unpack(data, limits)
        self.check_untouched()
        assert not self.into.exists() or list(self.into.iterdir()) == []
        return caught.value.message

    def check_untouched(self) -> None:
        assert sorted(path.name for path in self.outside.iterdir()) == ["secret"]
        assert (self.outside / "secret").read_text() == "secret"
        assert sorted(path.name for path in self.outside.parent.iterdir()) in (
            ["into", "outside"],
            ["outside"],
        )

    def tree(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.into)): path.read_text()
            for path in self.into.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


PACKERS: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    zstandard.ZstdCompressor().compress,
    lambda data: (
        zstandard.ZstdCompressor().compress(data[:700]) + zstandard.ZstdCompressor().compress(data[700:])
    ),
]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_packings(place: Place, pack: Callable[[bytes], bytes], layout: int) -> None:
    long = "d" * 90 + "/" + "f" * 120
    data = tar(
        member("./", kind=tarfile.DIRTYPE),
        member("./paradrop.yaml", SPEC),
        member("src/run", b"#!/bin/sh\n", mode=0o6777),
        member("src/../top", b"top"),
        member("big", b"x" * 600_000),
        *([member(long, b"long"), member("ümläut", b"u")] if layout != tarfile.USTAR_FORMAT else []),
        layout=layout,
    )
    place.unpack(pack(data))
    tree = place.tree()
    assert tree["paradrop.yaml"] == "name: app\n"
    assert tree["top"] == "top"
    assert len(tree["big"]) == 600_000
    if layout != tarfile.USTAR_FORMAT:
        assert tree[long] == "long"
        assert tree["ümläut"] == "u"
    assert read_spec(place.into).name == "app"


def test_rights_and_owners_are_ours(place: Place) -> None:
    info, data = member("run", b"x", mode=0o7777)
    info.uid = info.gid = 4711
    place.unpack(
        tar((info, data), member("plain", b"x", mode=0o4600), member("dir", kind=tarfile.DIRTYPE, mode=0))
    )
    status = (place.into / "run").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o755, os.getuid())
    assert stat.S_IMODE((place.into / "plain").stat().st_mode) == 0o644
    assert stat.S_IMODE((place.into / "dir").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "..", "a/b/../../../x", "x\ny"])
def test_names_that_lead_out(place: Place, name: str) -> None:
    message = place.refuses(tar(member("ok", b"1"), member(name, b"x")))
    assert message.startswith("Tarfile contains unsafe paths: ")


def test_links_inside_are_made(place: Place) -> None:
    place.unpack(
        tar(
            member("bin/app", kind=tarfile.SYMTYPE, target="../lib/app.js"),
            member("lib/app.js", b"js"),
            member("copy", kind=tarfile.LNKTYPE, target="./lib/app.js"),
            member("later", kind=tarfile.SYMTYPE, target="nowhere"),
        )
    )
    assert (place.into / "bin/app").read_text() == "js"
    assert (place.into / "copy").samefile(place.into / "lib/app.js")
    assert (place.into / "later").is_symlink()


@pytest.mark.parametrize(
    "members",
    [
        [member("x", kind=tarfile.SYMTYPE, target="/etc/passwd")],
        [member("x", kind=tarfile.SYMTYPE, target="../outside/secret")],
        [
            member("a/b", kind=tarfile.SYMTYPE, target=".."),
            member("x", kind=tarfile.SYMTYPE, target="a/b/../../x"),
        ],
        [member("x", kind=tarfile.SYMTYPE, target="../outside"), member("x/new", b"1")],
        [member("x", kind=tarfile.SYMTYPE, target="."), member("x/../../new", b"1")],
        [member("x", kind=tarfile.SYMTYPE, target="dir"), member("x/new", b"1")],
        [member("x/new", b"1"), member("x", kind=tarfile.SYMTYPE, target="dir")],
        [member("x", kind=tarfile.SYMTYPE, target="a"), member("x", kind=tarfile.DIRTYPE)],
        [member("x", kind=tarfile.LNKTYPE, target="../outside/secret")],
        [member("x", kind=tarfile.LNKTYPE, target="/etc/passwd")],
        [member("x", kind=tarfile.LNKTYPE, target="missing")],
        [member("l", kind=tarfile.SYMTYPE, target="a"), member("x", kind=tarfile.LNKTYPE, target="l")],
        [member("a", b"1"), member("a/b", b"2")],
        [member("x", kind=tarfile.CHRTYPE)],
        [member("x", kind=tarfile.BLKTYPE)],
        [member("x", kind=tarfile.FIFOTYPE)],
        [member("x", kind=tarfile.GNUTYPE_SPARSE)],
        [member("x", kind=b"Z")],
        [member(".", b"1")],
        [member("/".join("a" * 70), b"1")],
        [member("x" * 300, b"1")],
        [member("/".join(["x" * 200] * 6), b"1")],
        [member("x", kind=tarfile.SYMTYPE, target="y/" * 1000)],
    ],
)
def test_tricks_are_refused(place: Place, members) -> None:
    place.refuses(tar(member("dir/file", b"1"), *members))


def test_a_later_entry_replaces_an_earlier_one(place: Place) -> None:
    place.unpack(
        tar(
            member("a", b"old and longer"),
            member("hard", kind=tarfile.LNKTYPE, target="a"),
            member("a", b"new"),
            member("l", kind=tarfile.SYMTYPE, target="a"),
            member("l", b"no link any more"),
            member("f", b"file"),
            member("f", kind=tarfile.SYMTYPE, target="a"),
        )
    )
    assert place.tree() == {"a": "new", "hard": "old and longer", "l": "no link any more", "f": "new"}


def test_existing_links_of_the_host_are_never_written_through(place: Place) -> None:
    place.into.mkdir()
    (place.into / "x").symlink_to(place.outside / "secret")
    with pytest.raises(PermanentError):
        place.unpack(tar(member("x", b"overwritten")))
    place.check_untouched()


GOOD = tar(member("paradrop.yaml", SPEC), member("a", b"x" * 3000), member("b", b"y"))


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 513, 1024, 1536, 3000, 5120])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_archives_that_are_cut_off(place: Place, cut: int, pack: Callable[[bytes], bytes]) -> None:
    place.refuses(pack(GOOD[:cut]))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
def test_packed_archives_that_are_damaged(place: Place, pack: Callable[[bytes], bytes]) -> None:
    data = pack(GOOD)
    place.refuses(data[:-6])
    place.refuses(data[: len(data) // 2])
    place.refuses(data[:-6] + bytes([data[-6] ^ 0xFF]) + data[-5:])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "cut off"),
        (b"name: app\n" * 200, "not a tar archive"),
        (b"PK\x03\x04" + b"\0" * 2000, "packed with zip"),
        (b"\xfd7zXZ\0" + b"\0" * 2000, "packed with xz"),
        (b"BZh9" + b"\0" * 2000, "packed with bzip2"),
    ],
)
def test_what_is_no_archive(place: Place, data: bytes, text: str) -> None:
    place.refuses(data, text)


def test_limits(place: Place) -> None:
    place.refuses(os.urandom(2**20 + 1), "larger than")
    place.refuses(gzip.compress(tar(member("x", bytes(2**20 + 1)))), "larger than")
    place.refuses(gzip.compress(tar(*[member(str(n), bytes(2**20)) for n in range(5)])), "unpacks to more")
    place.refuses(gzip.compress(tar(*[member(str(n)) for n in range(201)])), "more than 200 entries")
    place.refuses(
        gzip.compress(tar(*[member(f"{n}/" + "/".join("a" * 50), b"") for n in range(5)])), "more than 200"
    )


@pytest.mark.parametrize("pack", PACKERS[1:3])
def test_bombs_stop_early(place: Place, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(64 * 2**20))
    assert len(bomb) < LIMITS.archive_bytes
    place.refuses(GOOD[:0] + pack(tar(member("x", b"1"))[:1024] + bytes(64 * 2**20)), "unpacks to more")
    place.refuses(bomb)


def test_large_headers_are_not_read_into_memory(place: Place) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**33 - 1
    place.refuses(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2000), "header of more than")
    info.type = tarfile.GNUTYPE_LONGNAME
    place.refuses(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2000), "header of more than")


def pax(records: bytes) -> bytes:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    return info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)


@pytest.mark.parametrize(
    "records",
    [
        b"99 path=x\n",
        b"10 path=xyzzzz\n",
        b"0 path=x\n",
        b"path=x\n",
        b"9" * 20_000,
        b"-5 a=b\n",
        b"12 path=../x\n",
        b"11 path=\xff\xfe\n",
        b"19 GNU.sparse.major=1\n",
        b"30 GNU.sparse.name=aaaaaaaaaa\n"[:30],
        b"11 size=-1\n",
        b"17 size=99999999\n",
        b"12 path=a\0b\n",
    ],
)
def test_odd_pax_records(place: Place, records: bytes) -> None:
    place.refuses(pax(records) + tar(member("x", b"")))


def test_a_header_without_its_member(place: Place) -> None:
    place.refuses(pax(b"10 path=x\n") + bytes(1024))


@given(data=st.binary(max_size=3000), prefix=st.sampled_from([b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, prefix: bytes) -> None:
    attempt(tmp_path_factory, prefix + data)


NAMES = st.sampled_from(
    [
        "a",
        "a/b",
        "a/b/c",
        "../x",
        "/x",
        "a/..",
        "l",
        "l/x",
        "../outside/secret",
        ".",
        "",
        "m",
        "m/../x",
        "ä",
        "a\x01",
    ]
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
)


@given(
    st.lists(st.tuples(NAMES, KINDS, NAMES, st.binary(max_size=20)), max_size=8),
    st.integers(0, 2**32),
    st.sampled_from([0, 0, 1, 5]),
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_members(tmp_path_factory: pytest.TempPathFactory, entries, seed: int, damage: int) -> None:
    files = {tarfile.REGTYPE}
    data = bytearray(
        tar(*[member(name, body if kind in files else b"", kind, to) for name, kind, to, body in entries])
    )
    dice = random.Random(seed)
    for _ in range(damage):
        data[dice.randrange(min(len(data), 4096))] = dice.randrange(256)
    attempt(tmp_path_factory, bytes(data))


def attempt(factory: pytest.TempPathFactory, data: bytes) -> None:
    place = Place(factory.mktemp("unpack"))
    try:
        place.unpack(data)
    except BadArchiveError:
        assert list(place.into.iterdir()) == []
    else:
        for path in place.into.rglob("*"):
            assert path.resolve().is_relative_to(place.into)
    place.check_untouched()


# --- finding the specification --------------------------------------------------------------------------------------


def test_names_of_the_specification(tmp_path: Path) -> None:
    (tmp_path / "wayhouse.yaml").write_text("name: new")
    assert read_spec(tmp_path).name == "new"
    (tmp_path / "paradrop.yaml").write_text("name: old")
    assert read_spec(tmp_path).name == "old"


def test_the_example() -> None:
    spec = read_spec(Path(__file__).parents[3] / "examples" / "hello")
    assert (spec.name, spec.web, spec.warnings) == ("hello", Web("main", 8000), ())
    assert spec.services["main"].health == Health(http="/health")


def test_the_file_of_2015(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: app\ndockerfile: {local: Dockerfile}\n")
    assert read_spec(tmp_path).name == "app"


@pytest.mark.parametrize("text", ["name: app\n", "[1", "", "- dockerfile"])
def test_other_files_of_that_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(BadArchiveError, match=NO_SPEC):
        read_spec(tmp_path)


def test_no_specification(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "paradrop.yaml").write_text("name: app")
    (tmp_path / "paradrop.yaml").mkdir()
    (tmp_path / "wayhouse.yaml").symlink_to("wayhouse.yaml")
    with pytest.raises(BadArchiveError, match=NO_SPEC):
        read_spec(tmp_path)


def test_a_specification_that_lies_elsewhere_or_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("name: secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "paradrop.yaml").symlink_to("../secret")
    with pytest.raises(BadArchiveError, match=NO_SPEC):
        read_spec(inside)
    (inside / "wayhouse.yaml").write_text("name: app\n" + "#" * 300_000)
    with pytest.raises(BadSpecError, match="256 KiB"):
        read_spec(inside)


def write(base: Path, *names: str) -> Path:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("x")
    return base


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["paradrop.yaml"], "."),
        (["repo-1/paradrop.yaml", "repo-1/docker/Dockerfile"], "repo-1"),
        (["repo/wayhouse.yaml"], "repo"),
        (["repo/x/Dockerfile", "repo/README"], "repo/x"),
        (["repo/a/paradrop.yaml", "repo/b/paradrop.yaml", "repo/b/c/paradrop.yaml"], "repo/b"),
        (["repo/Dockerfile", "repo/a/paradrop.yaml"], "repo/a"),
    ],
)
def test_where_the_bundle_is(tmp_path: Path, names: list[str], wanted: str) -> None:
    assert find_bundle(write(tmp_path, *names)) == tmp_path / wanted


def test_a_download_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BadArchiveError):
        find_bundle(write(tmp_path, "README"))


def test_trees_that_others_wrote(tmp_path: Path) -> None:
    tree = write(tmp_path / "tree", "a/b", "c")
    (tree / "link").symlink_to("a/b")
    check_tree(tree, LIMITS)
    with pytest.raises(BadArchiveError):
        check_tree(tree, ArchiveLimits(members=2))
    (tree / "out").symlink_to("/etc/passwd")
    with pytest.raises(BadArchiveError, match="unsafe paths"):
        check_tree(tree, LIMITS)
    (tree / "out").unlink()
    os.mkfifo(tree / "pipe")
    with pytest.raises(BadArchiveError, match="pipe"):
        check_tree(tree, LIMITS)
    clear(tree)
    assert list(tree.iterdir()) == []
