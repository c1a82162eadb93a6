"""Programs that answer, fail, hang, or are not there."""

from __future__ import annotations

from pathlib import Path

from wayhouse.automation.drivers.programs import Programs


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


async def test_an_answer_in_plain_english(tmp_path):
    program(tmp_path, "say", 'echo "$1 $LC_ALL"; echo loud >&2; exit 3')
    ran = await Programs(f"{tmp_path}:/bin").run("say", "hello")
    assert ran is not None
    assert (ran.code, ran.out, ran.err, ran.is_done) == (3, "hello C\n", "loud\n", False)


async def test_what_is_not_there_or_cannot_be_run_is_none(tmp_path):
    file = tmp_path / "odd"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    assert await Programs(str(tmp_path)).run("nothing") is None
    assert await Programs(str(tmp_path)).run("odd") is None
    assert Programs(str(tmp_path)).where("odd") == str(file)


async def test_what_hangs_is_ended(tmp_path):
    program(tmp_path, "hang", "exec sleep 60")
    ran = await Programs(f"{tmp_path}:/bin:/usr/bin", timeout_s=0.2).run("hang")
    assert ran is not None
    assert ran.code is None
    assert "no answer" in ran.err
