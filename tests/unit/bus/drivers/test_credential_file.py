from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from wayhouse.base.errors import BadInputError
from wayhouse.bus.drivers.credential_file import LOOK_S, CredentialFile

PUBLIC = zmq.curve_keypair()[0].decode()
ANN: dict[str, Mapping[str, str]] = {"plain": {"ann": "secret"}}


class Door:
    """A file of credentials, and how often somebody was turned out."""

    def __init__(self, folder: Path, known: Mapping[str, Mapping[str, str]]) -> None:
        self.path = folder / "known"
        self.turned_out = 0
        self.write(known)
        self.file = CredentialFile(self.path, 0.0, on_removed=self._count)

    def write(self, known: Mapping[str, Mapping[str, str]] | str, mode: int = 0o600) -> None:
        draft = self.path.with_name("draft")
        draft.write_text(known if isinstance(known, str) else json.dumps(known))
        draft.chmod(mode)
        draft.rename(self.path)

    def _count(self) -> None:
        self.turned_out += 1


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, ANN)


def test_whoever_is_added_is_let_in_at_once(door: Door) -> None:
    assert door.file.curve(z85.decode(PUBLIC)) is None
    door.write({**ANN, "curve": {PUBLIC: "bob"}})
    assert door.file.curve(z85.decode(PUBLIC)) == "bob"
    assert door.file.plain("ann", "secret") == "ann"
    assert door.turned_out == 0


def test_a_password_may_be_kept_as_its_sha256(door: Door) -> None:
    door.write({"plain_sha256": {"ann": hashlib.sha256(b"long").hexdigest()}, "plain": {"bob": "b"}})
    assert door.file.plain("ann", "long") == "ann"
    assert door.file.plain("ann", hashlib.sha256(b"long").hexdigest()) is None
    assert [door.file.plain("bob", one) for one in ("b", "", "long")] == ["bob", None, None]
    assert door.file.plain("eve", "") is None


@pytest.mark.parametrize(
    "after",
    [{}, {"plain": {"ann": "changed"}}, {"plain_sha256": {"ann": "ab" * 32}}, {"curve": {PUBLIC: "ann"}}],
)
def test_whoever_is_removed_is_turned_out_at_the_next_look(
    door: Door, after: Mapping[str, Mapping[str, str]]
) -> None:
    assert door.file.deadline() == LOOK_S
    door.file.tick(LOOK_S)
    assert door.turned_out == 0
    door.write(after)
    door.file.tick(2 * LOOK_S)
    assert (door.turned_out, door.file.deadline()) == (1, 3 * LOOK_S)
    assert door.file.plain("ann", "secret") is None
    door.file.tick(3 * LOOK_S)
    assert door.turned_out == 1


def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_once(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    for content, mode in (("{", 0o600), ('{"curve": {"bad": "x"}}', 0o600), ("{}", 0o644)):
        caplog.clear()
        door.write(content, mode)
        for now in (1.0, 2.0, 3.0):
            door.file.tick(now)
        assert door.file.plain("ann", "secret") == "ann"
        assert len(caplog.records) == 1
    os.unlink(door.path)
    assert door.file.plain("ann", "secret") == "ann"
    assert (door.turned_out, len(caplog.records)) == (0, 2)
    door.write({})
    assert door.file.plain("ann", "secret") is None
    assert door.turned_out == 1


def test_no_secret_is_told(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.write({"plain": {"ann": "tell-nobody"}})
    door.file.tick(1.0)
    door.write('{"plain": {"ann": tell-nobody}}')
    door.file.tick(2.0)
    assert "tell-nobody" not in caplog.text


def test_it_begins_with_a_file_that_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(BadInputError):
        CredentialFile(tmp_path / "none", 0.0, on_removed=lambda: None)


def test_it_has_nothing_to_read_and_nothing_to_close(door: Door) -> None:
    door.file.close(0.0)
