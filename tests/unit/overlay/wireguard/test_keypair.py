"""The rotation of keypairs, for both roles and for a collision."""

from __future__ import annotations

import secrets

import pytest

from tests.parts.wireguard_wire import EXACT, Wire
from wayhouse.overlay.wireguard.keypair import MOST_RETIRED, Indices, Keypair, Keypairs
from wayhouse.overlay.wireguard.noise import SessionKeys
from wayhouse.overlay.wireguard.timing import BATCH, REJECT_AFTER_MESSAGES


class Rotation:
    """Keypairs with their indices; `make` gives a fresh one."""

    def __init__(self, *, wins: bool = True) -> None:
        self.indices = Indices()
        self.keys = Keypairs(self.indices, EXACT, wins=wins)
        self.peer = Wire().peer()

    def make(self, *, is_initiator: bool = True) -> Keypair:
        keys = SessionKeys(secrets.token_bytes(32), secrets.token_bytes(32), 5)
        index = self.indices.allocate()
        return Keypair(self.peer, keys, index, is_initiator=is_initiator, now=0.0, life_s=180.0)

    @property
    def slots(self) -> tuple[Keypair | None, Keypair | None, Keypair | None]:
        return self.keys.previous, self.keys.current, self.keys.next


def test_an_initiator_sends_with_new_keys_at_once() -> None:
    rotation = Rotation()
    one, two = rotation.make(), rotation.make()
    rotation.keys.initiated(one, 0.0)
    rotation.keys.initiated(two, 0.0)
    assert rotation.slots == (one, two, None)


def test_a_responder_waits_until_the_initiator_has_used_them() -> None:
    rotation = Rotation()
    one, two = rotation.make(), rotation.make()
    rotation.keys.responded(one, 0.0)
    assert rotation.slots == (None, None, one)
    assert rotation.keys.confirm(one, 0.0)
    assert not rotation.keys.confirm(one, 0.0)
    rotation.keys.responded(two, 0.0)
    assert rotation.slots == (None, one, two)
    assert rotation.keys.confirm(two, 0.0)
    assert rotation.slots == (one, two, None)


def test_in_a_collision_the_winners_session_is_kept() -> None:
    winner, loser = Rotation(wins=True), Rotation(wins=False)
    for side in (winner, loser):
        side.theirs, side.ours = side.make(is_initiator=False), side.make()  # type: ignore[attr-defined]
        side.keys.responded(side.theirs, 0.0)  # type: ignore[attr-defined]
        side.keys.initiated(side.ours, 0.0)  # type: ignore[attr-defined]
    assert winner.slots == (winner.theirs, winner.ours, None)  # type: ignore[attr-defined]
    assert loser.slots == (None, loser.ours, loser.theirs)  # type: ignore[attr-defined]


def test_what_is_rotated_out_opens_for_a_while_and_then_its_index_is_free() -> None:
    rotation = Rotation()
    made = [rotation.make() for _ in range(3)]
    for keypair in made:
        rotation.keys.initiated(keypair, 100.0)
    assert len(rotation.indices.by_index) == 3
    assert rotation.keys.retire_at() == 110.0
    rotation.keys.drop_retired(109.0)
    assert made[0].local_index in rotation.indices.by_index
    rotation.keys.drop_retired(110.0)
    assert set(rotation.indices.by_index.values()) == set(made[1:])


def test_a_peer_that_initiates_without_end_holds_few_keys() -> None:
    rotation = Rotation()
    for _ in range(100):
        rotation.keys.responded(rotation.make(is_initiator=False), 0.0)
    assert len(rotation.indices.by_index) == MOST_RETIRED + 1


def test_erasing_leaves_nothing() -> None:
    rotation = Rotation()
    for _ in range(4):
        rotation.keys.initiated(rotation.make(), 0.0)
    rotation.keys.responded(rotation.make(), 0.0)
    rotation.keys.erase()
    assert rotation.slots == (None, None, None)
    assert not rotation.indices.by_index


def test_a_key_ends_by_age_and_by_use() -> None:
    keypair = Rotation().make()
    assert keypair.can_send(179.9)
    assert not keypair.can_send(180.0)
    keypair.send_counter = REJECT_AFTER_MESSAGES - BATCH
    assert keypair.can_send(0.0)
    keypair.send_counter += 1
    assert not keypair.can_send(0.0)


def test_an_index_in_use_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = Rotation()
    kept, initiating = rotation.make(), 7
    rotation.keys.initiated(kept, 0.0)
    rotation.indices.initiating[initiating] = rotation.peer
    numbers = iter([kept.local_index, initiating, 8])
    monkeypatch.setattr(secrets, "randbits", lambda _: next(numbers))
    assert rotation.indices.allocate() == 8
