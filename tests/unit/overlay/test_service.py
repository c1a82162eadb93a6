"""The daemon's verbs on overlays, on a real database, with the process of the links played by `FakeLinks`.

# covers: overlay/orders.py
# covers: overlay/links.py
# covers: overlay/views.py
# covers: overlay/configuration_store.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.overlay_lab import FakeLinks
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError, UnavailableError
from wayhouse.base.events import Events
from wayhouse.overlay import admission
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.configuration import BadConfigurationError
from wayhouse.overlay.model import (
    BadBindingError,
    BadInvitationError,
    NoSuchOverlayError,
    OverlayExistsError,
    PathPolicy,
)
from wayhouse.overlay.orders import Founding, Inviting, Joining, Tuning
from wayhouse.overlay.policy import Rule
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.shares import BadShareError, Share
from wayhouse.overlay.subnets import BadSubnetError, SubnetOverlapsError
from wayhouse.overlay.views import OverlayChanged

HOME = Founding(name="home", subnet="10.213.0.0/24")
PEER = "ab" * 20


class Desk:
    def __init__(self, path: Path, hostname: str = "Attic.lan") -> None:
        self.database = Database(path)
        self.clock, self.links, self.events = ManualClock(), FakeLinks(), Events()
        self.overlays = Overlays(self.database, self.clock, self.links, hostname=hostname, events=self.events)
        self.overlays.load()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "a.db")
    yield made
    made.database.close()


async def test_the_revision_is_kept_and_the_links_are_not_told(desk: Desk, tmp_path: Path) -> None:
    await desk.overlays.found(HOME)
    assert (await desk.overlays.tune("home", Tuning(on_demand=True))).revision == 1
    assert desk.links.wish("home").revision == 0
    desk.overlays.load()
    assert desk.overlays.setup("home").revision == 1
    assert (await desk.overlays.tune("home", Tuning(on_demand=True, if_revision=1))).revision == 1
    with pytest.raises(ConflictError):
        await desk.overlays.tune("home", Tuning(on_demand=False, if_revision=0))
    assert desk.overlays.setup("home").on_demand


async def test_founding_and_joining(desk: Desk, tmp_path: Path) -> None:
    view = await desk.overlays.found(HOME)
    assert (view.name, view.kind, view.dns_name, view.is_admin) == ("home", "group", "attic.home", True)
    assert desk.links.wish("home").network == desk.overlays._one("home").network
    code = await desk.overlays.invite("home", Inviting(tags=("family",), note="for the barn"))
    assert code.code not in repr(code)
    other = Desk(tmp_path / "b.db", "barn")
    joined = await other.overlays.join(Joining(code=code.code))
    assert (joined.name, joined.is_admin) == ("home", False)
    assert joined.uid != view.uid
    with pytest.raises(ForbiddenError, match="founded"):
        await other.overlays.invite("home", Inviting())
    other.database.close()
    (issued,) = desk.overlays.invitations("home")
    assert (issued.tags, issued.note, issued.expires) == (("family",), "for the barn", 0.0)


async def test_it_is_there_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    account = XmppAccount(jid="a@example.org", password="secret-word")
    await desk.overlays.found(
        Founding(name="home", subnet="10.213.0.0/24", accounts=(account,), stun=("stun.example.org",))
    )
    desk.database.close()
    again = Desk(tmp_path / "a.db")
    assert again.links.wish("home").accounts == (account,)
    setup = again.overlays.setup("home")
    assert setup.accounts == ("a@example.org",)
    assert setup.stun == ("stun.example.org:3478",)
    assert "secret-word" not in repr(again.links.wish("home")) + repr(setup)
    again.database.close()


async def test_what_cannot_be(desk: Desk) -> None:
    await desk.overlays.found(HOME)
    for wish, error in (
        (HOME, OverlayExistsError),
        (Founding(name="other", subnet="10.213.0.128/25"), ConflictError),
        (Founding(name="lo", subnet="127.0.0.0/8"), ConflictError),
        (Founding(name="Big Name"), BadConfigurationError),
        (Founding(name="arpa", subnet="10.214.0.0/24"), BadConfigurationError),
        (Founding(name="a", subnet="8.8.8.0/24"), BadConfigurationError),
        (Founding(name="a", subnet="10.0.0.0/31"), BadConfigurationError),
        (Founding(name="a", subnet="nonsense"), BadConfigurationError),
        (Founding(name="a", subnet="10.214.0.0/24", stun=("x:y:z",)), BadConfigurationError),
        (Founding(name="a", kind="social", subnet="10.214.0.0/24"), BadConfigurationError),
    ):
        with pytest.raises(error):
            await desk.overlays.found(wish)
    assert [one.name for one in desk.overlays.list()] == ["home"]
    with pytest.raises(BadInvitationError):
        await desk.overlays.join(Joining(code="wayhouse1:nonsense"))
    with pytest.raises(NoSuchOverlayError, match="Known are: home"):
        desk.overlays.state("away")


async def test_invitations_expire_and_are_taken_back(desk: Desk, tmp_path: Path) -> None:
    await desk.overlays.found(HOME)
    code = await desk.overlays.invite("home", Inviting(valid_s=60))
    other = Desk(tmp_path / "b.db")
    other.clock.advance(desk.clock.wall() - other.clock.wall() + 61)
    with pytest.raises(BadInvitationError, match="expired"):
        await other.overlays.join(Joining(code=code.code))
    other.database.close()
    with pytest.raises(NotFoundError):
        await desk.overlays.revoke("home", invitation_id="nope")
    await desk.overlays.revoke("home", invitation_id=code.invitation.id)
    assert desk.overlays.invitations("home")[0].is_revoked
    assert desk.links.wish("home").revoked is not None
    await desk.overlays.revoke("home", uid=PEER)
    for uid in ("short", desk.links.wish("home").uid):
        with pytest.raises(BadInputError):
            await desk.overlays.revoke("home", uid=uid)


async def test_a_newer_list_of_a_member_counts(desk: Desk, tmp_path: Path) -> None:
    await desk.overlays.found(HOME)
    code = await desk.overlays.invite("home", Inviting())
    other = Desk(tmp_path / "b.db")
    await other.overlays.join(Joining(code=code.code))
    await desk.overlays.revoke("home", uid=PEER)
    from wayhouse.base import codec

    told = codec.encode_json(desk.links.wish("home").revoked).decode()
    await other.overlays.note_revocations("home", told)
    assert other.links.wish("home").revoked == desk.links.wish("home").revoked
    await other.overlays.note_revocations("away", told)
    with pytest.raises(BadInputError):
        await other.overlays.note_revocations("home", "nonsense")
    stranger = admission.revoke(admission.found(Founding(name="home"), "x"), uid=PEER)
    with pytest.raises(BadBindingError):
        await other.overlays.note_revocations("home", codec.encode_json(stranger.revoked).decode())
    other.database.close()


async def test_tuning(desk: Desk) -> None:
    await desk.overlays.found(HOME)
    rule = Rule(source="tag:family", protocol="tcp", ports=("22",))
    await desk.overlays.tune("home", Tuning(rules=(rule,), peer_policies={PEER: PathPolicy.OFF}))
    setup = await desk.overlays.tune(
        "home", Tuning(dns_name="loft", policy=PathPolicy.RELAY, stun=("a:1", "b"))
    )
    assert not (await desk.overlays.tune("home", Tuning(in_kernel=False))).in_kernel
    with pytest.raises(BadConfigurationError, match="cannot be members"):
        await desk.overlays.tune("home", Tuning(is_legacy=True))
    await desk.overlays.found(Founding(name="friends", kind="social"))
    assert not desk.overlays.setup("friends").is_legacy
    assert (await desk.overlays.tune("friends", Tuning(is_legacy=True))).is_legacy
    assert desk.links.wish("friends").is_legacy
    assert (setup.rules, setup.dns_name, setup.policy) == ((rule,), "loft", PathPolicy.RELAY)
    assert setup.stun == ("a:1", "b:3478")
    assert setup.peer_policies == {PEER: PathPolicy.OFF}
    assert (await desk.overlays.tune("home", Tuning(peer_policies={PEER: None}))).peer_policies == {}
    setup = await desk.overlays.tune(
        "home", Tuning(offered_subnets=("192.168.7.0/24",), accepted_subnets={PEER: ("192.168.8.0/24",)})
    )
    assert (setup.offered_subnets, setup.accepted_subnets) == (
        ("192.168.7.0/24",),
        {PEER: ("192.168.8.0/24",)},
    )
    for wish, error in (
        (Tuning(dns_name="No Name"), BadConfigurationError),
        (Tuning(peer_policies={"short": PathPolicy.OFF}), BadConfigurationError),
        (Tuning(offered_subnets=("10.213.0.0/24",)), SubnetOverlapsError),
        (Tuning(accepted_subnets={PEER: ("0.0.0.0/0",)}), BadSubnetError),
    ):
        with pytest.raises(error):
            await desk.overlays.tune("home", wish)
    assert desk.overlays.setup("home").dns_name == "loft"


async def test_leaving(desk: Desk) -> None:
    await desk.overlays.found(HOME)
    await desk.overlays.invite("home", Inviting())
    with desk.events.subscribe(OverlayChanged) as heard:
        await desk.overlays.leave("home")
        assert (await anext(heard)).is_gone
    assert (desk.links.wanted, list(desk.overlays.list())) == ([], [])
    await desk.overlays.found(HOME)
    assert list(desk.overlays.invitations("home")) == []


async def test_social_overlays(desk: Desk) -> None:
    view = await desk.overlays.found(Founding(name="friends", kind="social"))
    assert (view.ip4, view.is_admin) == ("172.31.0.100", False)
    assert (await desk.overlays.invite("friends", Inviting())).code.startswith("wayhouse1:")
    with pytest.raises(ForbiddenError, match="social"):
        await desk.overlays.revoke("friends", uid=PEER)


async def test_before_the_process_tells_anything(desk: Desk) -> None:
    desk.links.trouble = "It cannot begin."
    await desk.overlays.found(HOME)
    assert desk.overlays.state("home").overlay.problem == "It cannot begin."
    assert desk.overlays.links("home") == ()
    with pytest.raises(UnavailableError):
        await desk.overlays.netcheck("home")
    desk.links.trouble = ""
    await desk.overlays.forget("home", PEER)
    assert desk.links.forgotten == [("home", PEER)]


async def test_shares_are_tuned_checked_and_told(desk: Desk) -> None:
    await desk.overlays.found(HOME)
    lamp, page = Share(what="device:lamp", to="any"), Share(what="app:hello", to=PEER, port=80)
    with desk.events.subscribe(OverlayChanged) as told:
        setup = await desk.overlays.tune("home", Tuning(shares=(lamp, page, lamp)))
        assert await anext(told) == OverlayChanged("home")
    assert setup.shares == desk.overlays.shares("home") == (lamp, page)
    assert desk.links.wish("home").shares == (lamp, page)
    assert desk.overlays.names() == ["home"]
    with pytest.raises(BadShareError) as raised:
        await desk.overlays.tune("home", Tuning(shares=(page, Share(what="app:other", to="any", port=80))))
    assert raised.value.fields == {"path": "shares"}
    again = Overlays(desk.database, desk.clock, FakeLinks())
    again.load()
    assert again.shares("home") == (lamp, page)
    with pytest.raises(NoSuchOverlayError):
        again.shares("barn")
