"""Slows down guessing: a pure machine that counts failed sign-ins per user and client, and per client.

`sign_in` calls `attempt` *before* it checks a password, so that guesses sent at the same moment count too, and
`succeeded` afterwards. Time is an argument (monotonic seconds). Memory is bounded: the oldest entries are dropped.
No client is exempt; an IPv6 client counts as its /64 network, since it can take any address in it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
from collections import OrderedDict

from wayhouse.access.model import AccessSettings, LockedOutError

MAX_ENTRIES = 10_000

Key = tuple[str, str | None]


@dataclasses.dataclass(slots=True)
class _Count:
    failures: int = 0
    since: float = 0.0
    locked_until: float = -math.inf
    lockouts: int = 0


class Lockout:
    def __init__(self, settings: AccessSettings, *, max_entries: int = MAX_ENTRIES) -> None:
        self._settings = settings
        self._max_entries = max_entries
        self._counts: OrderedDict[Key, _Count] = OrderedDict()

    def attempt(self, client: str, username: str, now: float) -> None:
        """Count a sign-in that is about to be checked. Raises `LockedOutError` with `retry_after_s` in its fields."""
        network = network_of(client)
        keys: tuple[tuple[Key, int], ...] = (
            ((network, username), self._settings.login_attempts),
            ((network, None), self._settings.client_attempts),
        )
        wait_s = max(self._wait_s(key, now) for key, _ in keys)
        if wait_s > 0:
            raise LockedOutError(
                f"Too many failed sign-ins. Try again in {math.ceil(wait_s)} seconds.",
                retry_after_s=math.ceil(wait_s),
            )
        for key, limit in keys:
            self._count(key, limit, now)

    def succeeded(self, client: str, username: str) -> None:
        """The attempt was right: forget the pair, and take the attempt back from the client."""
        network = network_of(client)
        self._counts.pop((network, username), None)
        self._take_back((network, None), self._settings.client_attempts)

    def unchecked(self, client: str, username: str) -> None:
        """The attempt was never looked at: take it back from both."""
        network = network_of(client)
        self._take_back((network, username), self._settings.login_attempts)
        self._take_back((network, None), self._settings.client_attempts)

    def _take_back(self, key: Key, limit: int) -> None:
        count = self._counts.get(key)
        if count is None:
            return
        if count.failures == 0:  # this attempt was the one that locked: it should not have
            count.failures = limit
            count.locked_until = -math.inf
            count.lockouts = max(0, count.lockouts - 1)
        count.failures -= 1

    def __len__(self) -> int:
        return len(self._counts)

    def _wait_s(self, key: Key, now: float) -> float:
        count = self._counts.get(key)
        return 0.0 if count is None else max(0.0, count.locked_until - now)

    def _count(self, key: Key, limit: int, now: float) -> None:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(since=now)
        self._counts.move_to_end(key)
        if now - count.since > self._settings.login_window_s:
            calm_s = now - max(count.since, count.locked_until)
            count.lockouts = 0 if calm_s > self._settings.lockout_max_s else count.lockouts
            count.failures, count.since = 0, now
        count.failures += 1
        if count.failures >= limit:
            lock_s = min(
                self._settings.lockout_s * 2.0 ** min(count.lockouts, 32), self._settings.lockout_max_s
            )
            count.failures, count.since, count.locked_until = 0, now, now + lock_s
            count.lockouts += 1
        while len(self._counts) > self._max_entries:
            self._counts.popitem(last=False)


def network_of(client: str) -> str:
    """What counts as one client: an IPv4 address, the /64 of an IPv6 address, or the text as it is."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))


def is_loopback(client: str) -> bool:
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
