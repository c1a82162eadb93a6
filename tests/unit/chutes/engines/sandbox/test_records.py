"""Records of containers: found again, put right, never half there."""

# covers: chutes/engines/sandbox/shim/identity.py

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wayhouse.chutes.engines.sandbox.records import Records, read_json, write_json
from wayhouse.chutes.engines.sandbox.shim import identity
from wayhouse.chutes.ports import ContainerSpec

SPEC = ContainerSpec(name="a-main", chute="a", service="main", image="a:1", change_id=1, command=("x", "y"))


def test_add_find_rename_remove(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = records.add(SPEC, "image")
    assert records.find("a-main") == record
    assert records.state(record).state == "created"
    records.rename(record, "b")
    assert records.find("a-main") is None
    renamed = records.find("b")
    assert renamed is not None
    assert renamed.spec.command == ("x", "y")
    records.remove(renamed)
    assert records.all() == []
    assert list(tmp_path.iterdir()) == []


def test_a_living_shim_is_believed(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = records.add(SPEC, "image")
    state = {**identity.identify(os.getpid()), "state": "running", "restarts": 3, "started": 5.5}
    write_json(records.directory(record) / "state.json", state)
    seen = records.state(record)
    assert (seen.state, seen.restarts, seen.started) == ("running", 3, 5.5)
    whole = records.seen(record)
    assert (whole.state, whole.shim, whole.pid) == (seen, os.getpid(), None)
    write_json(records.directory(record) / "state.json", {**state, "first": 77})
    assert (records.seen(record).shim, records.seen(record).pid) == (os.getpid(), 77)
    write_json(records.directory(record) / "state.json", {**state, "state": "exited"})
    assert (records.seen(record).shim, records.seen(record).pid) == (None, None)


@pytest.mark.parametrize(
    "lie", [{"pid": 2**22 + 1}, {"ticks": 1}, {"boot": "another"}, {"pid": None}, {"pid": "1"}]
)
def test_a_reused_pid_is_not(tmp_path: Path, lie: dict[str, object]) -> None:
    records = Records(tmp_path)
    record = records.add(SPEC, "image")
    write_json(
        records.directory(record) / "state.json",
        {**identity.identify(os.getpid()), "state": "running", **lie},
    )
    assert records.state(record).state == "exited"
    assert records.state(record).exit_code == 137


def test_half_made_ones_are_swept(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = records.add(SPEC, "image")
    (tmp_path / "half").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{")
    assert records.all() == [record]
    records.sweep()
    assert not (tmp_path / "half").exists()


def test_reading_what_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[1]")
    assert read_json(tmp_path / "x") is None
    assert read_json(tmp_path / "none") is None


def test_identity() -> None:
    known = identity.identify(os.getpid())
    assert identity.is_same(known)
    assert identity.start_ticks(2**22 + 1) is None
