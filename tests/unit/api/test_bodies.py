import pytest

from wayhouse.access.policy import Right
from wayhouse.api import bodies
from wayhouse.api.table import endpoint
from wayhouse.base.errors import BadInputError, TooLargeError, UnsupportedMediaError


def row(**more):
    return endpoint("POST", "/x", Right.SEE, "", None, reply=dict, body=dict[str, int], **more)


def sender(*parts, end=True):
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b""} if end else {"type": "http.disconnect"})
    one = iter(messages)

    async def receive():
        return next(one)

    return receive


async def read(one, *parts, headers=None, most=100, end=True):
    return await bodies.read_body(one, headers or {}, sender(*parts, end=end), most=most)


async def test_a_body_in_parts_is_one_body():
    assert await read(row(), b'{"a"', b":", b"1}") == {"a": 1}


async def test_a_body_of_any_media_is_json():
    assert await read(row(), b'{"a":1}', headers={"content-type": "text/plain"}) == {"a": 1}


async def test_too_much_is_refused_by_its_length_or_when_it_comes():
    with pytest.raises(TooLargeError):
        await read(row(), headers={"content-length": "101"})
    with pytest.raises(TooLargeError):
        await read(row(), b"x" * 60, b"x" * 60)
    with pytest.raises(BadInputError):
        await read(row(), headers={"content-length": "²"})


async def test_half_a_body_is_refused():
    with pytest.raises(BadInputError, match="connection was lost"):
        await read(row(), b"{", end=False)


async def test_an_optional_body_that_cannot_be_read_is_none():
    assert await read(row(optional_body=True), b"{nonsense") is None
    assert await read(row(optional_body=True)) is None
    with pytest.raises(BadInputError):
        await read(row(), b"{nonsense")


async def test_a_row_of_archives_takes_them_or_json():
    for media in (
        "application/x-tar",
        "application/gzip",
        "Application/ZSTD; q=1",
        "application/octet-stream",
    ):
        assert bodies.is_archive({"content-type": media})
    assert not bodies.is_archive({"content-type": "application/json"})
    assert not bodies.is_archive({})
    assert await read(
        row(archive=True), b'{"a":1}', headers={"content-type": "application/json; charset=utf-8"}
    )
    with pytest.raises(UnsupportedMediaError, match="text/html"):
        await read(row(archive=True), b"{}", headers={"content-type": "text/html"})
