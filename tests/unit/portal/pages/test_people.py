from __future__ import annotations

import pytest

from wayhouse.access.ssh_keys import SshKeys
from wayhouse.portal.pages.people import _key

PASSWORD = "correct-horse-battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZ4XkFZbGJ2cXlkc2hmZ2tqaGdmZHNhcXdlcnR5 lena@laptop"


async def test_users_come_change_and_go(house):
    browser = await house.browser()
    new = {"name": "lena", "password": PASSWORD, "role": "user"}
    assert (await browser.post("/users", data=new)).headers["location"] == "/users?done=added"
    reply = await browser.post("/users", data=new)
    assert reply.status_code == 409
    assert 'value="lena"' in reply.text
    assert (await browser.post("/users", data={**new, "name": "<x>"})).status_code == 400
    await browser.post("/users/lena/role", data={"role": "trusted"})
    assert house.gateway.access.users.get("lena").role.label == "trusted"
    assert (await browser.post("/users/lena/role", data={"role": "owner"})).status_code == 403
    assert (await browser.post("/users/lena/password", data={"password": "short"})).status_code == 400
    assert (await browser.post("/users/lena/password", data={"password": PASSWORD + "2"})).status_code == 303
    assert (await browser.post("/users/lena/remove")).status_code == 303
    assert house.gateway.access.users.find("lena") is None
    reply = await browser.post("/users/paradrop/remove")
    assert reply.status_code == 409
    assert "last administrator" in reply.text


@pytest.fixture
def homes(house, tmp_path):
    (tmp_path / "homes" / "lena").mkdir(parents=True)
    access = house.gateway.access
    keys = SshKeys(access.audit, homes=tmp_path / "homes", root_home=tmp_path / "root")
    access.ssh_keys = keys
    return keys


async def test_ssh_keys(house, homes):
    browser = await house.browser()
    assert "No keys for lena" in (await browser.get("/ssh-keys?user=lena")).text
    reply = await browser.post("/ssh-keys/lena", data={"key": "nonsense"})
    assert reply.status_code == 400
    reply = await browser.post("/ssh-keys/lena", data={"key": KEY})
    assert reply.status_code in {200, 400}
    missing = await browser.get("/ssh-keys?user=nobody-here")
    assert missing.status_code == 404
    assert "<html" in missing.text
    assert (await browser.post("/ssh-keys/lena/remove", data={"key": "ssh-ed25519 AAAA"})).status_code == 404


def test_the_parts_of_a_key():
    assert _key("ssh-rsa AAAA me at home") == ("ssh-rsa", "me at home", "ssh-rsa AAAA me at home")
    assert _key('command="x" ssh-ed25519 AAAA me')[:2] == ("ssh-ed25519", "me")
    assert _key("") == ("", "", "")


async def test_the_audit_log(house):
    browser = await house.browser()
    for number in range(110):
        house.gateway.access.audit.record(None, "probe", f"<i>{number}")
    await house.written()
    page = (await browser.get("/audit")).text
    assert "&lt;i&gt;109" in page
    assert "Older" in page
    assert (await browser.get("/audit?before=nonsense")).status_code == 200
    assert "sign-in" in (await browser.get("/audit?before=20")).text
