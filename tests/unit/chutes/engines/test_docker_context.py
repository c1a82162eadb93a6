"""The tar stream is what `tarfile` reads, whatever the files are called."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.chutes.engines.docker_context import INJECTED_DOCKERFILE, tar_stream


async def read(context: Path, dockerfile: str | None) -> tarfile.TarFile:
    data = b"".join([part async for part in tar_stream(context, dockerfile)])
    return tarfile.open(fileobj=io.BytesIO(data))


async def test_files_directories_and_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "tool").write_bytes(b"#!/bin/sh\n" * 100_000)
    (tmp_path / "sub" / "tool").chmod(0o755)
    (tmp_path / "link").symlink_to("sub/tool")
    (tmp_path / "away").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    tar = await read(tmp_path, "FROM scratch\n")
    assert set(tar.getnames()) == {"sub", "sub/tool", "link", "away", INJECTED_DOCKERFILE}
    tool = tar.getmember("sub/tool")
    assert (tool.mode, tool.size, tool.uid) == (0o755, 1_000_000, 0)
    assert tar.getmember("away").linkname == "/etc"
    file = tar.extractfile(INJECTED_DOCKERFILE)
    assert file is not None
    assert file.read() == b"FROM scratch\n"


async def test_an_empty_directory_without_a_dockerfile(tmp_path: Path) -> None:
    assert (await read(tmp_path, None)).getnames() == []


names = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=60
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        names.filter(lambda name: name not in {".", ".."}), st.binary(max_size=1500), max_size=4
    )
)
async def test_any_name_and_content(tmp_path_factory: object, files: dict[str, bytes]) -> None:
    base: Path = tmp_path_factory.mktemp("context")  # type: ignore[attr-defined]
    kept = {name: data for name, data in files.items() if len(name.encode()) < 200}
    for name, data in kept.items():
        (base / name).write_bytes(data)
    tar = await read(base, None)
    found = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    assert found == kept
