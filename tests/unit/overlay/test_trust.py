import pytest

from wayhouse.access.model import UnsafeFileError
from wayhouse.base.clock import ManualClock
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.membership import Administrator, Group, revoke
from wayhouse.overlay.model import BadBindingError
from wayhouse.overlay.tickets import Revocations
from wayhouse.overlay.trust import MOST_PINS, Membership, MemoryPins, Pin, PinFile, Trust

UID, OWN = "a" * 40, "b" * 40
PEER = Identity(b"p" * 32, UID)
AGAIN = Identity(b"q" * 32, UID)
ADMIN = Administrator(bytes(range(32)), "home")
GROUP = Group(overlay="home", admin_key=ADMIN.public_key, secret=b"s" * 32)


def member(**more) -> Membership:
    key = b"k" * 32
    return Membership(group=GROUP, ticket=ADMIN.ticket(key, **more), ticket_key=key)


def social(pins=None) -> Trust:
    return Trust(pins or MemoryPins(), ManualClock())


def check(trust: Trust, shown: Trust, identity: Identity):
    return trust.check(shown.token(identity), OWN, identity.uid, identity.fingerprint())


def test_the_first_certificate_is_trusted_and_another_refused():
    trust = social()
    first = check(trust, trust, PEER)
    assert (first.tunnel_key, first.preshared_key, first.ticket) == (PEER.tunnel_public_key, None, None)
    assert check(trust, trust, AGAIN).tunnel_key == AGAIN.tunnel_public_key, "nobody has proved anything yet"
    trust.keep(first)
    assert check(trust, trust, PEER).is_same(first)
    with pytest.raises(BadBindingError, match="forget the peer"):
        check(trust, trust, AGAIN)
    trust.forget(UID)
    assert check(trust, trust, AGAIN)


def test_in_a_group_members_only():
    trust, stranger = Trust(MemoryPins(), ManualClock(), member()), social()
    found = check(trust, Trust(MemoryPins(), ManualClock(), member(tags=("lab",))), PEER)
    assert found.ticket is not None
    assert found.ticket.tags == ("lab",)
    assert found.preshared_key == GROUP.preshared_key(OWN, UID)
    with pytest.raises(BadBindingError, match="invitation"):
        check(trust, stranger, PEER)


def test_a_new_certificate_by_the_same_ticket_is_the_same_member():
    place = member()
    trust = Trust(MemoryPins(), ManualClock(), place)
    trust.keep(check(trust, trust, PEER))
    assert check(trust, trust, AGAIN)
    other = Trust(MemoryPins(), ManualClock(), member())
    with pytest.raises(BadBindingError, match="another certificate"):
        check(trust, other, AGAIN)


def test_messages_are_numbered_by_the_clock():
    clock = ManualClock(5.0)
    trust = Trust(MemoryPins(), clock)
    first = check(trust, trust, PEER)
    clock.advance(1.5)
    second = check(trust, trust, PEER)
    assert (first.serial, second.serial) == (5_000, 6_500)
    assert second.is_same(first)
    assert second != first


def test_a_newer_list_replaces_an_older_one():
    place = member()
    trust = Trust(MemoryPins(), ManualClock(), place)
    found = check(trust, trust, PEER)
    assert found.ticket is not None
    empty = Revocations(overlay="home")
    first = ADMIN.revocations(revoke(empty, uids=frozenset({"c" * 40})))
    second = ADMIN.revocations(revoke(revoke(empty), tickets=frozenset({found.ticket.id})))
    assert trust.revocations is None
    assert trust.hear_revocations(first)
    assert not trust.hear_revocations(first)
    assert trust.is_still_good(found) is None
    assert trust.hear_revocations(second)
    assert not trust.hear_revocations(first)
    assert trust.revocations == second
    assert "taken back" in (trust.is_still_good(found) or "")
    with pytest.raises(BadBindingError, match="taken back"):
        check(trust, trust, PEER)
    with pytest.raises(BadBindingError, match="not signed"):
        trust.hear_revocations(Administrator.create("home").revocations(revoke(revoke(revoke(empty)))))
    assert Trust(MemoryPins(), ManualClock(), place, second).revocations == second
    assert not social().hear_revocations(second)


def test_a_membership_that_ends():
    clock = ManualClock(1_000.0)
    trust = Trust(MemoryPins(), clock, member(expires=1_500))
    found = check(trust, trust, PEER)
    assert trust.is_still_good(found) is None
    clock.advance(500)
    assert "renew" in (trust.is_still_good(found) or "")
    assert social().is_still_good(check(social(), social(), PEER)) is None


def test_pins_are_kept_in_a_file(tmp_path):
    path = tmp_path / "known-peers.json"
    trust = social(PinFile(path))
    trust.keep(check(trust, trust, PEER))
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadBindingError):
        check(social(PinFile(path)), social(), AGAIN)
    PinFile(path).forget(UID)
    assert PinFile(path).get(UID) is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_not_taken_for_an_empty_one(tmp_path):
    path = tmp_path / "known-peers.json"
    path.write_text("{")
    with pytest.raises(UnsafeFileError, match="trusted anew"):
        PinFile(path)


def test_a_disk_that_is_full_costs_the_pin_alone(tmp_path, caplog):
    path = tmp_path / "known-peers.json"
    pins = PinFile(path)
    path.mkdir()
    pins.put(UID, Pin(certificate_hash="x"))
    assert pins.get(UID) == Pin(certificate_hash="x")
    assert "cannot be written" in caplog.text


def test_pins_are_bounded():
    pins = MemoryPins()
    for number in range(MOST_PINS + 1):
        pins.put(f"{number:040x}", Pin(certificate_hash="x"))
    assert pins.get(f"{0:040x}") is None
    assert pins.get(f"{1:040x}") is not None


def test_nothing_secret_is_shown():
    assert "k" * 32 not in repr(member())
