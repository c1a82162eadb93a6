import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.old_ends import LARGE, SMALL, channel, credentials, digest, key, session, talk
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy import channel as channels
from wayhouse.overlay.legacy import dtls, peer_key
from wayhouse.overlay.legacy.channel import ClearChannel, DtlsChannel, Established, Silent, Troubled

OWN = bytes.fromhex(LARGE)


def up(client: DtlsChannel, server: DtlsChannel, now: float = 0.0) -> None:
    server.path_up(now)
    client.path_up(now)
    talk(client, server, now)


def linked() -> tuple[DtlsChannel, DtlsChannel]:
    client, server = channel(SMALL, LARGE), channel(LARGE, SMALL)
    up(client, server)
    assert [type(one) for one in client.events() + server.events()] == [Established, Established]
    return client, server


def passes(sender: DtlsChannel, receiver: DtlsChannel, now: float = 0.0) -> bool:
    if not sender.send(b"frame"):
        return False
    return [one for sent in sender.outbox() for one in receiver.receive(sent, now)] == [b"frame"]


def test_the_smaller_uid_begins():
    client, server = linked()
    assert passes(client, server)
    assert passes(server, client)
    assert math.isinf(client.deadline(0.0))
    assert math.isinf(server.deadline(0.0))


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_doubled_and_late_it_still_comes_about(chance):
    client, server = channel(SMALL, LARGE), channel(LARGE, SMALL)
    client.path_up(0.0)
    server.path_up(0.0)
    late: dict[DtlsChannel, list[bytes]] = {client: [], server: []}
    for _ in range(12):
        for here, there in ((client, server), (server, client)):
            for one in here.outbox():
                late[here].append(one)
                there.receive(one, 0.0)
                if chance.random() < 0.4:
                    there.receive(chance.choice(late[here]), 0.0)
    assert passes(client, server)
    assert passes(server, client)


def test_without_a_path_nothing_is_said():
    client = channel(SMALL, LARGE)
    assert not client.send(b"x")
    assert client.outbox() == []
    client, _ = linked()
    client.path_down()
    assert not client.send(b"x")
    client.path_down()
    assert client.outbox() == []


def test_a_peer_that_began_anew_is_taken_up():
    client, _ = linked()
    again = channel(LARGE, SMALL)
    client.path_down()
    up(client, again, 10.0)
    assert passes(client, again)
    assert passes(again, client)
    other = channel(SMALL, LARGE)
    up(other, again, 20.0)
    assert passes(other, again, 20.0)
    assert passes(again, other, 20.0)
    assert not passes(client, again, 20.0), "the life before"


def test_a_session_that_the_peer_kept_goes_on():
    client, server = linked()
    server._is_server = False  # as an old one: it does not hear a hello in a session
    client.path_down()
    client.path_up(5.0)
    talk(client, server, 5.0)
    assert client.deadline(5.0) <= 5.0 + channels.HANDSHAKE_S
    assert passes(server, client, 6.0)
    assert math.isinf(client.deadline(6.0)), "nothing to be asked for any more"
    assert passes(client, server, 6.0)


def test_a_handshake_that_nobody_answers_is_begun_again_and_again():
    client = channel(SMALL, LARGE)
    client.path_up(0.0)
    now, troubles = 0.0, 0
    while troubles < 4:
        assert client.outbox() is not None
        now = max(client.deadline(now), now + 0.5)
        client.tick(now)
        troubles += sum(isinstance(one, Troubled) for one in client.events())
    assert 40 < now < 120
    server = channel(LARGE, SMALL)
    server.path_up(now)
    client.tick(now + 60)
    talk(client, server, now + 60)
    assert passes(client, server, now + 60)


def test_a_wrong_certificate_is_told_and_tried_again():
    client = DtlsChannel(credentials(SMALL), Digest.SHA1, digest("3" * 40), is_server=False)
    server = channel(LARGE, SMALL)
    up(client, server)
    assert client.events() == [Troubled(dtls.WRONG_CERTIFICATE)]
    assert client.deadline(0.0) == channels.AGAIN_S
    assert not client.send(b"x")


def test_who_cannot_finish_a_handshake_ends_no_session():
    client, server = linked()
    liar = DtlsChannel(credentials("3" * 40), Digest.SHA1, digest(LARGE), is_server=False)
    liar.path_up(1.0)
    talk(liar, server, 1.0)
    assert server.events() == []
    assert passes(client, server, 1.0)
    stranger = session("3" * 40, LARGE)
    stranger.begin()
    for hello in stranger.outbox():
        server.receive(hello, 2.0)
    assert passes(client, server, 2.0)
    server.tick(2.0 + channels.HANDSHAKE_S)
    assert server.events() == []
    assert math.isinf(server.deadline(20.0))


def test_a_session_that_the_peer_ended_is_made_anew():
    client, server = linked()
    server.close()
    talk(client, server, 3.0)
    assert client.events() == [Silent()]
    assert client.deadline(3.0) == 4.0
    again = channel(LARGE, SMALL)
    again.path_up(4.0)
    client.tick(4.0)
    talk(client, again, 4.0)
    assert passes(client, again, 4.0)


def test_a_client_is_greeted_by_nobody():
    client, _ = linked()
    other = session(SMALL, LARGE)
    other.begin()
    assert client.receive(other.outbox()[0], 0.0) == []
    assert client.outbox() == []
    assert client.receive(b"\x00 not DTLS", 0.0) == []


def test_in_the_clear_a_path_is_enough():
    link = channels.make(credentials(LARGE), peer_key.decode(bytes.fromhex(SMALL)), OWN)
    assert isinstance(link, ClearChannel)
    assert not link.send(b"x")
    link.path_up(0.0)
    assert link.events() == [Established("none")]
    assert link.send(b"x")
    assert (link.outbox(), link.outbox()) == ([b"x"], [])
    assert link.receive(b"y", 0.0) == [b"y"]
    assert math.isinf(link.deadline(0.0))
    link.tick(1.0)
    link.path_down()
    link.close()
    assert not link.send(b"x")


def test_the_role_follows_from_the_uids():
    link = channels.make(credentials(LARGE), peer_key.decode(key(SMALL)), OWN)
    assert isinstance(link, DtlsChannel)
    assert link._is_server
