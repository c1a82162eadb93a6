"""The examples that ship are found, and are what an upload wants."""

from __future__ import annotations

from pathlib import Path

from wayhouse.chutes import bundle, examples


def test_every_example_is_a_chute(tmp_path: Path) -> None:
    found = examples.folders()
    assert "hello" in found
    for name, folder in found.items():
        packed = tmp_path / f"{name}.tar"
        packed.write_bytes(examples.archive(folder))
        bundle.unpack(packed, tmp_path / name, bundle.ArchiveLimits())
        wanted = bundle.read_spec(tmp_path / name)
        assert wanted.name == name
        assert not wanted.warnings


async def test_chunks_are_the_archive() -> None:
    folder = examples.folders()["hello"]
    assert b"".join([chunk async for chunk in examples.chunks(folder)]) == examples.archive(folder)
