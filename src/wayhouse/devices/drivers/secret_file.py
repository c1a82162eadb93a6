"""A secret in a file of its own: one line. Drivers read it when they need it and keep it out of logs and errors."""

from __future__ import annotations

from pathlib import Path

from wayhouse.base.errors import UnavailableError

MAX_BYTES = 4096


def read_secret(file: str | None) -> str:
    """Without the end of its line; "" if there is no file to read. Raises `UnavailableError`."""
    if file is None:
        return ""
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise UnavailableError(
            f"The password file {file} cannot be read: {error.strerror}. Make it readable for the gateway alone."
        ) from error
    except UnicodeDecodeError as error:
        raise UnavailableError(f"The password file {file} is not UTF-8 text.") from error
    if len(data) > MAX_BYTES:
        raise UnavailableError(f"The password file {file} has more than {MAX_BYTES} bytes.")
    return text.rstrip("\r\n")
