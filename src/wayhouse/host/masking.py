"""Hides what looks like a secret before the environment or the settings are shown. Pure, and rather too strict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "********"
_SECRET_NAME = re.compile(
    r"PASS|PWD$|SECRET|TOKEN|KEY|AUTH|CRED|PRIVATE|COOKIE|SESSION|SIGNATURE|DSN", re.IGNORECASE
)
_NO_SECRET = frozenset({"PWD", "OLDPWD", "key_dir", "chute_config_file"})
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SECRET_VALUE = re.compile(
    r"\bwht_[\w-]{8,}|\beyJ[\w-]+\.[\w-]+\.[\w-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL
)


def masked(name: str, value: Any) -> Any:
    """The value, or a mask where the name or the value itself looks secret. An empty value stays: it tells nothing."""
    if name not in _NO_SECRET and _SECRET_NAME.search(name):
        return value if value is None or value == "" or isinstance(value, bool) else MASK
    if isinstance(value, str):
        return _SECRET_VALUE.sub(MASK, _USER_INFO.sub(MASK, value))
    if isinstance(value, Mapping):
        return {key: masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(name, inner) for inner in value]
    return value
