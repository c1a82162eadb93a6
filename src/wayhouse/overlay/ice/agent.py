"""Which pair of addresses reaches the peer: checks, nomination and consent (RFC 8445, RFC 7675), as a machine.

Used by `drivers/ice.py`. It differs from RFC 8445 where a long-lived link wants more: any pair that works is used at once, also a relayed one; better
pairs are looked for as long as the link lives, and each is nominated anew (NOMINATION). Rule: a stranger's message changes nothing; only what is
signed with our password is answered, and only what is signed with the peer's is an answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from wayhouse.overlay.ice import checks, stun
from wayhouse.overlay.ice.choice import choose
from wayhouse.overlay.ice.effects import Check, PairSelected, PathLost, Send
from wayhouse.overlay.ice.pair import (
    FIRST_STEPS,
    LOST_S,
    Base,
    Credentials,
    Pair,
    PairState,
    Remote,
    Sent,
)
from wayhouse.overlay.ice.remotes import remotes_of
from wayhouse.overlay.ice.stun import Host, Message
from wayhouse.overlay.model import Candidate, CandidateType, PathPolicy

_MOST_REMOTES = 64
_MOST_EARLY = 32
_MOST_CHECKS = 2048
_AT_ONCE = 8
"""Checks in one burst; the next burst is `_PACE_S` later."""
_PACE_S = 0.03
_NONE_FOUND_S = 10.0
_RELAYED_BELOW = 1 << 24
"""A priority whose type preference is 0."""


class Agent:
    """`random` gives so many random bytes. Feed it with `hear` and `tick`, then take `outbox()` and `events()`."""

    def __init__(
        self,
        *,
        is_controlling: bool,
        username: str,
        password: str,
        policy: PathPolicy = PathPolicy.AUTO,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.is_controlling = is_controlling
        self.selected: Pair | None = None
        self.last_error = ""
        self.refused = 0
        """Messages that were not believed."""
        self._username, self._password = username, password.encode()
        self._policy = policy
        self._random = random
        self._tiebreaker = int.from_bytes(random(8), "big")
        self._nominations = 0
        self._bases: dict[str, Base] = {}
        self._remotes: dict[Host, Remote] = {}
        self._credentials: Credentials | None = None
        self._retired: set[str] = set()
        self._pairs: dict[tuple[str, Host, str], Pair] = {}
        self._checks: dict[bytes, Pair] = {}
        self._early: list[Check] = []
        self._outbox: list[Send] = []
        self._events: list[PairSelected | PathLost] = []
        self._paced_until = 0.0
        self._none_found_at: float | None = None
        self._looked_at = 0.0

    # what the driver tells

    def add_base(self, base: Base, now: float) -> None:
        self._bases[base.name] = base
        for remote in self._remotes.values():
            self._join(base, remote, now)
        self._recall(now)

    def remove_base(self, name: str, now: float) -> None:
        self._bases.pop(name, None)
        self._drop([pair for pair in self._pairs.values() if pair.base.name == name], now)

    def add_remote(self, candidates: Sequence[Candidate], now: float) -> None:
        """Candidates that cannot be used are left out. Other credentials than before are another life of the peer."""
        for credentials, remote in remotes_of(candidates):
            if credentials.username in self._retired:
                continue
            if credentials != self._credentials:
                self._begin(credentials, now)
            known = self._remotes.get(remote.host)
            if known != remote and (known is not None or len(self._remotes) < _MOST_REMOTES):
                self._learn(remote, now)
        self._recall(now)

    def restart(self, now: float) -> None:
        """Our addresses have changed: every pair is checked now, and the one in use nominated anew from where we are."""
        self._nominations += self.is_controlling
        for pair in self._pairs.values():
            pair.hurry(now)

    def hear(self, base: str, message: Message, source: Host, now: float) -> None:
        """A STUN message that came to this base. Raises nothing."""
        known = self._bases.get(base)
        if known is None or message.method != stun.BINDING:
            self.refused += 1
        elif message.kind == stun.REQUEST:
            self._request(known, message, source, now)
        elif message.kind in {stun.SUCCESS, stun.ERROR}:
            self._response(known, message, source, now)

    def tick(self, now: float) -> None:
        for pair in self._pairs.values():
            if pair.works() and pair.is_silent(LOST_S, now):
                pair.fail()
        due = sorted((pair for pair in self._pairs.values() if pair.next_check <= now), key=self._urgency)
        if due and now >= self._paced_until:
            for pair in due[:_AT_ONCE]:
                self._check(pair, now)
            self._paced_until = now + _PACE_S if len(due) > _AT_ONCE else now
        self._choose(now)
        if self._none_found_at is not None and now >= self._none_found_at:
            self._none_found_at = None
            self._events.append(PathLost("no pair of addresses works"))

    def deadline(self) -> float | None:
        """When `tick` is wanted next."""
        times = [max(pair.next_check, self._paced_until) for pair in self._pairs.values()]
        if self.selected is not None:
            looks = (self.selected.asked_by(), self.selected.given_up_at())
            times += [moment for moment in looks if moment is not None and moment > self._looked_at]
        if self._none_found_at is not None:
            times.append(self._none_found_at)
        return min(times, default=None)

    def outbox(self) -> list[Send]:
        sends, self._outbox = self._outbox, []
        return sends

    def events(self) -> list[PairSelected | PathLost]:
        events, self._events = self._events, []
        return events

    def pairs(self) -> list[Pair]:
        """The best first."""
        return sorted(
            self._pairs.values(), key=lambda pair: pair.rank(is_controlling=self.is_controlling), reverse=True
        )

    @property
    def remote_credentials(self) -> Credentials | None:
        return self._credentials

    # pairs

    def _begin(self, credentials: Credentials, now: float) -> None:
        """The peer began anew: what works is kept until there is something better."""
        if self._credentials is not None:
            self._retired.add(self._credentials.username)
        self._credentials = credentials
        self._remotes.clear()
        for key, pair in tuple(self._pairs.items()):
            if pair is not self.selected:
                del self._pairs[key]
        if self.selected is None and self._none_found_at is None:
            self._none_found_at = now + _NONE_FOUND_S

    def _learn(self, remote: Remote, now: float) -> None:
        """A new address of the peer, or a known one of which more is known now."""
        self._remotes[remote.host] = remote
        mine = [pair for pair in self._pairs.values() if pair.remote.host == remote.host]
        for pair in mine:
            pair.remote = remote
        self._drop([pair for pair in mine if not self._allows(pair.base, remote)], now)
        for base in self._bases.values():
            self._join(base, remote, now)

    def _join(self, base: Base, remote: Remote, now: float) -> Pair | None:
        """The pair of both; None when it cannot be or must not be."""
        if self._credentials is None or not self._allows(base, remote):
            return None
        key = (base.name, remote.host, self._credentials.username)
        if key not in self._pairs:
            self._pairs[key] = Pair(base, remote, self._credentials, next_check=now)
        return self._pairs[key]

    def _allows(self, base: Base, remote: Remote) -> bool:
        if base.is_ipv6 != (":" in remote.host[0]) or self._policy is PathPolicy.OFF:
            return False
        if self._policy is PathPolicy.RELAY:
            return base.is_relayed
        is_relayed = base.is_relayed or remote.type is CandidateType.RELAYED
        return not (is_relayed and self._policy is PathPolicy.DIRECT)

    def _drop(self, pairs: Sequence[Pair], now: float) -> None:
        for key, pair in tuple(self._pairs.items()):
            if pair in pairs:
                pair.fail()
                del self._pairs[key]
        self._choose(now)

    def _urgency(self, pair: Pair) -> tuple[bool, bool, int]:
        return pair is not self.selected, not pair.works(), -pair.priority(is_controlling=self.is_controlling)

    # our checks

    def _check(self, pair: Pair, now: float) -> None:
        if pair.state is PairState.IN_PROGRESS and pair.attempts >= len(FIRST_STEPS):
            pair.fail()
        is_nominated = self.is_controlling and pair is self.selected
        sent = Sent(now, self.is_controlling, self._nominations if is_nominated else 0)
        transaction = self._random(stun.TRANSACTION)
        pair.sent(transaction, sent)
        self._checks[transaction] = pair
        while len(self._checks) > _MOST_CHECKS:
            del self._checks[next(iter(self._checks))]
        pair.next_check = pair.after_check(now, selected=self.selected, is_better=self._is_better(pair))
        data = checks.request(pair, sent, transaction, self._username, self._tiebreaker)
        self._outbox.append(Send(pair.base.name, pair.remote.host, data))

    def _is_better(self, pair: Pair) -> bool:
        role = self.is_controlling
        return self.selected is None or pair.rank(is_controlling=role) > self.selected.rank(
            is_controlling=role
        )

    def _response(self, base: Base, message: Message, source: Host, now: float) -> None:
        pair = self._checks.get(message.transaction)
        sent = None if pair is None else pair.pending.get(message.transaction)
        if pair is None or sent is None or not any(pair is known for known in self._pairs.values()):
            return
        is_from_there = pair.base.name == base.name and pair.remote.host == source
        if not is_from_there or not message.is_signed_by(pair.credentials.password.encode()):
            self.refused += 1
            return
        del self._checks[message.transaction]
        if message.kind == stun.ERROR:
            self._refusal(pair, sent, message, now)
        else:
            self._success(pair, sent, message, now)

    def _success(self, pair: Pair, sent: Sent, message: Message, now: float) -> None:
        try:
            mapped = message.address(stun.XOR_MAPPED_ADDRESS)
        except stun.BadStunError:
            mapped = None
        pair.answered(sent, mapped, now)
        self._choose(now)
        pair.next_check = max(now, pair.after_answer(sent, place=self._place(pair)))
        if pair is self.selected and self.is_controlling and sent.nomination != self._nominations:
            pair.next_check = now

    def _place(self, pair: Pair) -> int:
        if pair is self.selected:
            return 0
        spares = [one for one in self.pairs() if one.works() and one is not self.selected]
        return 1 if spares and spares[0] is pair else 2

    def _refusal(self, pair: Pair, sent: Sent, message: Message, now: float) -> None:
        code, reason = message.error()
        if code == 487 and sent.is_controlling == self.is_controlling:
            self._switch_role(now)
            pair.next_check = now
        elif code != 487:
            self.last_error = f"the peer refused a check: {code} {reason}"

    # the peer's checks

    def _request(self, base: Base, message: Message, source: Host, now: float) -> None:
        local, _, username = (message.text(stun.USERNAME) or "").partition(":")
        is_ours = local == self._username and message.is_signed_by(self._password)
        if not is_ours or username in self._retired:
            self.refused += 1
            return
        check = Check(base.name, source, username, *checks.wishes(message))
        if not self._allows(base, self._seen(check)):
            self.refused += 1
        elif message.unknown():
            self._outbox.append(Send(base.name, source, checks.not_understood(message, self._password)))
        elif self._is_conflict(message, now):
            self._outbox.append(Send(base.name, source, checks.conflict(message, self._password)))
        else:
            self._outbox.append(Send(base.name, source, checks.success(message, self._password, source)))
            self._welcome(base, check, now)

    def _welcome(self, base: Base, check: Check, now: float) -> None:
        if self._credentials is None or self._credentials.username != check.username:
            self._early = [*self._early[-_MOST_EARLY + 1 :], check]
        else:
            self._trigger(base, check, now)
            self._choose(now)

    def _seen(self, check: Check) -> Remote:
        kind = CandidateType.RELAYED if check.priority < _RELAYED_BELOW else CandidateType.PEER_REFLEXIVE
        return self._remotes.get(check.source) or Remote(check.source, kind, check.priority)

    def _recall(self, now: float) -> None:
        """Checks that came early are taken up now that we know who they are of."""
        early, self._early = self._early, []
        for check in early:
            base = self._bases.get(check.base)
            if base is None or self._credentials is None or check.username != self._credentials.username:
                self._early.append(check)
            else:
                self._trigger(base, check, now)

    def _trigger(self, base: Base, check: Check, now: float) -> None:
        """The peer checked this pair: do the same at once (RFC 8445 section 7.3.1.4)."""
        if check.source not in self._remotes:
            self._make_room()
            if self.selected is not None and self.selected.base is base:
                self.selected.doubt(now)
            self._learn(self._seen(check), now)
        pair = self._join(base, self._remotes[check.source], now)
        if pair is None:
            return
        if check.nomination is not None and not self.is_controlling:
            pair.nomination = max(pair.nomination or 0, check.nomination)
        if not pair.works() and (pair.state is PairState.FAILED or not pair.pending):
            pair.hurry(now)

    def _make_room(self) -> None:
        """What the peer did not tell itself goes first."""
        if len(self._remotes) < _MOST_REMOTES:
            return
        used = None if self.selected is None else self.selected.remote.host
        others = [host for host in self._remotes if host != used]
        learned = [h for h in others if self._remotes[h].type is CandidateType.PEER_REFLEXIVE]
        gone = (learned or others)[0]
        del self._remotes[gone]
        self._pairs = {key: pair for key, pair in self._pairs.items() if key[1] != gone}

    def _is_conflict(self, message: Message, now: float) -> bool:
        """RFC 8445 section 7.3.1.1; true when the peer has to change its role."""
        theirs = message.number(stun.ICE_CONTROLLING if self.is_controlling else stun.ICE_CONTROLLED)
        if theirs is None:
            return False
        if (self._tiebreaker >= theirs) == self.is_controlling:
            return True
        self._switch_role(now)
        return False

    def _switch_role(self, now: float) -> None:
        self.is_controlling = not self.is_controlling
        for pair in self._pairs.values():
            pair.hurry(now)

    # the choice

    def _choose(self, now: float) -> None:
        self._looked_at = now
        current = self.selected if self.selected is not None and self.selected.works() else None
        life = None if self._credentials is None else self._credentials.username
        pairs = tuple(self._pairs.values())
        best = choose(pairs, current, now, is_controlling=self.is_controlling, life=life)
        if best is self.selected:
            return
        before, self.selected = self.selected, best
        if best is None:
            self._lose(before, now)
        else:
            self._take(best, now)

    def _take(self, pair: Pair, now: float) -> None:
        self._none_found_at = None
        self._nominations += self.is_controlling
        pair.next_check = now
        for key, other in tuple(self._pairs.items()):
            if other.credentials != self._credentials and other is not pair:
                del self._pairs[key]
        self._events.append(PairSelected(pair))

    def _lose(self, before: Pair | None, now: float) -> None:
        for pair in self._pairs.values():
            pair.hurry(now)
        if before is not None:
            self._events.append(PathLost(f"{before.remote.host[0]} does not answer any more"))
