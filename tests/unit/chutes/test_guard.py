"""Who may change what, and what no app may have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parts.chute_lab import ADA, ADMIN, BOB, app, chute, light
from wayhouse.chutes.guard import check_owner, check_requests
from wayhouse.chutes.model import ChuteForbiddenError, ChuteSettings, ChuteStateError
from wayhouse.chutes.spec import from_document
from wayhouse.ledger.model import INTERNAL, Actor

NO_PRIVILEGES = ChuteSettings(allow_privileged=False)


def test_admins_owners_and_the_chutes_owner_may_change_it() -> None:
    mine = chute(owner=ADA)
    for actor in (ADMIN, INTERNAL, ADA, Actor("ada", "localhost", "anything")):
        check_owner(actor, mine)
    for actor in (BOB, Actor("ada", "elsewhere.example", "user"), Actor("ADA", "localhost", "user")):
        with pytest.raises(ChuteForbiddenError, match="Not permitted to modify existing chute hello"):
            check_owner(actor, mine)
    check_owner(BOB, None)


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ({"privileged": True}, "asks to be privileged;"),
        ({"network-mode": "host"}, "asks for the host's network;"),
        ({"privileged": True, "network-mode": "host"}, "asks to be privileged and for the host's network;"),
    ],
)
def test_strong_requests_need_an_admin_and_the_setting(requests: dict[str, Any], words: str) -> None:
    spec = from_document(app(services={"main": light(requests=requests)}))
    check_requests(spec, ADMIN, ChuteSettings(), [])
    with pytest.raises(ChuteForbiddenError, match=f"{words} only an admin"):
        check_requests(spec, ADA, ChuteSettings(), [])
    with pytest.raises(ChuteForbiddenError, match=f"{words} this gateway does not allow"):
        check_requests(spec, ADMIN, NO_PRIVILEGES, [])


def test_plain_requests_need_nobody() -> None:
    check_requests(from_document(app()), ADA, NO_PRIVILEGES, [])


def test_monitors_need_the_setting() -> None:
    document = app(services={"main": light(interfaces={"wlan0": {"type": "wifi-monitor"}})})
    spec = from_document(document)
    with pytest.raises(ChuteForbiddenError, match=r"chutes\.allow_monitor_mode"):
        check_requests(spec, ADMIN, ChuteSettings(), [])
    check_requests(spec, ADMIN, ChuteSettings(allow_monitor_mode=True), [])


def test_two_chutes_cannot_have_one_container() -> None:
    spec = from_document(app("a", web=False, services={"b-c": light()}))
    other = chute(app("a-b", web=False, services={"c": light()}))
    with pytest.raises(ChuteStateError, match="Container a-b-c belongs to chute a-b already"):
        check_requests(spec, ADMIN, ChuteSettings(), [other])
    check_requests(spec, ADMIN, ChuteSettings(), [chute(app("b"))])
