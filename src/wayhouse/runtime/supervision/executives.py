"""Which executives a RasPy service has, as children of a `Supervisor`: the file's `executives = a,b,c`, each made by its factory.

Called by `Supervisor.reload` when it has a runner. Names are looked up in the supervisor's `executives`, or are written
`package.module:Class`.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from typing import Any

from wayhouse.base.errors import BadInputError
from wayhouse.runtime.executive import BROKER_PORT, serve
from wayhouse.runtime.supervision.child_spec import ChildSpec

SHUTDOWN_S = 10.0


class ExecutiveTarget:
    """What runs in the child: makes the executive there, where its sockets and threads will live."""

    def __init__(self, factory: Callable[..., Any] | str, arguments: tuple[str, str, str, int]) -> None:
        self._factory, self._arguments = factory, arguments

    def __call__(self) -> None:
        from wayhouse.runtime.supervision.child_main import find

        factory = find(self._factory) if isinstance(self._factory, str) else self._factory
        serve(factory(*self._arguments))


def specs_of(options: Any, factories: Mapping[str, Callable[..., Any]]) -> list[ChildSpec]:
    """Reads `options.conffile_path` again, sets `url_autoconf` and `executives` of the options, and describes the children.

    Raises `BadInputError` for a file that cannot be read, or a name that nobody knows.
    """
    section, executives = read(options.conffile_path, options.service)
    options.url_autoconf = section.get("url_autoconf", options.url_autoconf)
    options.executives = executives
    ip, port = section.get("broker_ip", "127.0.0.1"), _port(section.get("broker_port", str(BROKER_PORT)))
    return [
        ChildSpec(
            name=name,
            target=ExecutiveTarget(_factory(name, factories), (options.hostname, name, ip, port)),
            output="inherit",
            shutdown_s=SHUTDOWN_S,
        )
        for name in executives
    ]


def read(path: str, service: str) -> tuple[dict[str, str], list[str]]:
    """The section [Service], and the names in the section of the service. A file that is not there is empty."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise BadInputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    common = dict(parser["Service"]) if parser.has_section("Service") else {}
    names = parser.get(service, "executives", fallback="") if parser.has_section(service) else ""
    unique = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    return common, list(unique)


def _factory(name: str, factories: Mapping[str, Callable[..., Any]]) -> Callable[..., Any] | str:
    if name in factories:
        return factories[name]
    if ":" in name:
        return name
    known = ", ".join(sorted(factories)) or "none"
    raise BadInputError(
        f"There is no executive {name!r} (known: {known}). Correct `executives`, or write package.module:Class."
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < len(text) < 6 and 0 < int(text) < 65536:
        return int(text)
    raise BadInputError(f"broker_port is a number from 1 to 65535, not {text!r}.")
