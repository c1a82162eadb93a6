from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay.kept_addresses import KeptAddresses


def test_they_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    kept = KeptAddresses(path)
    assert (kept.own, kept.given) == ("", {})
    kept.keep(own="10.0.0.7")
    kept.keep(given={"a" * 40: "172.31.0.101"})
    again = KeptAddresses(path)
    assert (again.own, again.given) == ("10.0.0.7", {"a" * 40: "172.31.0.101"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["addresses.json"]


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    kept = KeptAddresses(path)
    kept.keep(own="10.0.0.7")
    path.unlink()
    kept.keep(own="10.0.0.7")
    assert not path.exists()


def test_a_disk_that_takes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "away").write_text("no folder")
    kept = KeptAddresses(tmp_path / "away" / "addresses.json")
    kept.keep(own="10.0.0.7")
    assert "are not on disk" in caplog.text
    assert kept.own == "10.0.0.7"


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_a_damaged_file_counts_as_empty(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("kept") / "addresses.json"
    path.write_bytes(data)
    kept = KeptAddresses(path)
    assert kept.own == "" or isinstance(kept.own, str)
    kept.keep(own="10.0.0.7")
    assert KeptAddresses(path).own == "10.0.0.7"
