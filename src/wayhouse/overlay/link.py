"""The link to one peer, as a pure machine: what was heard and found goes in, what is to be done comes out.

Driven by `peer_link.py`. Rules: no I/O and no clock here, `now` is in monotonic seconds; candidates of the peer that come early wait until it has
proved who it is; "offline" is said only after "online"; whatever holds the link up can be read in `why`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from wayhouse.overlay.model import Candidate, CandidateType, LinkStatus
from wayhouse.overlay.pace import Bucket

ANSWER_AGAIN_S = 5.0
ANSWER_LATEST_S = 60.0
REPEATS_PER_S, MOST_REPEATS = 0.5, 5
HANDSHAKE_S = 10.0
"""How long the tunnel may take over a path before that is said."""


class LinkState(StrEnum):
    """How far the link is. `introduced`: the peer was seen; `asked`: it was asked for a link; `refused`: `why` says what for."""

    INTRODUCED = "introduced"
    ASKED = "asked"
    GATHERING = "gathering"
    CHECKING = "checking"
    TUNNELLING = "tunnelling"
    ONLINE = "online"
    OFFLINE = "offline"
    REFUSED = "refused"


class OpenPath(msgspec.Struct, frozen=True):
    """Seek a path, from the beginning."""


class ClosePath(msgspec.Struct, frozen=True):
    """The path, and the peer's place in the tunnel, are not needed any more."""


class GiveRemote(msgspec.Struct, frozen=True):
    candidates: tuple[Candidate, ...]


class Answer(msgspec.Struct, frozen=True):
    """Tell the peer these addresses of ours, all that are known."""

    candidates: tuple[Candidate, ...]


class TellStatus(msgspec.Struct, frozen=True):
    status: LinkStatus


Deed = OpenPath | ClosePath | GiveRemote | Answer | TellStatus


class Link:
    """`is_modern`: the peer takes addresses as they are found; an old one takes the first answer only, so it gets one, complete."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.state = LinkState.INTRODUCED
        self.status = LinkStatus.UNKNOWN
        self.why = ""
        self.fingerprint = ""
        self.is_modern = False
        self.created: float | None = None
        """When the path was first sought; None while there is none."""
        self.online_since: float | None = None
        self.local: Candidate | None = None
        self.remote: Candidate | None = None
        self.is_relayed: bool | None = None
        self._ours: dict[Candidate, None] = {}
        self._theirs: dict[Candidate, None] = {}
        self._is_complete = False
        self._is_proven = False
        self._has_path = False
        self._has_tunnel = False
        self._path_since = math.inf
        self._repeats = Bucket(REPEATS_PER_S, MOST_REPEATS)
        self._again_s = ANSWER_AGAIN_S
        self._again_at = math.inf
        self._outbox: list[Deed] = []

    def outbox(self) -> list[Deed]:
        found, self._outbox = self._outbox, []
        return found

    @property
    def is_open(self) -> bool:
        """Whether there is a path, or one is sought."""
        return self.created is not None

    @property
    def is_proven(self) -> bool:
        return self._is_proven

    def deadline(self) -> float:
        waits = self.is_open and self._has_path and not self._has_tunnel and not self.why
        return min(self._again_at, self._path_since + HANDSHAKE_S if waits else math.inf)

    def tick(self, now: float) -> None:
        if now >= self._again_at:
            self._again_s = min(self._again_s * 2, ANSWER_LATEST_S)
            self._answer(now)
        if now >= self._path_since + HANDSHAKE_S and self.state is LinkState.TUNNELLING and not self.why:
            self.why = (
                "There is a path, but the peer does not answer in the tunnel: it may not trust this node yet."
            )

    # What is wanted.

    def ask(self) -> None:
        """The peer was asked for a link."""
        if self.state is LinkState.INTRODUCED:
            self.state = LinkState.ASKED

    def create(self, fingerprint: str, now: float) -> None:
        """Seek a path to the peer that has this certificate; nothing, when that is done already."""
        if self.is_open and self.fingerprint == fingerprint:
            return
        if self.is_open:
            self._close()
        self.fingerprint, self.created, self.why = fingerprint, now, ""
        self.state = LinkState.GATHERING
        self._outbox.append(OpenPath())

    def trim(self) -> None:
        """Take the link away; it can be made anew."""
        if self.is_open:
            self._close()
        self.why = ""
        self.state = LinkState.INTRODUCED

    def refuse(self, why: str) -> None:
        """The peer is not believed; `create` tries again."""
        if self.is_open:
            self._close()
        self.state, self.why = LinkState.REFUSED, why

    # What the peer says.

    def prove(self) -> None:
        """The peer proved who it is: its candidates may be used."""
        if self.is_open and not self._is_proven:
            self._is_proven = True
            self._give(tuple(self._theirs))

    def hear(self, candidates: Sequence[Candidate], now: float) -> None:
        """Other credentials than before: the peer began anew, and needs our addresses again. An old one has the same for ever, and tells all of its
        addresses at once: others than before say it there."""
        if not candidates or not self.is_open:
            return
        is_known = self.is_modern or all(one in self._theirs for one in candidates)
        began_anew = bool(self._theirs) and not (is_known and self._same_credentials(candidates))
        if began_anew:
            self._theirs = {}
        fresh = tuple(one for one in candidates if one not in self._theirs)
        self._theirs.update(dict.fromkeys(fresh))
        self._again_at = math.inf
        if began_anew:
            self._answer_again(now)
        if self._is_proven:
            self._give(fresh)
        self._move()

    def asked(self, now: float) -> None:
        """The peer asks for a link: if there is one here, it has lost our answer."""
        if self.is_open:
            self._answer_again(now)

    # What the path and the tunnel say.

    def gathered(self, candidates: Sequence[Candidate], now: float, *, is_last: bool) -> None:
        if not self.is_open:
            return
        fresh = [one for one in candidates if one not in self._ours]
        if self._ours and fresh and not _alike(next(iter(self._ours)), fresh[0]):
            self._ours, self._is_complete = {}, False
        self._ours.update(dict.fromkeys(fresh))
        was_complete, self._is_complete = self._is_complete, is_last or self._is_complete
        wants = bool(fresh) if self.is_modern else self._is_complete and (bool(fresh) or not was_complete)
        if self._ours and wants:
            self._answer(now)
        elif is_last and not self._ours:
            self.why = "This machine has no address that could be told to the peer; is it connected?"
        self._move()

    def path_up(self, local: Candidate, remote: Candidate, now: float, *, is_relayed: bool) -> None:
        if not self.is_open:
            return
        self.local, self.remote, self.is_relayed = local, remote, is_relayed
        if not self._has_path:
            self._has_path, self._path_since = True, now
        self._again_at, self.why = math.inf, ""
        self._move(now)

    def path_lost(self, reason: str) -> None:
        if not self.is_open:
            return
        self._has_path, self._path_since = False, math.inf
        self.local = self.remote = self.is_relayed = None
        self._move()
        self.why = reason

    def established(self, now: float) -> None:
        if self.is_open:
            self._has_tunnel = True
            self._move(now)

    def troubled(self, why: str) -> None:
        """The tunnel cannot be set up."""
        if self.is_open and not self._has_tunnel:
            self.why = why

    def silent(self) -> None:
        if self.is_open and self._has_tunnel:
            self._has_tunnel = False
            self._move()
            self.why = "The peer does not answer in the tunnel any more."

    # Inside.

    def _move(self, now: float = 0.0) -> None:
        """The state that follows from what is known."""
        if self._has_path and self._has_tunnel:
            if self.state is not LinkState.ONLINE:
                self.online_since, self.why = now, ""
            self._enter(LinkState.ONLINE, LinkStatus.ONLINE)
        elif self.status is not LinkStatus.UNKNOWN:
            self._enter(LinkState.OFFLINE, LinkStatus.OFFLINE)
        elif self._has_path:
            self._enter(LinkState.TUNNELLING, LinkStatus.UNKNOWN)
        elif self._theirs and self._ours:
            self._enter(LinkState.CHECKING, LinkStatus.UNKNOWN)

    def _enter(self, state: LinkState, status: LinkStatus) -> None:
        self.state = state
        if state is not LinkState.ONLINE:
            self.online_since = None
        if status is not self.status:
            self.status = status
            self._outbox.append(TellStatus(status))

    def _answer(self, now: float) -> None:
        if not self._ours or not (self.is_modern or self._is_complete):
            return
        self._again_at = math.inf if self._theirs else now + self._again_s
        self._outbox.append(Answer(tuple(self._ours)))

    def _answer_again(self, now: float) -> None:
        """At once, unless the peer, who decides how often, asks too often."""
        if self._repeats.take(now):
            self._answer(now)
        else:
            self._again_at = min(self._again_at, self._repeats.ready())

    def _give(self, candidates: tuple[Candidate, ...]) -> None:
        if candidates:
            self._outbox.append(GiveRemote(candidates))

    def _same_credentials(self, candidates: Sequence[Candidate]) -> bool:
        return _alike(next(iter(self._theirs)), candidates[0])

    def _close(self) -> None:
        self.created = None
        self._ours, self._theirs = {}, {}
        self._is_complete = self._is_proven = self._has_path = self._has_tunnel = False
        self._path_since = self._again_at = math.inf
        self._again_s = ANSWER_AGAIN_S
        self.local = self.remote = self.is_relayed = None
        if self.status is LinkStatus.ONLINE:
            self._enter(LinkState.OFFLINE, LinkStatus.OFFLINE)
        self.status, self.online_since = LinkStatus.UNKNOWN, None
        self._outbox.append(ClosePath())


def _alike(one: Candidate, other: Candidate) -> bool:
    return (one.username, one.password) == (other.username, other.password)


def address_text(candidate: Candidate) -> str:
    """`srflx 198.51.100.7:40000`, for people."""
    host = f"[{candidate.host}]" if ":" in candidate.host else candidate.host
    return f"{CandidateType(candidate.type).value} {host}:{candidate.port}"
