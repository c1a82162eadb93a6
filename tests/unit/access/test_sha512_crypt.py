import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.access import sha512_crypt

# made with glibc's crypt(3)
KNOWN = [
    (
        "correct horse",
        "$6$wayhousesalt$Mtxs1/o0xGQREAeVTfap6EKZluKwiqE5vxnATs0x67i2L1pbdH36WtAmq/g7H2QSJMVN1aSxwwvO1b7Q/tPNU1",
    ),
    (
        "",
        "$6$emptysalt$TrI.h19YNad.S.Xw2WEgON9ojBrkXYcCfZrEcOEa9k/Bp5Sw4dxhsyY0KdBJ5Vt2UbEFOMolXqrfnZHc1QRM..",
    ),
    (
        "a:b",
        "$6$rounds=1000$s$44ge950BEOkSlmLGWwyHdJ52z3CQcvxFSViUGiLtG9dakQADjtIMNjnxm/WHa0S7IanU.p0al.k5huymrcxi./",
    ),
]


@pytest.mark.parametrize(("password", "stored"), KNOWN)
def test_known_hashes(password, stored):
    assert sha512_crypt.is_supported(stored)
    assert sha512_crypt.verify(stored, password.encode())
    assert not sha512_crypt.verify(stored, password.encode() + b"x")


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "$6$",
        "$5$salt$abc",
        "$1$salt$abc",
        "*",
        KNOWN[0][1][:-1],
        KNOWN[0][1] + "\n",
        KNOWN[2][1].replace("1000", "999999999"),
        KNOWN[2][1].replace("1000", "0"),
        "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA",
    ],
)
def test_anything_else_is_refused_at_once(stored):
    assert not sha512_crypt.is_supported(stored)
    assert not sha512_crypt.verify(stored, b"a:b")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_no_text_crashes_it(text):
    assert not sha512_crypt.verify(text, b"x")
