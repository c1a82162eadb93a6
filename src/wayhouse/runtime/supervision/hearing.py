"""Hearing children: which notification counts, and what follows from it for descriptors and the main process.

Called by the driver of supervision. Rules: a message counts only when it comes from the child's own tree, under our user
id; a process that handed over speaks for the child no more; every descriptor that came is kept or closed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.machine import Supervision
from wayhouse.runtime.supervision.notify_message import Notice
from wayhouse.runtime.supervision.notify_socket import Received, close_all, descends, parent_of
from wayhouse.runtime.supervision.place import Place

LAST_WORDS = 64


class Hearing:
    """`watch_main(place)` is called when another process became the child; `orphans`: those are left to this process."""

    def __init__(
        self,
        machine: Supervision,
        places: Mapping[str, Place],
        *,
        orphans: bool,
        now: Callable[[], float],
        on_fact: Callable[[Any], object],
        watch_main: Callable[[Place], object],
    ) -> None:
        self._machine, self._places, self._orphans = machine, places, orphans
        self._now, self._on_fact, self._watch_main = now, on_fact, watch_main

    def hear(self, place: Place) -> int:
        """Take what was said, at most some messages; answers how many there were."""
        count = 0
        for count, message in enumerate(place.notify.receive() if place.notify else (), 1):  # noqa: B007 - counted
            why_not = message.fault or self._why_not(place, message)
            if why_not:
                close_all(message.fds)
                self._on_fact(facts.MessageRefused(place.spec.name, why_not))
            else:
                self._take(place, message)
        return count

    def hear_out(self, place: Place) -> None:
        """All that it said before it ended; a flood from its children has an end, too."""
        for _ in range(LAST_WORDS):
            if not self.hear(place):
                return

    def _why_not(self, place: Place, message: Received) -> str:
        if message.uid != os.geteuid():
            return f"it is from user {message.uid}"
        if not place.main:
            return f"it is from process {message.pid}, and the child does not run"
        return (
            ""
            if self._is_of_tree(place, message.pid)
            else f"it is from process {message.pid}, not of this child"
        )

    def _is_of_tree(self, place: Place, pid: int) -> bool:
        """Also what its parent has left to us: it cannot be anybody else's."""
        if descends(pid, place.pids):
            return True
        others = {one for other in self._places.values() if other is not place for one in other.pids}
        ours = self._orphans and pid != os.getpid() and descends(pid, {os.getpid()})
        return ours and not descends(pid, others)

    def _take(self, place: Place, message: Received) -> None:
        name, notice = place.spec.name, message.notice
        if notice.main_pid is not None and notice.main_pid != place.main:
            self._move(place, message.pid, notice.main_pid)
        if notice.remove and place.bank is not None:
            place.bank.remove(notice.fd_name)
        if message.fds:
            self._store(place, message)
        self._machine.notified(name, _as_said_by(place, message.pid, notice), self._now())

    def _store(self, place: Place, message: Received) -> None:
        if message.notice.barrier or not message.notice.store:
            return close_all(message.fds)
        if place.bank is None:
            close_all(message.fds)
            refused = len(message.fds)
        else:
            refused = place.bank.store(message.notice.fd_name, message.fds, poll=message.notice.poll)
        if refused:
            most = place.spec.bank
            self._on_fact(
                facts.DescriptorsRefused(place.spec.name, refused, f"at most {most} are kept for it")
            )
        return None

    def _move(self, place: Place, sender: int, pid: int) -> None:
        name = place.spec.name
        known = pid in place.elders
        try:
            if not known and not self._may_follow(place, pid):
                raise ProcessLookupError
            place.move(pid)
        except OSError:
            reason = f"process {sender} names {pid}, which is not of this child"
            self._on_fact(facts.MessageRefused(name, reason))
            return
        if not known:
            self._watch_main(place)
        self._machine.moved(name, pid, self._now())

    def _may_follow(self, place: Place, pid: int) -> bool:
        """Of the tree, or, when the one that started it has ended, of the session of the child."""
        if not may_be_named(pid):
            return False
        try:
            return self._is_of_tree(place, pid) or (parent_of(pid) == 1 and os.getsid(pid) == place.leader)
        except OSError:
            return False


def _as_said_by(place: Place, sender: int, notice: Notice) -> Notice:
    """STOPPING is the main process's to say, and one that handed over speaks for the child no more."""
    if sender in place.elders:
        return Notice()
    return notice if sender == place.main else msgspec.structs.replace(notice, stopping=False)


def may_be_named(pid: int) -> bool:
    """Whether a process could be a child's at all: it is there, ours by its user, and neither we nor the first of all."""
    try:
        return pid > 1 and pid != os.getpid() and os.stat(f"/proc/{pid}").st_uid == os.geteuid()  # noqa: PTH116
    except OSError:
        return False
