from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.account import Tls
from wayhouse.overlay.model import PathPolicy
from wayhouse.overlay.policy import Action, Protocol
from wayhouse.overlay.shares import May, Share
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Visit


def sent(**fields: str) -> Visit:
    form = {name.removesuffix("_"): [value] for name, value in fields.items()}
    return Visit(identity=None, method="POST", url="/", form=form)


def test_a_founding():
    wish = forms.founding(
        sent(
            name=" home ", kind="group", dns_name="attic", subnet="10.1.0.0/24", jid="us@example.org", password=" p w ",
            host="xmpp.example.org", port="5223", tls="direct", friends="a@b.c, d@e.f", invites="on",
            stun="stun.example.org\nstun2.example.org:19302", turn_host="turn.example.org", turn_transport="tls",
            turn_user="us", turn_password="secret",
        )
    )  # fmt: skip
    assert (wish.name, wish.kind, wish.dns_name, wish.subnet, wish.is_on_lan) == (
        "home",
        "group",
        "attic",
        "10.1.0.0/24",
        False,
    )
    account, relay = wish.accounts[0], wish.turn[0]
    assert (account.jid, account.password, account.port, account.tls, account.invites) == (
        "us@example.org",
        " p w ",
        5223,
        Tls.DIRECT,
        True,
    )
    assert account.friends == {"a@b.c", "d@e.f"}
    assert wish.stun == ("stun.example.org", "stun2.example.org:19302")
    assert (relay.host, relay.port, relay.transport, relay.password) == (
        "turn.example.org",
        3478,
        "tls",
        "secret",
    )


def test_the_least_that_can_be_said():
    wish = forms.founding(sent(name="home", is_on_lan="on"))
    assert (wish.kind, wish.accounts, wish.turn, wish.stun, wish.is_on_lan) == ("group", (), (), (), True)
    assert forms.founding(sent(name="home", kind="social", subnet="10.1.0.0/24")).subnet == ""
    assert forms.joining(sent(code=" wayhouse1:abc\n")).code == "wayhouse1:abc"
    assert forms.inviting(sent(days="")).valid_s == 0.0
    assert forms.inviting(sent(days="7", tags="a,b a", note=" x ")).tags == ("a", "b")


def test_a_tuning_and_a_policy():
    wish = forms.tuning(sent(dns_name="attic", policy="relay", on_demand="on", offered_subnets="10.2.0.0/24"))
    assert (wish.policy, wish.on_demand, wish.is_on_lan) == (PathPolicy.RELAY, True, False)
    assert (wish.stun, wish.offered_subnets) == ((), ("10.2.0.0/24",))
    assert wish.accounts is wish.turn is wish.rules is None
    assert forms.peer_policy(sent(policy="")) is None
    assert forms.peer_policy(sent(policy="off")) is PathPolicy.OFF


def test_a_rule():
    rule = forms.rule(
        sent(from_="any", tag="tag:family", action="drop", protocol="tcp", ports="22, 80", note="no")
    )
    assert (rule.source, rule.target, rule.action, rule.protocol, rule.ports) == (
        "tag:family",
        "self",
        Action.DROP,
        Protocol.TCP,
        ("22", "80"),
    )
    assert forms.rule(sent(from_="ab" * 20)).source == "ab" * 20


@pytest.mark.parametrize(
    ("read", "fields", "path"),
    [
        (forms.founding, {"kind": "other"}, "kind"),
        (forms.joining, {"code": " "}, "code"),
        (forms.inviting, {"days": "2"}, "days"),
        (forms.accounts, {"jid": "nobody", "password": "x"}, "jid"),
        (forms.accounts, {"jid": "us@example.org"}, "password"),
        (forms.accounts, {"jid": "us@example.org", "password": "x", "tls": "none"}, "tls"),
        (forms.accounts, {"jid": "us@example.org", "password": "x", "port": "70000"}, "port"),
        (forms.relays, {"turn_host": "x", "turn_port": "-1"}, "turn_port"),
        (forms.relays, {"turn_host": "x", "turn_transport": "sctp"}, "turn_transport"),
        (forms.tuning, {"policy": "sometimes"}, "policy"),
        (forms.peer_policy, {"policy": "sometimes"}, "policy"),
        (forms.rule, {"from_": "everybody"}, "from"),
        (forms.rule, {"ports": "http"}, "ports"),
        (forms.rule, {"networks": "here"}, "networks"),
        (forms.rule, {"action": "allow"}, "action"),
    ],
)
def test_nonsense_is_told(read, fields, path):
    with pytest.raises(BadInputError) as told:
        read(sent(**fields))
    assert told.value.fields["path"] == path
    assert "secret" not in str(told.value)


@given(
    st.dictionaries(
        st.sampled_from(["from", "tag", "ports", "networks", "note", "jid", "password", "port"]),
        st.text(max_size=30),
    )
)
def test_whatever_is_typed_is_an_order_or_an_error(fields):
    visit = Visit(identity=None, method="POST", url="/", form={name: [text] for name, text in fields.items()})
    for read in (forms.rule, forms.accounts):
        try:
            read(visit)
        except BadInputError:
            continue


def test_what_a_form_says_of_the_wrong_kind_does_not_count():
    device = sent(what="device:lamp", to="any", may="command", port="99")
    assert forms.share(device) == Share(what="device:lamp", to="any", may=May.COMMAND)
    app = sent(what="app:hello", tag="tag:family", may="command")
    assert forms.share(app) == Share(what="app:hello", to="tag:family", port=80)
    service = sent(what="device:*", service=" a.b ", may="command", port="x")
    assert forms.share(service) == Share(what="service:a.b", to="any")


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("what", "service", "to", "tag", "may", "port"), st.text(max_size=20))
    )
)
def test_any_form_is_a_share_or_is_refused(fields):
    with contextlib.suppress(BadInputError):
        assert forms.share(sent(**fields)).what
