"""Who is heard over one XMPP account, and where they are: the roster, the presences, and which full JID a uid is at.

Used by `drivers/xmpp.py`. Pure. Rule: a stranger is as good as not there; a uid stays with the account that came first with it for as long as
that one is present, so that no friend can take over another friend's messages by calling itself the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wayhouse.overlay.model import Heard, NoSuchPeerError, PeerGone, PeerSeen, SignalEvent
from wayhouse.overlay.stanzas import uid_of

MAX_PEERS = 4096
_HEARD_SUBSCRIPTIONS = frozenset({"both", "to"})


class _Place(msgspec.Struct):
    jid: str
    is_stale: bool = False
    """Seen in a session that is gone, not yet in this one."""


def bare(jid: str) -> str:
    return jid.partition("/")[0].lower()


class Acquaintances:
    """`own` is the account's bare JID, `friends` are heard whatever the roster says, `uid` is this node's."""

    def __init__(self, via: str, own: str, friends: Iterable[str], uid: str) -> None:
        self._via = via
        self._own = own.lower()
        self._friends = frozenset(jid.lower() for jid in friends)
        self._uid = uid
        self._roster: dict[str, str] = {}
        self._places: dict[str, _Place] = {}

    def hears(self, jid: str) -> bool:
        who = bare(jid)
        is_friend = who in self._friends or self._roster.get(who) in _HEARD_SUBSCRIPTIONS
        return is_friend or who == self._own

    def may_befriend(self, jid: str) -> bool:
        return bare(jid) in self._friends

    def wanted(self) -> list[str]:
        """Friends whose presence is not told to us: they are to be asked."""
        found = (one for one in self._friends if self._roster.get(one) not in _HEARD_SUBSCRIPTIONS)
        return sorted(one for one in found if one != self._own)

    def roster(self, items: Mapping[str, str], *, is_whole: bool) -> list[SignalEvent]:
        """Subscriptions by bare JID, all of them or those that have changed; who is no friend any more is gone."""
        if is_whole:
            self._roster.clear()
        self._roster.update({jid.lower(): subscription for jid, subscription in items.items()})
        self._roster = {jid: one for jid, one in self._roster.items() if one not in {"remove", "none"}}
        return self._forget(uid for uid, place in self._places.items() if not self.hears(place.jid))

    def present(self, jid: str, status: str) -> list[SignalEvent]:
        uid = self._take(jid)
        return [] if uid is None else [PeerSeen(uid, status, self._via)]

    def absent(self, jid: str) -> list[SignalEvent]:
        return self._forget(uid for uid, place in self._places.items() if place.jid == jid)

    def heard(self, jid: str, kind: str, data: str) -> list[SignalEvent]:
        uid = self._take(jid)
        return [] if uid is None else [Heard(uid, kind, data, self._via)]

    def jid_of(self, uid: str) -> str:
        """Raises `NoSuchPeerError`."""
        place = self._places.get(uid)
        if place is None:
            raise NoSuchPeerError(f"{self._via} has not seen {uid}: it is not signed in, or is no friend.")
        return place.jid

    def new_session(self) -> None:
        """The server has forgotten the old one: everybody will be told of anew."""
        for place in self._places.values():
            place.is_stale = True

    def expire_stale(self) -> list[SignalEvent]:
        """Those who did not come back in the new session are gone."""
        return self._forget(uid for uid, place in self._places.items() if place.is_stale)

    def _take(self, jid: str) -> str | None:
        """The uid at this JID, if it is one to listen to."""
        uid = uid_of(jid.partition("/")[2])
        if uid is None or uid == self._uid or not self.hears(jid):
            return None
        known = self._places.get(uid)
        if known is None:
            if len(self._places) >= MAX_PEERS:
                return None
        elif not known.is_stale and bare(known.jid) != bare(jid) and bare(jid) != self._own:
            return None
        self._places[uid] = _Place(jid)
        return uid

    def _forget(self, uids: Iterable[str]) -> list[SignalEvent]:
        gone = list(uids)
        for uid in gone:
            del self._places[uid]
        return [PeerGone(uid, self._via) for uid in gone]
