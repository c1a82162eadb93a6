import pytest

from tests.parts.old_ends import identity
from wayhouse.base.clock import ManualClock
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.legacy.old_trust import OldTrust
from wayhouse.overlay.model import BadBindingError
from wayhouse.overlay.trust import MemoryPins, Trust

OWN, PEER = "1" * 40, "2" * 40
CAS = "a:1:udp:192.0.2.1:5:1:ufrag:pwd:local:eth0:0:1"
TOLD, OTHER = ":".join(["AB"] * 20), ":".join(["CD"] * 20)


@pytest.fixture
def pins() -> MemoryPins:
    return MemoryPins()


@pytest.fixture
def trust(pins) -> OldTrust:
    return OldTrust(pins, ManualClock())


def test_a_peer_is_its_fingerprint(trust):
    found = trust.check(CAS, OWN, PEER, TOLD)
    assert (found.security, found.is_modern) == ("dtls", False)
    assert found.tunnel_key == peer_key.encode(PEER, TOLD)
    assert trust.token(identity(OWN)) == ""
    assert trust.is_still_good(found) is None


def test_the_first_certificate_counts_once_it_was_proved(trust):
    first = trust.check(CAS, OWN, PEER, TOLD)
    assert trust.check(CAS, OWN, PEER, OTHER).certificate_hash == OTHER, "not proved yet"
    trust.keep(first)
    with pytest.raises(BadBindingError, match="another certificate than before"):
        trust.check(CAS, OWN, PEER, OTHER)
    assert trust.check(CAS, OWN, PEER, TOLD).is_same(first)
    trust.forget(PEER)
    trust.check(CAS, OWN, PEER, OTHER)


@pytest.mark.parametrize("text", [":".join(["00"] * 20), "AB", "x" * 59])
def test_who_has_no_fingerprint_is_refused(trust, text):
    with pytest.raises(BadBindingError, match="no fingerprint"):
        trust.check(CAS, OWN, PEER, text)


def test_nodes_of_today_are_refused(trust):
    modern = Identity(bytes(32), PEER)
    token = Trust(MemoryPins(), ManualClock()).token(modern, cas=CAS)
    with pytest.raises(BadBindingError, match="--legacy"):
        trust.check(f"{CAS} {token}", OWN, PEER, modern.fingerprint())


def test_in_the_clear_only_where_it_was_allowed(trust, pins):
    with pytest.raises(BadBindingError, match="--in-the-clear"):
        trust.check(CAS, OWN, PEER, peer_key.IN_THE_CLEAR)
    open_one = OldTrust(pins, ManualClock(), allows_clear=True)
    found = open_one.check(CAS, OWN, PEER, peer_key.IN_THE_CLEAR)
    assert (found.security, found.tunnel_key) == ("none", bytes.fromhex(PEER))
    open_one.keep(found)
    assert pins.get(PEER) is None, "nothing was proved"
