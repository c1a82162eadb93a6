from __future__ import annotations

import io
import tarfile

from wayhouse.portal import example


def test_the_example_is_found_and_packed():
    source = example.folder()
    assert source is not None
    with tarfile.open(fileobj=io.BytesIO(example.archive(source))) as tar:
        names = tar.getnames()
        assert "paradrop.yaml" in names
        assert all(member.uid == 0 and member.uname == "" for member in tar.getmembers())


async def test_it_can_be_installed(house):
    source = example.folder()
    received = await house.gateway.chutes.receive_archive(example.chunks(source))
    assert received.name == example.NAME
    house.gateway.chutes.drop(received)
