"""A client's notes, in virtual time."""

from __future__ import annotations

import pytest

from wayhouse.bus.model import WORKER_LOST, ClientError, NoReplyError, ServerError, refusal
from wayhouse.bus.titanic_book import Book, Note, accepted, build_order, parse_name

U = b"u" * 16


def noted(book: Book, uuid: bytes = U, made: float = 0.0) -> None:
    book.add(Note(uuid, made, None, (), {}))


def test_a_final_status_is_told_once() -> None:
    book = Book(900.0)
    noted(book)
    assert book.status(U) == b"300"
    assert book.status(U) == b"300"
    assert book.answered(U, [b"300"]) is None
    note = book.answered(U, [b"200", b"reply"])
    assert note is not None
    assert note.result() == [b"reply"]
    assert book.pending() == []
    assert book.status(U) == b"200"
    assert book.status(U) == b"400"
    assert book.status(None) == b"400"


def test_text_behind_a_status_is_ignored() -> None:
    book = Book(900.0)
    noted(book)
    note = book.answered(U, [b"500 sorry", b"reason"])
    assert note is not None
    assert note.status == b"500"
    with pytest.raises(ServerError, match="reason"):
        note.result()


def test_take_forgets() -> None:
    book = Book(900.0)
    noted(book)
    assert book.take(U) is None
    book.answered(U, [b"200", b"x"])
    assert book.take(U)
    assert book.take(U) is None
    assert len(book) == 0


def test_what_nobody_fetches_is_forgotten_but_not_what_waits() -> None:
    book = Book(900.0)
    noted(book)
    noted(book, b"v" * 16)
    book.answered(U, [b"500", b"x"])
    book.tidy(900.0)
    assert len(book) == 2
    book.tidy(901.0)
    assert book.pending() == [b"v" * 16]
    assert len(book) == 1


def test_build_order() -> None:
    def order(hostname: str, service: str | None, data: object) -> list[bytes]:
        return build_order(hostname, service, data, once=False, ttl_s=None, uuid=None)  # type: ignore[arg-type]

    assert order("host", "fake.devices", ["get", b"x"]) == [b"host.fake.devices", b"get", b"x"]
    assert order("", "echo", "hello") == [b"echo", b"hello"]
    assert order("host", None, ["mmi.echo"]) == [b"mmi.echo", b""]
    assert order("host", None, []) == [b"mmi.echo", b""]


def test_accepted() -> None:
    assert accepted([b"200 ok", U.hex().encode()]) == U
    assert accepted(refusal(b"500", WORKER_LOST, "x")) is None
    with pytest.raises(NoReplyError):
        accepted(None)
    with pytest.raises(ClientError):
        accepted([b"400", b"no"])
    for wrong in ([b"500"], [], [b"200"], [b"200", b"nonsense"]):
        with pytest.raises(ServerError):
            accepted(wrong)


def test_parse_name() -> None:
    assert parse_name(U.hex()) == parse_name(U.hex().upper().encode()) == U
    assert parse_name("?") is None
