"""The configuration files of the manual: who runs the system (`/etc/wayhouse/user`) and `<home>/.wayhouse/config/*.json`.

Called by servers at their start and by installers. Rules: a file that exists is never touched, a file is there whole or
not at all, and keys are readable by their owner alone.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from pathlib import Path
from typing import Any

from wayhouse.base import codec, ids
from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError

ETC = "/etc/wayhouse/user"
FOLDER = Path(".wayhouse") / "config"


def create_default(home: str) -> tuple[list[str], list[str]]:
    """Write the files that are missing; answers `(created, skipped)` paths. By root, they become the owner's of `home`."""
    if not Path(home).is_dir():
        raise NotFoundError(f"no such directory: {home}")
    folder = Path(home) / FOLDER
    _make_folders(folder, Path(home))
    created: list[str] = []
    skipped: list[str] = []
    for name, content in _defaults().items():
        path = folder / name
        mode = 0o600 if name == "authkeys.json" else 0o644
        made = _write_new(path, content, mode, like=Path(home))
        (created if made else skipped).append(str(path))
    return created, skipped


def load(path: str) -> dict[str, Any]:
    """Raises `NotFoundError` or `BadInputError`, which name the file."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"no such configuration file: {path}. wayhouse.runtime.config.create_default(home) makes one"
        ) from error
    return _object(data, path)


def load_authkeys(home: str) -> dict[str, str | None]:
    """`{account: key}`; a key that is empty or null is none. Raises like `load`."""
    keys = load(str(Path(home) / FOLDER / "authkeys.json"))
    for account, key in keys.items():
        if key and not isinstance(key, str):
            raise BadInputError(f'value of "{account}" is not a string: {type(key).__name__}')
    return keys


def create_etc(path: str = ETC, user: str | None = None) -> str:
    """Write `{name, home, uid}` of `user`, asked for on stdin unless given; answers the name. An existing file wins.

    Raises `ForbiddenError` for the default path unless root, `NotFoundError` for no such user.
    """
    if path == ETC and os.geteuid() != 0:
        raise ForbiddenError("must call as root")
    with contextlib.suppress(NotFoundError):
        return str(load_etc(path)["name"])
    entry = _account(user if user is not None else _ask())
    Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    content = {"name": entry.pw_name, "home": entry.pw_dir, "uid": entry.pw_uid}
    if not _write_new(Path(path), content, 0o644):
        raise ConflictError(f"{path} was written by somebody else at the same time")
    return entry.pw_name


def load_etc(path: str = ETC) -> dict[str, Any]:
    """`{name, home, uid}`, the last two from the user database when the file lacks them."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    etc = _object(data, path)
    if not isinstance(etc.get("name"), str) or not etc["name"]:
        raise BadInputError(f'{path} has no "name"')
    if "home" not in etc or "uid" not in etc:
        entry = _account(etc["name"])
        etc = {"home": entry.pw_dir, "uid": entry.pw_uid, **etc}
    return etc


def _defaults() -> dict[str, dict[str, Any]]:
    return {
        "broker.json": {"host": "", "port": 4000, "stacks": [], "remote": {}},
        "usbrel64.json": {},
        "authkeys.json": {"admin": ids.token_hex(), "share": ids.token_hex()},
        "jenkins.json": {},
        "workspace.json": {},
        "gerrit.json": {},
        "panotti.json": {"enabled": False, "host": "", "port": 0, "db": "", "rpc": "http"},
        "handset.json": {},
    }


def _object(data: bytes, path: str) -> dict[str, Any]:
    try:
        content = codec.decode_json(data, object)
    except BadInputError as error:
        raise BadInputError(f"invalid config file {path}: not valid JSON encoding") from error
    if not isinstance(content, dict):
        raise BadInputError(
            f"invalid config file {path}: contents is not a dictionary: {type(content).__name__}"
        )
    return content


def _make_folders(folder: Path, home: Path) -> None:
    for part in (folder.parent, folder):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o755)
            _give(part, home)


def _write_new(path: Path, content: dict[str, Any], mode: int, like: Path | None = None) -> bool:
    """Whether it was written: linked into place complete, never over another file."""
    if os.path.lexists(path):
        return False
    draft = path.with_name(f".{path.name}.{ids.short_id()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(codec.encode_json(content) + b"\n")
            file.flush()
            os.fsync(fd)
        if like is not None:
            _give(draft, like)
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _give(path: Path, like: Path) -> None:
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError) as error:
        raise NotFoundError(f"There is no user {name!r} on this machine.") from error


def _ask() -> str:
    sys.stdout.write("Name of the user who runs the system: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip()
