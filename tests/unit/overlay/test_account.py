"""An account is checked when it is made, and does not show its password."""

from __future__ import annotations

from typing import Any

import pytest

from wayhouse.base.codec import convert
from wayhouse.base.errors import BadInputError
from wayhouse.overlay.account import BadAccountError, Tls, XmppAccount

GOOD: dict[str, Any] = {"jid": "alice@overlay.example", "password": "secret"}


def test_a_good_account() -> None:
    account = XmppAccount(**GOOD, pin="AB:" * 31 + "CD")
    assert (account.domain, account.port, account.tls) == ("overlay.example", 5222, Tls.STARTTLS)
    assert account.plain_pin == "ab" * 31 + "cd"
    assert "secret" not in repr(account)
    assert convert(GOOD | {"tls": "direct", "friends": ["bob@b"]}, XmppAccount).friends == {"bob@b"}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"jid": "alice"}, "jid"),
        ({"jid": "alice@b/resource"}, "jid"),
        ({"jid": "a<b@c"}, "jid"),
        ({"friends": frozenset({"bob"})}, "jid"),
        ({"password": ""}, "password"),
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"pin": "abc"}, "pin"),
        ({"ping_s": 0.0}, "ping_s"),
    ],
)
def test_a_bad_one_says_what_is_wrong(change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadAccountError) as caught:
        XmppAccount(**(GOOD | change))
    assert caught.value.fields["path"] == path
    assert "secret" not in caught.value.message


def test_there_is_no_plaintext() -> None:
    with pytest.raises(BadInputError):
        convert(GOOD | {"tls": "none"}, XmppAccount)
