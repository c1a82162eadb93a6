"""Sealed by the engine, opened by the machine; and the other way round."""

from __future__ import annotations

import pytest

from wayhouse.overlay.engine import channel_data
from wayhouse.overlay.engine.rows import Rows
from wayhouse.overlay.engine.seal import OVERHEAD, Sealer
from wayhouse.overlay.engine.unseal import Unsealer
from wayhouse.overlay.wireguard.replay import ReplayWindow

# covers: overlay/engine/unseal.py, overlay/engine/rows.py


@pytest.mark.parametrize("count", [1, 2, 4, 5, 44, 64])
@pytest.mark.parametrize("last", [160, 16, 0])
@pytest.mark.parametrize("channel", [None, 0x4ABC])
def test_there_and_back(pair, count, last, channel) -> None:
    plains = [bytes([n]) * 160 for n in range(count - 1)] + [b"z" * last]
    if count == 1:
        plains = [b"z" * last]
    keypair, counter = pair.keypair(0), pair.keypair(0).send_counter
    data, stride = Sealer().seal(keypair, [memoryview(plain) for plain in plains], channel)
    assert keypair.send_counter == counter + count
    room = 0 if channel is None else 4
    assert stride == len(plains[0]) + OVERHEAD + room
    assert len(data) == (count - 1) * stride + last + OVERHEAD + room
    memory = bytearray(1 << 17)
    memory[: len(data)] = data
    if channel is not None:
        assert channel_data.parse(data[:stride]) == (channel, len(plains[0]) + OVERHEAD)
        assert channel_data.parse(data[(count - 1) * stride :]) == (channel, last + OVERHEAD)
    rows = Rows(70, 192)
    unsealer = Unsealer(memory, rows)
    receiver = pair.sides[1].device.by_index[keypair.remote_index]
    lengths = (count, stride - room, last + OVERHEAD)
    assert unsealer.is_uniform(room, stride, count, 8)
    assert unsealer.unseal(receiver, room, stride, lengths, 3) == [len(plain) for plain in plains]
    assert [bytes(rows.span(3 + n, 0, len(plain))) for n, plain in enumerate(plains)] == plains
    assert unsealer.unseal(receiver, room, stride, lengths, 3) == [-1] * count, "all replayed"
    receiver.window = ReplayWindow()
    memory[(count // 2) * stride + room + 20] ^= 1
    done = unsealer.unseal(receiver, room, stride, lengths, 3)
    assert [n for n, length in enumerate(done) if length < 0] == [count // 2]


def test_one_by_itself(pair) -> None:
    data, stride = Sealer().seal(pair.keypair(0), [memoryview(b"a" * 32)], None)
    memory = bytearray(5) + bytearray(data)
    rows = Rows(4, 64)
    unsealer = Unsealer(memory, rows)
    receiver = pair.sides[1].device.by_index[pair.keypair(0).remote_index]
    assert unsealer.unseal_one(receiver, 5, stride, 2) == 32
    assert bytes(rows.span(2, 0, 32)) == b"a" * 32
    assert unsealer.unseal_one(receiver, 5, stride, 2) == -1
    memory[-1] ^= 1
    assert unsealer.unseal_one(receiver, 5, stride, 2) == -1


def test_many_shapes_do_not_pile_up(pair) -> None:
    sealer, rows = Sealer(), Rows(2, 64)
    for size in range(600):
        sealer.seal(pair.keypair(0), [memoryview(bytes(size))] * 2, None)
        assert len(rows.spans(0, size % 64)) == 2
    assert len(sealer._shapes) <= 256
    assert len(rows._spans) <= 48
