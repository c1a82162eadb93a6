"""The door stands open where something is shared, for those whom it is shared with."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.share_lab import GIVER, TAKER, TAKER_UID, Giver, giver, link, until
from wayhouse.overlay import door_words as words
from wayhouse.overlay.drivers import door as doors
from wayhouse.overlay.drivers.door import visitor_at
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.shares import Share

SHED_UID = "ef" * 20
LAMP = Share(what="device:lamp", to="tag:family")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Giver]:
    async with giver(tmp_path) as made:
        yield made


async def first_line(port: int, source: str = TAKER, address: str = GIVER) -> bytes:
    reader, writer = await asyncio.open_connection(address, port, local_addr=(source, 0))
    try:
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def line_over_ipv6(port: int) -> bytes:
    return await first_line(port, "::1", "::1")


async def test_it_is_open_only_while_something_is_shared(house: Giver) -> None:
    assert house.door.ports() == []
    await house.share(LAMP)
    assert isinstance(words.decode_tell(await first_line(house.port)), words.Hello)
    port = house.port
    await house.share()
    assert house.door.ports() == []
    with pytest.raises(ConnectionRefusedError):
        await first_line(port)
    await house.share(LAMP)
    await house.overlays.leave("home")
    await house.door.look()
    assert house.door.ports() == []


async def test_who_is_not_meant_is_sent_away(house: Giver) -> None:
    await house.share(LAMP)
    assert await first_line(house.port, "127.0.0.9") == b""
    house.links.peers["home"] = (link(TAKER_UID, "attic", TAKER, "guests"),)
    assert await first_line(house.port) == b""
    house.links.peers["home"] = (link(TAKER_UID, "attic", TAKER, "family", status=LinkStatus.OFFLINE),)
    assert await first_line(house.port) == b""


async def test_one_peer_has_only_so_many_connections(house: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MOST_OF_ONE", 2)
    await house.share(LAMP)
    held = [await asyncio.open_connection(GIVER, house.port, local_addr=(TAKER, 0)) for _ in range(2)]
    for reader, _ in held:
        assert await reader.readline()
    assert await first_line(house.port) == b""
    for _, writer in held:
        writer.close()
    await until(lambda: not house.door._visitors)
    assert await first_line(house.port)


async def test_an_app_is_passed_on_to_those_it_is_shared_with(house: Giver) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()

    app = await asyncio.start_server(page, "127.0.0.1", 0)
    with socket.socket() as trial:
        trial.bind((GIVER, 0))
        port = trial.getsockname()[1]
    await house.share(Share(what="app:hello", to="tag:family", port=port))
    assert house.door.ports() == [port]
    assert await first_line(port) == b"", "it does not run"
    house.pages["hello"] = app.sockets[0].getsockname()[1]
    assert await first_line(port) == b"hello\n"
    assert await first_line(port, "127.0.0.9") == b""
    app.close()
    assert await first_line(port) == b""


async def test_a_port_that_is_taken_is_told_once_and_tried_again(
    house: Giver, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server((GIVER, 0)) as taken:
        port = taken.getsockname()[1]
        await house.share(LAMP, Share(what="app:hello", to="any", port=port))
        await house.door.look()
        assert len([one for one in caplog.messages if "cannot reach" in one]) == 1
        assert port not in house.door.ports()
    await house.door.look()
    assert port in house.door.ports()


async def test_the_interface_has_to_be_there(house: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(house.links), "_there", lambda self, state: state)
    await house.share(LAMP)
    assert house.door.ports() == []


async def test_it_is_open_at_the_ipv6_address_too(house: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.links, "address6", "::1")
    await house.share(LAMP)
    assert len(house.door.ports()) == 2
    port = next(one for one in house.door.ports() if one not in house.door.ports(socket.AF_INET))
    assert await line_over_ipv6(port) == b"", "nobody's address yet"
    house.links.peers["home"] = (link(TAKER_UID, "attic", TAKER, "family", ip6="::1"),)
    assert isinstance(words.decode_tell(await line_over_ipv6(port)), words.Hello)
    with pytest.raises(ConnectionRefusedError):
        await first_line(port)
    await house.share()
    assert house.door.ports() == []


async def test_it_is_open_where_there_is_ipv6_alone(house: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.links, "address", "")
    monkeypatch.setattr(house.links, "address6", "::1")
    house.links.peers["home"] = (link(TAKER_UID, "attic", "", "family", ip6="::1"),)
    await house.share(LAMP)
    assert await line_over_ipv6(house.port)


async def test_a_machine_without_ipv6_is_not_complained_of(
    house: Giver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = socket.socket

    def without(family: int = -1, *more: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *more)

    monkeypatch.setattr(house.links, "address6", "::1")
    monkeypatch.setattr(doors.socket, "socket", without)
    await house.share(LAMP)
    assert len(house.door.ports()) == 1
    assert "cannot reach" not in caplog.text


async def test_a_peer_is_known_by_its_address(house: Giver) -> None:
    state = house.overlays.state("home")
    found = visitor_at(state, TAKER)
    assert found is not None
    assert (found.uid, found.overlay, found.name, found.tags) == (
        TAKER_UID,
        "home",
        "attic",
        frozenset({"family"}),
    )
    assert visitor_at(state, "") is None
    house.links.peers["home"] = (
        link(SHED_UID, "shed", "", ip6="x"),
        link(TAKER_UID, "attic", "", ip6="fd08:07DC:0:0:0:0:0:0007"),
    )
    state = house.overlays.state("home")
    found = visitor_at(state, "fd08:7dc::7")  # as the kernel writes it
    assert found is not None
    assert found.uid == TAKER_UID
    assert visitor_at(state, "fd08:7dc::8") is None
    assert visitor_at(state, "x") is None
    assert visitor_at(state, "127.0.0.3") is None
