import asyncio

import pytest

from tests.parts.overlay_nodes import UIDS
from wayhouse.base.errors import ConflictError
from wayhouse.overlay.drivers.fake_signal import Exchange
from wayhouse.overlay.model import Heard, NoSuchPeerError, PeerSeen, SignalDown, SignalUp
from wayhouse.overlay.signalling import Signalling

A, B = UIDS[:2]


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def world():
    one, other = Exchange(), Exchange()
    return one, other


async def test_it_signs_in_everywhere_and_out_again(world):
    one, other = world
    events = []
    signalling = Signalling(events.append)
    signalling.add(one.signaller("one"))
    assert signalling.down == {"one": "It is signing in."}
    signalling.start(A, "FPR")
    signalling.add(other.signaller("other"))
    with pytest.raises(ConflictError):
        signalling.add(other.signaller("other"))
    await turns()
    assert [event for event in events if isinstance(event, SignalUp)] == [SignalUp("one"), SignalUp("other")]
    for event in events:
        signalling.note(event)
    assert signalling.down == {}
    signalling.note(SignalDown("one", "It is gone."))
    signalling.note(SignalDown("never", "It was never there."))
    assert signalling.down == {"one": "It is gone."}
    await signalling.remove("one")
    await signalling.remove("one")
    assert (list(signalling.signallers), signalling.down) == (["other"], {})
    await signalling.stop()
    assert signalling.signallers == {}


async def test_a_message_goes_where_the_peer_is(world):
    one, other = world
    mine, theirs = [], []
    signalling, far = Signalling(mine.append), Signalling(theirs.append)
    for exchange, name in ((one, "one"), (other, "other")):
        signalling.add(exchange.signaller(name))
    signalling.start(A, "FPR-a")
    far.add(other.signaller("far"))
    far.start(B, "FPR-b")
    await turns()
    assert PeerSeen(B, "FPR-b", "other") in mine
    for first in ("", "one", "other", "never"):
        signalling.send(B, "send_msg", first, first)
    await turns()
    assert [event.data for event in theirs if isinstance(event, Heard)] == ["", "one", "other", "never"]
    with pytest.raises(NoSuchPeerError):
        signalling.send("c" * 40, "send_msg", "x")
