"""How a function becomes a command: it gets a `Session`, and every command the same options beside its own.

The options that choose a gateway may stand before the noun or after the verb; they are shown in `wayhouse --help`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from wayhouse.cli.session import Session
from wayhouse.cli.wanted import Wanted, from_environment

P = ParamSpec("P")
R = TypeVar("R")

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
_GATEWAY = "Which gateway: http://HOST:PORT, https://HOST:PORT or unix:PATH [env: WAYHOUSE_GATEWAY]"
_DATA = "The gateway of this machine that was started with the same --data [env: WAYHOUSE_DATA]"
_FINGERPRINT = "Trust exactly the certificate with this SHA-256."
_INSECURE = "Trust any certificate. Whoever listens in can read everything."
Gateway = Annotated[str | None, typer.Option(metavar="URL", help=_GATEWAY)]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help=_DATA)]
Fingerprint = Annotated[str | None, typer.Option(metavar="SHA256", help=_FINGERPRINT)]
Insecure = Annotated[bool, typer.Option("--insecure", help=_INSECURE)]
_HIDDEN = {
    "gateway": Annotated[str | None, typer.Option(hidden=True)],
    "data": Annotated[Path | None, typer.Option(hidden=True)],
    "fingerprint": Annotated[str | None, typer.Option(hidden=True)],
    "insecure": Annotated[bool, typer.Option("--insecure", hidden=True)],
}
_OPTIONS = {"json": Json, **_HIDDEN}


class Options:
    """Options that several commands have: a parameter of such a kind stands for those of its constructor, and is made of them."""


def noun(name: str, help: str) -> typer.Typer:  # noqa: A002 - typer's word
    """A group of commands."""
    return typer.Typer(
        name=name, help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False
    )


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Session, P], R]], Callable[Concatenate[Session, P], R]]:
    """Register a function under `name`. Its docstring is the help."""

    def register(function: Callable[Concatenate[Session, P], R]) -> Callable[Concatenate[Session, P], R]:
        app.command(name)(with_session(function))
        return function

    return register


def with_session(function: Callable[Concatenate[Session, P], R]) -> Callable[..., R]:
    """`function` with the shared options in place of its first parameter."""

    def run(context: typer.Context, **given: Any) -> R:
        wanted = Wanted(**{name: given.pop(name) for name in _OPTIONS})
        for name, kind in kinds.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in _options_of(kind)})
        return function(session_of(context, wanted), **given)  # type: ignore[call-arg]  # typer gives names only

    said = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    kinds = {one.name: one.annotation for one in said if _is_kind_of_options(one.annotation)}
    own = [each for one in said for each in (_options_of(one.annotation) if one.name in kinds else [one])]
    shared = [_parameter(name, kind) for name, kind in _OPTIONS.items()]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [first, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = help_of(function)
    run.__name__ = function.__name__
    return run


def help_of(function: Callable[..., Any]) -> str:
    """The docstring, with the lines of its examples kept apart (click's sign for that is a backspace)."""
    return inspect.cleandoc(function.__doc__ or "").replace("For example:\n", "\b\nFor example:\n")


def session_of(context: typer.Context, wanted: Wanted) -> Session:
    """What was said after the verb, over what was said before the noun, over the environment."""
    env = dict(os.environ)
    before = context.find_root().obj
    if isinstance(before, Wanted):
        wanted = wanted.over(before)
    return Session(wanted.over(from_environment(env)), env)


def _parameter(name: str, kind: Any) -> inspect.Parameter:
    default = False if name in {"json", "insecure"} else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _is_kind_of_options(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Options)


def _options_of(kind: Callable[..., Options]) -> list[inspect.Parameter]:
    return list(inspect.signature(kind, eval_str=True).parameters.values())
