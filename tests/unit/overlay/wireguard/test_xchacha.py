"""XChaCha20-Poly1305 by the vectors of the draft."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from wayhouse.overlay.wireguard.xchacha import hchacha20, xopen, xseal


def test_hchacha20_section_2_2_1() -> None:
    found = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))
    assert found.hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"


def test_aead_appendix_a_3_1() -> None:
    key = bytes(range(0x80, 0xA0))
    nonce = bytes(range(0x40, 0x58))
    extra = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    sealed = xseal(key, nonce, plain, extra)
    assert sealed[:32].hex() == "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
    assert sealed[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    assert xopen(key, nonce, sealed, extra) == plain
    with pytest.raises(InvalidTag):
        xopen(key, nonce, sealed, b"")
