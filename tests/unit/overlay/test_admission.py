"""Who comes in, by keys alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.parts.certificates import Authority
from wayhouse.base.errors import BadInputError, ForbiddenError
from wayhouse.overlay import admission
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.configuration import BadConfigurationError
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.membership import join
from wayhouse.overlay.model import BadBindingError, BadInvitationError
from wayhouse.overlay.orders import Founding, Inviting, Joining
from wayhouse.overlay.relay_authority import BadAuthorityError
from wayhouse.overlay.tickets import Revocations

NOW = 1_800_000_000.0
HOME = Founding(
    name="home",
    accounts=(XmppAccount(jid="a@example.org", password="p", host="h", port=5223, pin="AB:" * 31 + "AB"),),
    stun=("stun.example.org",),
)


def test_a_founder_is_a_member_of_its_own_group() -> None:
    one = admission.found(HOME, "hall")
    own = one.membership()
    assert own is not None
    identity = Identity(bytes(range(32)), one.uid)
    proof = join(own.ticket, own.ticket_key, one.uid, identity.certificate)
    import hashlib

    ticket = own.group.verify(
        proof, one.uid, hashlib.sha256(identity.certificate).hexdigest(), Revocations(overlay="home"), NOW
    )
    assert ticket.role == "founder"


def test_who_joins_gets_all_but_the_right_to_invite() -> None:
    one = admission.found(HOME, "hall")
    code = admission.invite(one, Inviting(valid_s=60, tags=("family",)), NOW)
    other = admission.join(Joining(code=code.code, dns_name="barn"), "x", NOW)
    assert (other.name, other.subnet, other.stun) == (one.name, one.subnet, one.stun)
    assert (other.dns_name, other.is_admin, other.uid == one.uid) == ("barn", False, False)
    (account,) = other.accounts
    assert (account.jid, account.password, account.host, account.port) == ("a@example.org", "p", "h", 5223)
    assert account.pin == "ab" * 32
    assert code.invitation.expires == NOW + 60
    with pytest.raises(ForbiddenError, match="founded"):
        admission.invite(other, Inviting(), NOW)
    with pytest.raises(BadInvitationError):
        admission.join(Joining(code=code.code), "x", NOW + 61)
    mine = XmppAccount(jid="me@example.org", password="q")
    assert admission.join(Joining(code=code.code, accounts=(mine,)), "x", NOW).accounts == (mine,)


def test_who_signs_relays_goes_along(tmp_path: Path) -> None:
    pem = Authority(tmp_path / "ca.pem").certificate.read_text()
    one = admission.found(msgspec.structs.replace(HOME, relay_ca=pem), "hall")
    code = admission.invite(one, Inviting(), NOW).code
    assert admission.join(Joining(code=code), "x", NOW).relay_ca == pem
    with pytest.raises(BadAuthorityError):
        admission.found(msgspec.structs.replace(HOME, relay_ca="nonsense"), "hall")


def test_bad_tags_and_names() -> None:
    one = admission.found(HOME, "hall")
    with pytest.raises(BadInvitationError):
        admission.invite(one, Inviting(tags=("no tag",)), NOW)
    with pytest.raises(BadConfigurationError):
        admission.found(msgspec.structs.replace(HOME, name="No"), "hall")


def test_lists_grow_and_only_the_administrators_count() -> None:
    one = admission.found(HOME, "hall")
    first = admission.revoke(one, ticket="t1")
    second = admission.revoke(first, uid="a" * 40)
    assert first.revoked is not None
    assert second.revoked is not None
    assert admission.is_newer(one, first.revoked)
    assert admission.is_newer(first, second.revoked)
    assert not admission.is_newer(second, first.revoked)
    with pytest.raises(BadBindingError):
        admission.is_newer(admission.found(HOME, "x"), first.revoked)
    with pytest.raises(BadInputError):
        admission.revoke(one, uid="nobody")
    friends = admission.found(Founding(name="friends", kind="social"), "hall")
    assert not admission.is_newer(friends, first.revoked)
    with pytest.raises(ForbiddenError):
        admission.revoke(friends, uid="a" * 40)


def test_friends_get_no_accounts_of_ours() -> None:
    wish = msgspec.structs.replace(HOME, name="friends", kind="social")
    code = admission.invite(admission.found(wish, "hall"), Inviting(), NOW)
    other = admission.join(Joining(code=code.code), "barn", NOW)
    assert (other.kind, other.accounts, other.keys) == ("social", (), None)
