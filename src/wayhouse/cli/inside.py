"""The way into a gateway of this machine: through its daemon if that answers within a second, past it if it is stuck.

Used by `ps`, `trace` and `upgrade`. Rules: only what the kernel says belongs to that gateway is looked at; whoever may not look is told whom
to be; a daemon that hangs halfway through an answer costs no more than its own rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from wayhouse.api.client_errors import UnreachableError
from wayhouse.api.client_transport import Place
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, ForbiddenError, NotFoundError
from wayhouse.base.settings import Paths
from wayhouse.cli.session import Session
from wayhouse.runtime.exceptions import AveException, NetworkError
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.sight import overview, trace_box
from wayhouse.runtime.sight.family import Member
from wayhouse.runtime.sight.overview import Trace

KNOCK_S = 1.0
ANSWER_S = 15.0
"""For each row or trace of a daemon that has answered once."""
STUCK = "The gateway does not answer. What follows is what its processes and the kernel tell without it."


class Inside:
    """`runtime` is the gateway's runtime directory. `answers`, once asked: whether its daemon did."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime
        self.answers = False

    def members(self) -> list[Member]:
        """Raises `UnreachableError` when no process of such a gateway runs."""
        with self._daemon() as remote:
            if self.answers:
                try:
                    return codec.convert(remote.call("ps"), list[Member], what="the gateway's answer")
                except NetworkError:
                    self.answers = False
        return self._seen()

    def traces(self, who: str | None) -> Iterator[Trace]:
        """As they come. Raises `NotFoundError` for a name or pid that no process has."""
        told: set[int] = set()
        with self._daemon() as remote:
            if self.answers:
                try:
                    for one in _traces(remote, who):
                        told.add(one.pid)
                        yield one
                except NetworkError:
                    self.answers = False
        if not self.answers:
            left = [one for one in overview.choose(self._seen(), who) if one.pid not in told]
            yield from overview.look_at_all(self.runtime / trace_box.FOLDER, left)

    def reach(self) -> RemoteControl:
        """The daemon itself. Raises `UnreachableError` when it does not answer."""
        remote = self._daemon()
        if not self.answers:
            remote.close()
            raise UnreachableError(
                f"The gateway at {self.runtime} does not answer. `wayhouse trace` shows why."
            )
        remote.timeout = None
        return remote

    def _daemon(self) -> RemoteControl:
        """Knock. Raises `ForbiddenError` when it answers, but not to this user."""
        path = self.runtime / overview.SOCKET
        remote = RemoteControl(str(path), timeout=KNOCK_S, optimist=False)
        try:
            self.answers = _is_socket(path) and remote.call("PING") == "pong"
        except PermissionError:
            raise forbidden(self.runtime) from None
        except AveException as error:
            raise forbidden(self.runtime) from error
        except (NetworkError, OSError):
            self.answers = False
        remote.timeout = ANSWER_S
        return remote

    def _seen(self) -> list[Member]:
        """Without the daemon: the processes that have left their name in the runtime directory, and those below them."""
        try:
            members = overview.see(self.runtime / trace_box.FOLDER)
        except PermissionError:
            raise forbidden(self.runtime) from None
        if not members:
            raise UnreachableError(f"No gateway runs in {self.runtime.parent}. Start one with `wayhouse up`.")
        return [
            msgspec.structs.replace(one, ready=False) if one.role == "gateway" else one for one in members
        ]


def inside(session: Session) -> Inside:
    """The gateway of this machine that was chosen. Raises `BadInputError`, `ForbiddenError`, `UnreachableError`."""
    wanted = session.wanted
    if wanted.gateway:
        place = Place.parse(wanted.gateway)
        if place.scheme != "unix":
            raise BadInputError(
                f"Processes can only be looked at on the gateway's own machine. Run this command there, not on {place}."
            )
        return Inside(Path(place.socket).parent)
    if wanted.data is not None:
        return Inside(Paths.under(wanted.data.absolute()).runtime)
    return Inside(_find((Paths.system().runtime, Paths.user(session.env).runtime)))


def forbidden(runtime: Path) -> ForbiddenError:
    return ForbiddenError(
        f"You may not look into the gateway at {runtime}. Use sudo, or be the user that runs it."
    )


def _find(places: tuple[Path, ...]) -> Path:
    """The first that is a running gateway's and that this user may look into."""
    closed = None
    for runtime in places:
        try:
            if trace_box.boxes(runtime / trace_box.FOLDER) or _is_socket(runtime / overview.SOCKET):
                return runtime
        except PermissionError:
            closed = closed or runtime
    if closed is not None:
        raise forbidden(closed)
    raise UnreachableError(
        "No gateway runs on this machine. Start one with `wayhouse up`, or name one with --data."
    )


def _is_socket(path: Path) -> bool:
    """Raises `PermissionError` when somebody else's directory is in the way, or it is not for this user."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "it is somebody else's", str(path))
    return True


def _traces(remote: RemoteControl, who: str | None) -> Iterator[Trace]:
    try:
        with remote.stream("trace", who) as items:
            for item in items:
                yield _converted(item)
    except AveException as error:
        if error.details.get("type") == overview.NoSuchProcessError.__name__:
            raise NotFoundError(error.details["message"]) from None
        raise


def _converted(item: Any) -> Trace:
    return codec.convert(item, Trace, what="the gateway's answer")
