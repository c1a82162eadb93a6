from __future__ import annotations

import pytest

from tests.parts.certificates import Authority
from wayhouse.overlay.model import PathPolicy
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.relay_authority import fingerprints

PLACE = "/overlay/home/setup"
SECRET = "a-password-that-is-secret"
ACCOUNT = {"jid": "us@example.org", "password": SECRET}
RELAY = {"turn_host": "turn.example.org", "turn_user": "us", "turn_password": SECRET, "turn_transport": "tls"}


async def test_names_ways_and_servers(in_overlay):
    browser = in_overlay.admin
    page = (await browser.get(PLACE)).text
    assert 'value="attic"' in page
    assert '<option value="auto" selected>' in page
    reply = await browser.post(
        PLACE,
        data={
            "dns_name": "cellar", "policy": "direct", "stun": "stun.example.org", "on_demand": "on", "offered_subnets": "192.168.9.0/24",
        },
    )  # fmt: skip
    assert reply.headers["location"] == f"{PLACE}?done=setup"
    setup = in_overlay.overlays.setup("home")
    assert (setup.dns_name, setup.policy, setup.on_demand, setup.is_on_lan) == (
        "cellar",
        PathPolicy.DIRECT,
        True,
        False,
    )
    assert (setup.stun, setup.offered_subnets) == (("stun.example.org:3478",), ("192.168.9.0/24",))
    page = (await browser.get(f"{PLACE}?done=setup")).text
    for words in ('value="cellar"', 'value="stun.example.org:3478"', 'value="192.168.9.0/24"', "is changed"):
        assert words in page, words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dns_name": "No Name"}, "as in a DNS name"),
        ({"dns_name": "attic", "policy": "x"}, "is no choice"),
        ({"dns_name": "attic", "stun": "a:b:c:d"}, "HOST:PORT"),
        ({"dns_name": "attic", "offered_subnets": "0.0.0.0/0"}, "too large"),
    ],
)
async def test_what_cannot_be_is_told_and_kept(in_overlay, fields, words):
    reply = await in_overlay.admin.post(PLACE, data=fields)
    assert reply.status_code == 400
    assert words in reply.text
    assert all(f'value="{text}"' in reply.text for name, text in fields.items() if name != "policy")


@pytest.mark.parametrize(
    ("place", "form", "shown"),
    [("accounts", ACCOUNT, "us@example.org"), ("relays", RELAY, "tls:turn.example.org:3478")],
)
async def test_of_accounts_and_relays_the_names_alone_are_shown(in_overlay, place, form, shown):
    browser, what = in_overlay.admin, place.removesuffix("s")
    reply = await browser.post(f"{PLACE}/{place}", data=form)
    assert reply.headers["location"] == f"{PLACE}?done={what}"
    page = (await browser.get(PLACE)).text
    assert f"<code>{shown}</code>" in page
    assert SECRET not in page
    reply = await browser.post(f"{PLACE}/{place}", data={})
    assert reply.status_code == 400
    assert "<details open>" in reply.text
    await browser.post(f"{PLACE}/{place}", data={"none": "yes"})
    setup = in_overlay.overlays.setup("home")
    assert (setup.accounts, setup.turn) == ((), ())


async def test_a_refused_account_is_shown_again_without_its_password(in_overlay):
    reply = await in_overlay.admin.post(f"{PLACE}/accounts", data={**ACCOUNT, "pin": "00"})
    assert reply.status_code == 400
    assert 'value="us@example.org"' in reply.text
    assert SECRET not in reply.text
    assert "SHA-256" in reply.text


async def test_who_signs_relays_is_shown_by_fingerprint(in_overlay, tmp_path):
    pem = Authority(tmp_path / "ca.pem").certificate.read_text()
    place = f"{PLACE}/relay-ca"
    for text, told in (("", "Paste the authority"), ("nonsense", "no certificate in it")):
        reply = await in_overlay.admin.post(place, data={"relay_ca": text})
        assert reply.status_code == 400
        assert told in reply.text
    reply = await in_overlay.admin.post(place, data={"relay_ca": pem.replace("\n", "\r\n")})
    assert reply.headers["location"] == f"{PLACE}?done=authority"
    page = (await in_overlay.admin.get(f"{PLACE}?done=authority")).text
    assert fingerprints(pem)[0] in page
    assert in_overlay.links.wish("home").relay_ca
    await in_overlay.admin.post(place, data={"none": "yes"})
    assert in_overlay.links.wish("home").relay_ca == ""


async def test_who_saves_what_others_have_changed_meanwhile_is_told(in_overlay):
    browser = in_overlay.admin
    page = (await browser.get(PLACE)).text
    assert page.count('name="revision" value="0"') >= 4
    await in_overlay.overlays.tune("home", Tuning(dns_name="cellar"))
    for place, form in (("", {"dns_name": "loft"}), ("/accounts", ACCOUNT), ("/relays", RELAY)):
        reply = await browser.post(PLACE + place, data={**form, "revision": "0"})
        assert reply.status_code == 409
        assert "has changed meanwhile" in reply.text
    reply = await browser.post(PLACE, data={"dns_name": "loft", "revision": "x"})
    assert reply.status_code == 400
    assert in_overlay.overlays.setup("home").dns_name == "cellar"
    assert (await browser.post(PLACE, data={"dns_name": "loft", "revision": "1"})).status_code == 303
