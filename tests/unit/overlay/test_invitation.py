import base64

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay import invitation
from wayhouse.overlay.invitation import Account, Invitation
from wayhouse.overlay.membership import Administrator
from wayhouse.overlay.model import BadInvitationError, TurnServer

ADMIN = Administrator(bytes(range(32)), "home")
KEY = b"k" * 32
GROUP = Invitation(
    overlay="home",
    subnet="172.16.0.0/24",
    accounts=(Account(jid="home@example.org", password="hunter2", host="192.0.2.1", port=5223),),
    stun=(("stun.example.org", 3478),),
    turn=(TurnServer(host="turn.example.org", username="u", password="hunter3"),),
    admin_key=ADMIN.public_key,
    ticket=ADMIN.ticket(KEY, expires=2_000),
    ticket_key=KEY,
    secret=b"s" * 32,
)
SOCIAL = Invitation(overlay="friends", kind="social", accounts=(Account(jid="a@b", password="p"),))


def refused(code: str, wall: float = 1_000.0) -> str:
    with pytest.raises(BadInvitationError) as error:
        invitation.decode(code, wall)
    return error.value.message


@pytest.mark.parametrize("made", [GROUP, SOCIAL])
def test_round_trip(made):
    code = invitation.encode(made)
    assert code.startswith("wayhouse1:")
    assert code.isascii()
    assert invitation.decode(code, 1_000.0) == made


def test_a_code_broken_over_lines_is_whole():
    code = invitation.encode(GROUP)
    assert invitation.decode(f"  {code[:50]}\n {code[50:]}\r\n", 1_000.0) == GROUP


def test_what_its_holder_will_know():
    group = GROUP.group()
    assert group is not None
    assert (group.overlay, group.admin_key, group.secret) == ("home", ADMIN.public_key, b"s" * 32)
    assert SOCIAL.group() is None


def test_a_lost_letter_is_told():
    code = invitation.encode(GROUP)
    assert "copy it again" in refused(code[:-1])
    assert "copy it again" in refused(code[:40] + code[41:])
    assert "copy it again" in refused(code[:40] + ("A" if code[40] != "A" else "B") + code[41:])
    assert "begins with" in refused(code[1:])
    assert "begins with" in refused("")
    assert "characters" in refused(code + "!")


def test_an_invitation_ends():
    assert "expired" in refused(invitation.encode(GROUP), 2_000.0)


def test_one_that_its_group_did_not_sign():
    other = msgspec.structs.replace(GROUP, admin_key=Administrator.create("home").public_key)
    assert "not signed" in refused(invitation.encode(other))


def _code(packed: bytes) -> str:
    return invitation.PREFIX + base64.urlsafe_b64encode(
        packed + invitation._checksum(packed)
    ).decode().rstrip("=")


def test_bombs_and_other_versions():
    assert "too long" in refused(_code(zstandard.compress(bytes(2**18))))
    assert refused(_code(zstandard.compress(bytes(2**24))))
    assert "another version" in refused(_code(b"not zstandard"))
    assert "another version" in refused(_code(zstandard.compress(b"\xc1")))
    assert "another version" in refused(
        _code(zstandard.compress(msgspec.msgpack.encode({"overlay": "x", "kind": "future"})))
    )
    assert "too long" in refused(invitation.PREFIX + "A" * 20_000)


@pytest.mark.parametrize("changes", [{"secret": b""}, {"ticket": None}, {"subnet": "172.16.0.0/40"}])
def test_a_group_needs_all_of_it(changes):
    plain = {name: getattr(GROUP, name) for name in GROUP.__struct_fields__}
    with pytest.raises(ValueError, match=r"invitation|network"):
        Invitation(**{**plain, **changes})


def test_nothing_secret_is_shown():
    assert "hunter" not in repr(GROUP) + repr(GROUP.accounts) + repr(GROUP.turn)
    assert repr(KEY) not in repr(GROUP)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        st.binary(max_size=60).map(_code),
        st.binary(max_size=60).map(lambda data: _code(zstandard.compress(data))),
    )
)
def test_no_code_raises_anything_else(code):
    assert refused(code)
    assert refused(invitation.PREFIX + code)
