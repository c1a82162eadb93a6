"""Long enough, in the promised letters, and never the same twice."""

from __future__ import annotations

import re

from wayhouse.base import ids


def test_secrets_have_their_bits() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", ids.token_hex())
    assert re.fullmatch(r"[0-9a-f]{16}", ids.token_hex(64))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ids.token_urlsafe())


def test_ids_can_be_read_aloud() -> None:
    assert re.fullmatch(r"[a-z2-9]{10}", ids.short_id())
    assert not set("lo01").intersection("".join(ids.short_id(64) for _ in range(50)))
    assert re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", ids.readable_password())


def test_none_comes_twice() -> None:
    assert len({ids.short_id() for _ in range(2000)}) == 2000
