"""The small tools of the Guide."""

from __future__ import annotations

import re

import pytest
import zmq

from wayhouse.bus.zhelpers import dump, set_id, zpipe


def test_frames_are_shown_as_text_or_hex_with_their_size(capsys: pytest.CaptureFixture[str]) -> None:
    dump([b"hello", b"", b"\x00\xff", "é".encode(), b"x" * 100])
    assert capsys.readouterr().out.splitlines() == [
        "-" * 40, "[005] hello", "[000] ", "[002] 0x00ff", "[002] é", "[100] " + "x" * 70 + "...",
    ]  # fmt: skip


def test_a_pipe_carries_one_message_and_dump_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    with zmq.Context() as context:
        here, there = zpipe(context)
        here.send_multipart([b"a", b"b"])
        dump(there)
        assert capsys.readouterr().out.splitlines()[1:] == ["[001] a", "[001] b"]
        assert (here.sndhwm, here.rcvhwm, here.linger) == (1, 1, 0)
        here.close()
        there.close()


def test_an_identity_is_random_and_printable() -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as one, context.socket(zmq.DEALER) as other:
        first, second = set_id(one), set_id(other)
        assert first != second
        assert re.fullmatch(r"[0-9A-F]{4}-[0-9A-F]{4}", first)
        assert one.get(zmq.ROUTING_ID) == first.encode()
