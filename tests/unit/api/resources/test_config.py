import base64
import struct

import pytest


def key(comment="ann@laptop"):
    def part(data):
        return struct.pack(">I", len(data)) + data

    blob = part(b"ssh-ed25519") + part(bytes(32))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}"


async def test_the_node_id_is_empty_before_it_has_a_controller(house):
    assert (await house.ask("GET", "/api/v1/config/pdid", who="guest")).json() == {"pdid": ""}


async def test_settings_have_both_names_and_no_secret(house):
    body = (await house.ask("GET", "/api/v1/config/settings")).json()
    assert body["portal_server_port"] == 8080
    assert body["container_uid"] == 999


async def test_ssh_keys_are_added_listed_and_taken_out(house):
    home = house.paths.data.parent / "homes" / "ann"
    home.mkdir()
    path = "/api/v1/config/sshKeys/ann"
    assert (await house.ask("GET", path)).json() == []
    sent = {"key": f" {key()}\n"}
    assert (await house.ask("POST", path, sent)).json() == sent
    assert (await house.ask("GET", path)).json() == [key()]
    again = await house.ask("POST", path, sent)
    assert (again.status, again.json()["message"]) == (404, "Key already exists")
    assert (await house.ask("DELETE", path, sent)).json() == {"success": True}
    assert (await house.ask("DELETE", path, sent)).status == 404


async def test_a_user_without_a_home_is_a_404_in_paradrops_words(house):
    answer = await house.ask("GET", "/api/v1/config/sshKeys/none")
    assert (answer.status, answer.json()["message"]) == (404, "No home directory found for user none")


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2froot", "a%2Fb", "%00", "."])
async def test_no_name_leaves_the_homes(house, name):
    for method in ("GET", "POST", "DELETE"):
        answer = await house.ask(method, f"/api/v1/config/sshKeys/{name}", {"key": key()})
        assert answer.status in {400, 404}, answer


async def test_what_is_no_key_is_refused(house):
    (house.paths.data.parent / "homes" / "ann").mkdir()
    for text in ("", "x", "ssh-rsa AAAA", key() + "\n" + key("b"), 'command="x" ' + key()):
        assert (await house.ask("POST", "/api/v1/config/sshKeys/ann", {"key": text})).status == 400
