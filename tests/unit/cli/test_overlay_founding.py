from __future__ import annotations

import io
import sys

import pytest

from tests.parts.automation_gateway import tell
from tests.parts.certificates import Authority
from tests.parts.overlay_lab import SUBNET, house, overlay
from wayhouse.cli import overlay_founding, secrets
from wayhouse.cli.screen import Screen
from wayhouse.overlay.account import Tls
from wayhouse.overlay.relay_authority import fingerprints

__all__ = ["house", "overlay", "tell"]
PIN = "ab" * 32


def test_a_group(tell, house):
    made = tell("overlay", "create", "home", "--subnet", SUBNET)
    assert made.code == 0, made
    one = house.home.links.wish("home")
    assert made.out == f"This gateway is in home, as attic.home with the address {one.ip4}.\n"
    assert "overlay invite" in made.err
    assert "overlay rules add" in made.err
    assert (one.kind, one.subnet, one.is_on_lan, one.accounts) == ("group", SUBNET, True, ())


def test_everything_said(tell, house):
    words = (
        "create", "home", "--subnet", SUBNET, "--name", "loft", "--account", "us@example.org", "--host", "192.0.2.10",
        "--port", 5223, "--direct-tls", "--pin", PIN, "--ca-file", "ca.pem", "--friend", "them@example.org",
        "--stun", "192.0.2.10:3479", "--stun", "stun.example.org", "--turn", "udp:192.0.2.10:3478:us",
        "--turn", "tls:[2001:db8::1]:5349:them", "--no-lan", "--policy", "relay", "--password-file", "-", "--json",
    )  # fmt: skip
    made = tell("overlay", *words, stdin=b"first\nsecond\nthird\n")
    assert made.code == 0, made
    assert made.json["dns_name"] == "loft.home"
    one = house.home.links.wish("home")
    (account,) = one.accounts
    assert (account.jid, account.password, account.host, account.port) == (
        "us@example.org", "first", "192.0.2.10", 5223,
    )  # fmt: skip
    assert (account.tls, account.pin, account.invites) == (Tls.DIRECT, PIN, True)
    assert account.ca_file.startswith("/")
    assert account.friends == {"them@example.org"}
    assert one.stun == (("192.0.2.10", 3479), ("stun.example.org", 3478))
    assert [(it.transport, it.host, it.port, it.username, it.password) for it in one.turn] == [
        ("udp", "192.0.2.10", 3478, "us", "second"), ("tls", "2001:db8::1", 5349, "them", "third"),
    ]  # fmt: skip
    assert (one.is_on_lan, one.policy.value) == (False, "relay")
    shown = tell("overlay", "set")
    assert "us@example.org" in shown.out
    assert "first" not in shown.out + tell("overlay", "set", "--json").out


def test_of_friends(tell, house):
    made = tell("overlay", "create", "us", "--social", "--no-lan")
    assert made.code == 0
    assert "Nobody can find it yet" in made.err
    assert "roster" in made.err
    assert house.home.links.wish("us").kind == "social"
    assert tell("overlay", "create", "them", "--social", "--subnet", SUBNET).code == 1


def test_passwords_from_a_file(tell, house, tmp_path):
    file = tmp_path / "passwords"
    file.write_text("first\n")
    words = ("create", "home", "--subnet", SUBNET, "--account", "us@example.org", "--password-file", file)
    assert tell("overlay", *words).code == 0
    assert house.home.links.wish("home").accounts[0].password == "first"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--host", "h"), "--account"),
        (("--direct-tls",), "--account"),
        (("--account", "nobody"), "name@server"),
        (("--account", "us@example.org", "--pin", "beef"), "64 hexadecimal digits"),
        (("--account", "us@example.org"), "--password-file"),
        (("--account", "us@example.org", "--password-file", "-"), "no password of us@example.org"),
        (("--account", "us@example.org", "--password-file", "/no/such"), "/no/such cannot be read"),
        (("--turn", "udp:h:3478"), "udp:HOST:PORT:USER"),
        (("--turn", "udp:h:0:us"), "udp:HOST:PORT:USER"),
        (("--turn", "udp:h:3478:us"), "--password-file"),
        (("--policy", "off"), "--policy"),
        (("--port", "0"), "--port"),
    ],
)
def test_wrong_usage(tell, house, words, says):
    refused = tell("overlay", "create", "home", "--subnet", SUBNET, *words)
    assert refused.code == 2
    assert says in refused.err
    assert house.home.links.wanted == []


def test_what_the_gateway_refuses(tell):
    for words in (("Home",), ("home", "--subnet", "8.8.8.0/24"), ("home", "--stun", "a b")):
        refused = tell("overlay", "create", *words)
        assert refused.code == 1, words
        assert refused.err.startswith("wayhouse: "), words


def test_joining_and_leaving(overlay, tell, house):
    code = overlay("invite").out
    assert overlay("leave", "--yes").out == "home is left.\n"
    assert tell("overlay", "leave", "--yes").code == 1
    joined = tell("overlay", "join", "-", "--name", "barn", stdin=code.encode())
    assert joined.code == 0, joined
    assert joined.out.startswith("This gateway is in home, as barn.home with the address 10.213.0.")
    assert "overlay peers -f -o home" in joined.err
    assert not house.home.links.wish("home").is_admin
    again = tell("overlay", "join", code.strip())
    assert (again.code, "already" in again.err) == (1, True)
    assert tell("overlay", "leave", "-y", "--json").json == {"success": True}
    argument = tell("overlay", "join", code.strip(), "--json")
    assert argument.json["name"] == "home"


def test_joining_with_an_account_of_ones_own(overlay, tell, house):
    code = overlay("invite").out
    overlay("leave", "--yes")
    words = ("join", "--account", "me@example.org", "--password-file", "-")
    assert tell("overlay", *words, stdin=f"{code}secret\n".encode()).code == 0
    (account,) = house.home.links.wish("home").accounts
    assert (account.jid, account.password) == ("me@example.org", "secret")


def test_codes_that_are_none(tell):
    nothing = tell("overlay", "join")
    assert nothing.code == 2
    assert "overlay join -" in nothing.err
    for code in ("nonsense", "wayhouse1:AAAA"):
        refused = tell("overlay", "join", "-", stdin=code.encode())
        assert refused.code == 1
        assert code not in refused.err.replace("wayhouse1:`", "")


def test_setting_up(overlay, tell, house):
    shown = overlay("set").out
    assert "home (group, founded here)" in shown
    assert "Accounts       none" in shown
    assert overlay("set", "--dns-name", "loft", "--on-demand", "--no-lan").out == "home is changed.\n"
    one = house.home.links.wish("home")
    assert (one.dns_name, one.on_demand, one.is_on_lan) == ("loft", True, False)
    changed = overlay(
        "set", "--stun", "s:1", "--turn", "tcp:t:2:u", "--account", "a@b", "--password-file", "-", "--json",
        stdin=b"one\ntwo\n",
    ).json  # fmt: skip
    assert (changed["accounts"], changed["stun"], changed["turn"]) == (["a@b"], ["s:1"], ["tcp:t:2"])
    assert overlay("set", "--json").json == changed
    assert "made when they are needed" in overlay("set").out
    cleared = overlay(
        "set", "--no-stun", "--no-turn", "--no-account", "--no-on-demand", "--lan", "--json"
    ).json
    assert (cleared["accounts"], cleared["stun"], cleared["turn"], cleared["on_demand"]) == (
        [],
        [],
        [],
        False,
    )
    assert tell("overlay", "set", "--stun", "s:1", "--no-stun").code == 2
    assert tell("overlay", "set", "--dns-name", "A b").code == 1


def test_old_nodes_are_for_friends_alone(overlay, tell, house):
    refused = tell("overlay", "set", "--legacy")
    assert refused.code == 1
    assert "wayhouse link --legacy" in refused.err
    assert not house.home.links.wish("home").is_legacy
    overlay("create", "friends", "--social")
    assert "Old nodes" not in overlay("set", "-o", "friends").out
    assert overlay("set", "-o", "friends", "--legacy").out == "friends is changed.\n"
    assert house.home.links.wish("friends").is_legacy
    assert "weaker than usual" in overlay("set", "-o", "friends").out
    overlay("set", "-o", "friends", "--no-legacy")
    assert not house.home.links.wish("friends").is_legacy


def test_who_signs_the_certificates_of_relays(overlay, tell, house, tmp_path):
    file = Authority(tmp_path / "ca.pem").certificate
    overlay("set", "--relay-ca", file)
    assert house.home.links.wish("home").relay_ca == file.read_text()
    assert f"SHA-256 {fingerprints(file.read_text())[0]}" in overlay("set").out
    key = tmp_path / "key.pem"
    Authority(tmp_path / "b.pem").issue(tmp_path / "s.pem", key, "relay", ())
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\xfe")
    for name, told in ((key, "private key"), (odd, "is no PEM"), (tmp_path / "none", "cannot be read")):
        result = tell("overlay", "set", "--relay-ca", name)
        assert result.code == 2
        assert told in result.err
    assert tell("overlay", "set", "--relay-ca", file, "--no-relay-ca").code == 2
    assert house.home.links.wish("home").relay_ca
    overlay("set", "--no-relay-ca")
    assert house.home.links.wish("home").relay_ca == ""
    overlay("create", "other", "--subnet", "10.214.0.0/24", "--relay-ca", file)
    assert house.home.links.wish("other").relay_ca == file.read_text()


def test_the_code_is_asked_for_unseen(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    class Session:
        screen = Screen(out=Terminal(), err=Terminal())

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(secrets.getpass, "getpass", lambda prompt, stream: f" {prompt}\n")
    assert overlay_founding._code(Session(), None) == "Invitation:"
    assert Session.screen.out.getvalue() == ""
