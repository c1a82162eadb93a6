"""Configuration files."""

from __future__ import annotations

import getpass
import io
import json
import os
import pwd
import stat
import sys
from pathlib import Path

import pytest

from wayhouse.base.errors import BadInputError, ForbiddenError, NotFoundError
from wayhouse.runtime import config

NAMES = ["broker", "usbrel64", "authkeys", "jenkins", "workspace", "gerrit", "panotti", "handset"]


def test_defaults_are_made_once_and_never_touched_again(tmp_path) -> None:
    folder = tmp_path / ".wayhouse" / "config"
    paths = [str(folder / f"{name}.json") for name in NAMES]
    assert config.create_default(str(tmp_path)) == (paths, [])
    (folder / "handset.json").write_text("")
    (folder / "gerrit.json").unlink()
    keys = (folder / "authkeys.json").read_bytes()
    created, skipped = config.create_default(str(tmp_path))
    assert created == [str(folder / "gerrit.json")]
    assert skipped == [path for path in paths if path not in created]
    assert (folder / "handset.json").read_text() == ""
    assert (folder / "authkeys.json").read_bytes() == keys
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.json" for name in NAMES)
    assert config.load(str(folder / "broker.json"))["port"] == 4000


def test_fix_keys_are_their_owners_alone_whatever_the_umask(tmp_path) -> None:
    before = os.umask(0)
    try:
        config.create_default(str(tmp_path))
    finally:
        os.umask(before)
    folder = tmp_path / ".wayhouse" / "config"
    assert stat.S_IMODE((folder / "authkeys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "broker.json").stat().st_mode) == 0o644
    keys = config.load_authkeys(str(tmp_path))
    assert set(keys) == {"admin", "share"}
    assert keys["admin"] != keys["share"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_makes_belongs_to_the_owner_of_the_home(tmp_path) -> None:
    os.chown(tmp_path, 1234, 1235)
    config.create_default(str(tmp_path))
    for path in (tmp_path / ".wayhouse").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_a_home_that_is_not_there(tmp_path) -> None:
    with pytest.raises(NotFoundError):
        config.create_default(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "not valid JSON encoding"),
        (b"\xff", "not valid JSON encoding"),
        ("[" * 100_000, "not valid JSON encoding"),
        ("[]", "contents is not a dictionary: list"),
        ("3", "contents is not a dictionary: int"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, content, text) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadInputError, match=f"invalid config file .*x.json: {text}"):
        config.load(str(path))
    with pytest.raises(NotFoundError, match="no such configuration file: "):
        config.load(str(tmp_path / "none"))


def test_keys_are_texts_or_nothing(tmp_path) -> None:
    folder = tmp_path / ".wayhouse" / "config"
    folder.mkdir(parents=True)
    (folder / "authkeys.json").write_text('{"admin": null, "share": ""}')
    assert config.load_authkeys(str(tmp_path)) == {"admin": None, "share": ""}
    (folder / "authkeys.json").write_text('{"admin": 5}')
    with pytest.raises(BadInputError, match='value of "admin" is not a string: int'):
        config.load_authkeys(str(tmp_path))


def test_who_runs_the_system(tmp_path, monkeypatch) -> None:
    path = str(tmp_path / "etc" / "user")
    me = pwd.getpwnam(getpass.getuser())
    monkeypatch.setattr(sys, "stdin", io.StringIO(me.pw_name + "\n"))
    assert config.create_etc(path) == me.pw_name
    assert config.load_etc(path) == {"name": me.pw_name, "home": me.pw_dir, "uid": me.pw_uid}
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o644
    assert config.create_etc(path, "somebody-else") == me.pw_name
    with pytest.raises(NotFoundError, match="no user"):
        config.create_etc(path + "2", "no-such-user-here")
    with pytest.raises(NotFoundError, match="does not exist"):
        config.load_etc(path + "2")


def test_old_files_are_completed_and_bad_ones_refused(tmp_path) -> None:
    path = tmp_path / "user"
    path.write_text(json.dumps({"name": "root"}))
    assert config.load_etc(str(path)) == {"name": "root", "home": pwd.getpwnam("root").pw_dir, "uid": 0}
    path.write_text("{}")
    with pytest.raises(BadInputError, match='no "name"'):
        config.load_etc(str(path))


def test_the_default_path_is_roots(monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ForbiddenError, match="must call as root"):
        config.create_etc()
