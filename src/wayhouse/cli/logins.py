"""Where somebody signed in: addresses with their tokens and pinned certificates, in a file that only its owner can read.

`$XDG_CONFIG_HOME/wayhouse/logins.json`, mode 0600, replaced as a whole. Written by `login` and `logout`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from wayhouse.api.client_transport import Trust
from wayhouse.base import codec, ids
from wayhouse.base.errors import BadInputError

FILE = "logins.json"


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway. `fingerprint` is the certificate that was trusted, None: what the system's authorities vouch for."""

    user: str
    token: str
    fingerprint: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Login({self.user!r})"

    @property
    def trust(self) -> Trust:
        return Trust(self.fingerprint, self.insecure)


class _Saved(msgspec.Struct, frozen=True):
    current: str | None = None
    gateways: dict[str, Login] = {}


class Logins:
    """`current` is the address of the last sign-in."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Logins:
        home = Path(env.get("HOME") or Path.home())
        return cls(Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "wayhouse" / FILE)

    @property
    def current(self) -> str | None:
        return self._read().current

    def find(self, address: str) -> Login | None:
        return self._read().gateways.get(address)

    def save(self, address: str, login: Login) -> None:
        self._write(_Saved(address, {**self._read().gateways, address: login}))

    def forget(self, address: str) -> bool:
        """Whether there was anything to forget. Another login becomes the current one."""
        saved = self._read()
        rest = {key: value for key, value in saved.gateways.items() if key != address}
        current = saved.current if saved.current in rest else next(reversed(rest), None)
        self._write(_Saved(current, rest))
        return len(rest) < len(saved.gateways)

    def _read(self) -> _Saved:
        try:
            return codec.decode_json(self._path.read_bytes(), _Saved)
        except FileNotFoundError:
            return _Saved()
        except (OSError, BadInputError) as error:
            raise BadInputError(f"{self._path} cannot be read. Remove it and sign in again.") from error

    def _write(self, saved: _Saved) -> None:
        fresh = self._path.with_name(f"{FILE}.{ids.short_id(8)}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(codec.encode_json(saved))
            fresh.rename(self._path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise BadInputError(f"{self._path} cannot be written: {error.strerror}.") from error
