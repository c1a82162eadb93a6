"""The command line: `wayhouse NOUN VERB`. Puts the nouns together and turns every error into one line and an exit code.

Nothing heavy is imported before a command needs it: `wayhouse --help` and shell completion must be quick.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.cli import (
    audit,
    bus,
    change,
    check,
    chute,
    clock,
    cron,
    device,
    link,
    login,
    overlay,
    ps,
    scenario,
    status,
    store,
    token,
    trace,
    up,
    upgrade,
    user,
    version,
)
from wayhouse.cli.command import Data, Fingerprint, Gateway, Insecure, Json
from wayhouse.cli.screen import Screen
from wayhouse.cli.wanted import Wanted

FAILED, USAGE, UNREACHABLE, NOT_ALLOWED, INTERRUPTED = 1, 2, 3, 4, 130
DEBUG = "WAYHOUSE_DEBUG"

HELP = """Apps on this machine and its neighbours: install, look at, change.

\b
For example:
  wayhouse up                              start a gateway here
  wayhouse chute install ./my-app          install an app from a folder
  wayhouse chute ls                        what is installed, and where its page is
  wayhouse chute logs -f my-app            its log, live
  wayhouse login https://gateway:8080      work on another gateway

\b
Which gateway a command talks to, the first that is given:
  --gateway or WAYHOUSE_GATEWAY, --data or WAYHOUSE_DATA,
  the daemon of this machine (root and the daemon's own user need no password),
  the gateway of the last `wayhouse login`. WAYHOUSE_TOKEN signs in without a login.
These options may stand before the noun or after the verb.

\b
Exit codes:
  0  done
  1  the change or the request failed
  2  wrong usage
  3  the gateway cannot be reached
  4  not signed in, or not allowed
  130  interrupted (a change that was being watched goes on)
"""

app = typer.Typer(
    name="wayhouse",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


@app.callback()
def root(
    context: typer.Context,
    gateway: Gateway = None,
    data: Data = None,
    fingerprint: Fingerprint = None,
    insecure: Insecure = False,
    json: Json = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=version.show_own, help="Show the version.")
    ] = False,
) -> None:
    context.obj = Wanted(gateway, data, fingerprint, insecure, json)


for register in (
    up,
    upgrade,
    status,
    ps,
    trace,
    chute,
    change,
    device,
    scenario,
    cron,
    clock,
    bus,
    store,
    overlay,
    link,
    login,
    token,
    user,
    audit,
    check,
    version,
):
    register.add_to(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; writes nothing but its answer, notes, and one line for an error."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except WayhouseError as error:
        return _fail(_advice(error), exit_code(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _leave_output()
        return FAILED
    except RecursionError:
        return _fail("What was given is nested too deeply.", FAILED)
    except OSError as error:
        return _fail(f"{error.filename or 'The system'}: {error.strerror or error}", FAILED)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return _fail(f"Unforeseen failure ({type(error).__name__}: {error}). {DEBUG}=1 shows where.", FAILED)


def exit_code(error: WayhouseError) -> int:
    """What the help promises."""
    from wayhouse.api.client_errors import ProblemError, UnreachableError
    from wayhouse.cli.watch import LeftError

    if isinstance(error, LeftError):
        return INTERRUPTED
    if isinstance(error, UnreachableError):
        return UNREACHABLE
    if error.status in {401, 403}:
        return NOT_ALLOWED
    return USAGE if isinstance(error, BadInputError) and not isinstance(error, ProblemError) else FAILED


def _run(arguments: list[str]) -> int:
    """Typer ends with `SystemExit`, whatever happens but an error of ours."""
    try:
        _commands().main(args=arguments, prog_name="wayhouse")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0
    return 0


@functools.cache
def _commands() -> Any:
    """All of them, as click has them; tests run hundreds in one process."""
    return typer.main.get_command(app)


def _advice(error: WayhouseError) -> str:
    """What the API says to programs about headers means `login` to people."""
    if error.code == "unauthenticated" and "Authorization" in error.message:
        return "You are not signed in. Use `wayhouse login URL`, or sudo on the gateway's own machine."
    return error.message


def _fail(message: str, code: int) -> int:
    screen = Screen(env=os.environ)
    screen.err.write(f"wayhouse: {screen.safe(message)}\n")
    return code


def _leave_output() -> None:
    """Whoever read our output has gone: nothing more goes there, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
