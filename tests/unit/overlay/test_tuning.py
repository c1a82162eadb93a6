"""What becomes of an overlay's setup by a wish to change it."""

from __future__ import annotations

import msgspec
import pytest

from wayhouse.overlay import admission
from wayhouse.overlay.configuration import BadConfigurationError, Configuration
from wayhouse.overlay.model import PathPolicy
from wayhouse.overlay.orders import Founding, Tuning
from wayhouse.overlay.subnets import BadSubnetError, SubnetOverlapsError
from wayhouse.overlay.tuning import SetupChangedError, tuned

HOME = admission.found(Founding(name="home", subnet="10.213.0.0/24"), "attic")
WORK = msgspec.structs.replace(
    admission.found(Founding(name="work", subnet="10.214.0.0/24"), "attic"),
    accepted_subnets={"ef" * 20: ("192.168.40.0/24",)},
)
BARN, SHED = "ab" * 20, "cd" * 20
HERE = {"192.168.1.0/24": "the network of eth0", "fd00:1::/64": "the network of eth0"}


def wish(one: Configuration = HOME, **named) -> Configuration:
    return tuned(one, Tuning(**named), [WORK], lambda: HERE)


def test_every_change_has_a_revision_and_what_changes_nothing_has_none():
    first = wish(on_demand=True)
    assert (first.revision, first.on_demand) == (1, True)
    assert wish(first, on_demand=True) is first
    assert wish(first) is first
    second = wish(first, policy=PathPolicy.RELAY, if_revision=1)
    assert (second.revision, second.on_demand, second.policy) == (2, True, PathPolicy.RELAY)


def test_what_was_made_of_another_revision_changes_nothing():
    now = wish(on_demand=True)
    for seen in (0, 2, -1):
        with pytest.raises(SetupChangedError, match="has changed meanwhile: it is at revision 1") as caught:
            wish(now, on_demand=False, if_revision=seen)
        assert (caught.value.status, caught.value.fields["revision"]) == (409, 1)


@pytest.mark.parametrize(
    ("network", "what"),
    [
        ("192.168.0.0/16", "192.168.1.0/24, the network of eth0"),
        ("192.168.1.128/25", "the network of eth0"),
        ("fd00:1::/48", "fd00:1::/64, the network of eth0"),
        ("10.213.0.0/25", "10.213.0.0/24, the overlay home"),
        ("10.214.0.0/16", "10.214.0.0/24, the overlay work"),
        ("192.168.40.0/24", "accepted from efefefef of the overlay work"),
    ],
)
def test_a_network_that_something_here_is_in_the_way_of_is_refused_with_its_name(network, what):
    with pytest.raises(SubnetOverlapsError, match=what):
        wish(accepted_subnets={BARN: (network,)})


def test_two_that_overlap_are_refused_from_whomever_they_are():
    for accepted in (
        {BARN: ("192.168.7.0/24",), SHED: ("192.168.0.0/16",)},
        {BARN: ("192.168.70.0/24", "192.168.70.0/25")},
    ):
        with pytest.raises(SubnetOverlapsError):
            wish(accepted_subnets=accepted)


def test_what_was_accepted_before_stays_and_can_be_taken_back():
    """Though something came in its way since: that is told where it is shown."""
    before = msgspec.structs.replace(HOME, accepted_subnets={BARN: ("192.168.1.0/24", "192.168.9.0/24")})
    accepted = {BARN: ("192.168.1.0/24", "192.168.9.0/24"), SHED: ("192.168.8.0/24",)}
    assert wish(before, accepted_subnets=accepted).accepted_subnets == accepted
    assert wish(before, accepted_subnets={BARN: ("192.168.1.0/24",)}).accepted_subnets == {
        BARN: ("192.168.1.0/24",)
    }
    assert wish(before, accepted_subnets={BARN: ()}).accepted_subnets == {}
    assert wish(before, on_demand=True).accepted_subnets == before.accepted_subnets


def test_nonsense_is_refused():
    with pytest.raises(BadSubnetError):
        wish(accepted_subnets={BARN: ("nowhere",)})
    with pytest.raises(BadConfigurationError, match="by their uids"):
        wish(accepted_subnets={"barn": ("192.168.9.0/24",)})
