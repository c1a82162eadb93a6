from __future__ import annotations

import os
from pathlib import Path

import pytest

from wayhouse.base.errors import OutsideError, UnavailableError
from wayhouse.overlay.drivers import nftables
from wayhouse.overlay.drivers.nftables import FakeFirewall, Nftables
from wayhouse.overlay.ruleset import compile_rules, removal


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named nft that does `text`."""
    path = folder / "nft"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


async def test_the_text_is_given_to_nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, f'echo "$@" > {tmp_path}/args; cat > {tmp_path}/text', monkeypatch)
    await Nftables().apply(removal("wh0"))
    assert (tmp_path / "args").read_text() == "-f -\n"
    assert (tmp_path / "text").read_text() == removal("wh0")


async def test_refusals_have_nfts_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "cat > /dev/null; echo 'syntax error, unexpected tea' >&2; exit 1", monkeypatch)
    with pytest.raises(OutsideError, match="unexpected tea"):
        await Nftables().apply("tea\n")


async def test_what_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nftables, "TIMEOUT_S", 0.05)
    program(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(OutsideError, match="did not end"):
        await Nftables().apply("\n")


async def test_without_nft_there_is_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="install the package nftables"):
        await Nftables().apply("\n")


async def test_the_fake_remembers_what_is_in_force() -> None:
    fake = FakeFirewall()
    await fake.apply(compile_rules("wh0", ()))
    await fake.apply(compile_rules("wh1", ()))
    await fake.apply(removal("wh0"))
    assert list(fake.tables) == ["wayhouse_wh1"]
    fake.refusal = "no"
    with pytest.raises(OutsideError):
        await fake.apply(removal("wh1"))
