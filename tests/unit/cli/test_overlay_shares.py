"""Sharing by hand, on a whole gateway with the fake house."""

from __future__ import annotations

import pytest

SUBNET = "10.213.0.0/24"
UID = "ab" * 20


@pytest.fixture
def share(cli, house):
    """Runs a `wayhouse overlay` command on a gateway in the overlay `home`; it has to work."""

    def run(*words):
        result = cli("overlay", *words)
        assert result.code == 0, result
        return result

    run("create", "home", "--subnet", SUBNET)
    yield run
    run("leave", "-o", "home", "--yes")


def test_a_device_is_shared_by_its_id_and_shown_by_its_name(share, cli, house):
    assert "Nothing is shared" in share("shares").err
    told = share("share", "device:lamp", "--to", "tag:family", "--command")
    assert told.out == "device:lamp is shared with tag:family.\n"
    (one,) = share("shares", "--json").json
    assert one == {
        "what": f"device:{house.devices.get('lamp').id}",
        "to": "tag:family",
        "may": "command",
        "port": 0,
    }
    cli("device", "rename", "lamp", "desk")
    assert share("shares").out.splitlines()[1].split() == ["device:desk", "tag:family", "command"]
    share("share", "device:desk", "--to", "tag:family")
    assert [one["may"] for one in share("shares", "--json").json] == ["read"]
    assert share("unshare", "device:desk").out == "device:desk is shared with nobody.\n"
    assert share("shares", "--json").json == []


def test_apps_and_services(share):
    assert share("share", "app:hello", "--to", "any").out == "app:hello is shared with any at port 80.\n"
    share("share", "app:hello", "--to", UID)
    share("share", "service:kitchen.greeter", "--to", "any")
    share("share", "device:*", "--to", "any")
    rows = [line.split() for line in share("shares").out.splitlines()[1:]]
    assert rows == [
        ["app:hello", "any", "use", "80"],
        ["app:hello", UID[:8], "use", "80"],
        ["service:kitchen.greeter", "any", "use"],
        ["device:*", "any", "read"],
    ]
    assert share("unshare", "app:hello", "--to", UID).out == f"app:hello is shared with {UID} no more.\n"
    assert len(share("unshare", "app:hello", "--json").json["shares"]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("share", "device:nothing", "--to", "any"), "nothing"),
        (("share", "device:tv-volume", "--to", "any"), "not a whole device"),
        (("share", "lamp", "--to", "any"), "device:NAME"),
        (("share", "device:lamp", "--to", "tag:"), "tag:name"),
        (("share", "device:lamp", "--to", "any", "--port", "80"), "only apps"),
        (("share", "app:hello", "--to", "any", "--port", "5525"), "take another"),
        (("unshare", "device:lamp"), "overlay shares -o home"),
    ],
)
def test_what_cannot_be_shared_is_said_clearly(share, cli, words, told):
    result = cli("overlay", *words)
    assert result.code in {1, 2}
    assert told in result.err
