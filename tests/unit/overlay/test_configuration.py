from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.overlay import admission
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.configuration import (
    BadConfigurationError,
    Configuration,
    check_label,
    read_servers,
    read_subnet,
)
from wayhouse.overlay.model import TurnServer
from wayhouse.overlay.orders import Founding

SECRETS = ("secret-of-the-account", "secret-of-the-relay")


def home() -> Configuration:
    wish = Founding(
        name="home",
        accounts=(XmppAccount(jid="a@example.org", password=SECRETS[0]),),
        turn=(TurnServer(host="turn.example.org", username="u", password=SECRETS[1]),),
    )
    return admission.found(wish, "hall")


def test_it_survives_the_disk_and_the_wire() -> None:
    one = home()
    assert codec.decode_json(codec.encode_json(one), Configuration, what="it") == one


def test_it_shows_no_secrets() -> None:
    one = home()
    assert one.keys is not None
    told = repr(one) + repr(one.keys) + repr(one.accounts) + repr(one.turn)
    for secret in (*SECRETS, one.keys.secret.hex(), repr(one.keys.administrator)):
        assert secret not in told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "No"), ("name", "-a"), ("name", "a" * 33), ("name", "7"), ("name", "localhost"), ("dns_name", ""), ("uid", "x"), ("mtu", 100),
        ("ip4", "10.0.0.1"), ("ip4", "nonsense"), ("keys", None), ("peer_policies", {"x": "off"}),
        ("stun", (("a", 1),) * 17), ("accounts", (XmppAccount(jid="a@b", password="c"),) * 9),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadConfigurationError) as error:
        msgspec.structs.replace(home(), **{field: value})
    assert error.value.fields["path"] in {field, "turn"}


@given(st.text(max_size=40))
def test_any_text_is_a_label_a_subnet_a_server_or_refused(text: str) -> None:
    assert check_label(text) in {True, False}
    for read in (read_subnet, lambda one: read_servers([one])):
        try:
            read(text)
        except BadInputError:
            continue
