import pytest

from tests.parts.house import PASSWORD


async def sign_in(house, body, **more):
    return await house.ask("POST", "/api/v1/auth/local", body, who=None, **more)


async def test_signing_in_gives_a_session(house):
    answer = await sign_in(house, {"username": "user", "password": PASSWORD})
    body = answer.json()
    assert (answer.status, body["username"], body["success"]) == (200, "user", True)
    me = await house.ask(
        "GET", "/api/v1/auth/me", who=None, headers={"authorization": f"Bearer {body['token']}"}
    )
    assert me.json() == {"name": "user", "domain": "localhost", "role": "user"}


async def test_the_default_name_is_paradrops(house):
    assert (await sign_in(house, {"password": PASSWORD})).json()["username"] == "paradrop"


async def test_wrong_credentials_have_the_old_fields_and_no_challenge(house):
    for body in ({"username": "user", "password": "x"}, {"username": "nobody", "password": "x"}, {}):
        answer = await sign_in(house, body)
        assert (answer.status, answer.json()["success"]) == (401, False)
        assert "token" not in answer.json()
        assert answer.headers.get("www-authenticate") is None
    assert (await sign_in(house, b"{")).status == 400


async def test_guessing_ends_in_a_lockout_that_says_how_long(house):
    answers = [await sign_in(house, {"username": "user", "password": f"x{n}"}) for n in range(6)]
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_controller_is_not_known_yet(house):
    assert (await house.ask("POST", "/api/v1/auth/cloud", {"token": "x"}, who=None)).status == 401


async def test_a_link_serves_once(house):
    path = (await house.ask("POST", "/api/v1/auth/links", who="user")).json()["path"]
    code = path.partition("code=")[2]
    first = await house.ask("POST", "/api/v1/auth/link", {"code": code}, who=None)
    assert (first.status, first.json()["username"]) == (200, "user")
    assert (await house.ask("POST", "/api/v1/auth/link", {"code": code}, who=None)).status == 401


async def test_a_user_changes_its_own_password_and_no_other(house):
    own = {"username": "user", "password": "another-long-one"}
    other = {"username": "guest", "password": "another-long-one"}
    assert (await house.ask("POST", "/api/v1/password/change", other, who="user")).status == 403
    assert (await house.ask("POST", "/api/v1/password/change", own, who="user")).json() == {"success": True}
    assert (await sign_in(house, own)).status == 200


async def test_without_a_known_name_the_default_users_password_changes(house):
    change = {"password": "another-long-one", "username": "whoever"}
    assert (await house.ask("POST", "/api/v1/password/change", change, who="user")).status == 403
    assert (await house.ask("POST", "/api/v1/password/change", change, who="owner")).status == 200
    assert (await sign_in(house, {"password": "another-long-one"})).status == 200


async def test_clearing_leaves_one_user_with_a_new_password(house):
    assert (await house.ask("POST", "/api/v1/password/clear", who="admin")).status == 403
    body = (await house.ask("POST", "/api/v1/password/clear", who="owner")).json()
    assert (body["success"], body["username"]) == (True, "paradrop")
    assert (await sign_in(house, {"password": body["password"]})).status == 200


async def test_users_come_and_go(house):
    new = {"name": "ann", "password": "a-long-password", "role": "trusted"}
    assert (await house.ask("POST", "/api/v1/users", new)).json()["role"] == "trusted"
    assert (await house.ask("POST", "/api/v1/users", new)).status == 409
    assert "ann" in [one["name"] for one in (await house.ask("GET", "/api/v1/users")).json()]
    changed = await house.ask("PUT", "/api/v1/users/ann", {"role": "guest", "password": "yet-another-one"})
    assert changed.json()["role"] == "guest"
    assert (await sign_in(house, {"username": "ann", "password": "yet-another-one"})).status == 200
    assert (await house.ask("DELETE", "/api/v1/users/ann")).json() == {"success": True}
    assert (await house.ask("DELETE", "/api/v1/users/ann")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [({"name": "x", "password": "short"}, 400), ({"name": "../x", "password": PASSWORD}, 400)],
)
async def test_bad_users_are_refused(house, body, status):
    assert (await house.ask("POST", "/api/v1/users", body)).status == status


async def test_api_tokens_are_shown_once_and_listed_for_their_owner(house):
    made = (await house.ask("POST", "/api/v1/tokens", {"name": "ci", "role": "guest"}, who="user")).json()
    header = {"authorization": f"Bearer {made['token']}"}
    assert (await house.ask("GET", "/api/v1/auth/me", who=None, headers=header)).json()["role"] == "guest"
    listed = await house.ask("GET", "/api/v1/tokens", who="user")
    assert made["token"] not in listed.body.decode()
    assert [one["id"] for one in listed.json()] == [made["id"]]
    assert (await house.ask("GET", "/api/v1/tokens", who="trusted")).json() == []
    assert len((await house.ask("GET", "/api/v1/tokens", who="admin")).json()) == 1
    assert (await house.ask("DELETE", f"/api/v1/tokens/{made['id']}", who="trusted")).status == 404
    assert (await house.ask("DELETE", f"/api/v1/tokens/{made['id']}", who="user")).status == 200
    assert (await house.ask("GET", "/api/v1/auth/me", who=None, headers=header)).status == 401


async def test_the_audit_log_tells_who_did_what(house):
    await house.ask("DELETE", "/api/v1/chutes/none", who="trusted")
    entry = {"who": ""}
    while not entry["who"].startswith("trusted"):  # lines are written when there is time
        entry = (await house.ask("GET", "/api/v1/audit?limit=1")).json()[0]
    assert (entry["action"], entry["outcome"]) == ("DELETE /api/v1/chutes/{chute}", "ok")
    assert (entry["target"], entry["client"]) == ("/api/v1/chutes/none", "203.0.113.9")
    assert len((await house.ask("GET", "/api/v1/audit?limit=3")).json()) == 3
    assert (await house.ask("GET", f"/api/v1/audit?before={entry['id']}&limit=1")).json()[0]["id"] < entry[
        "id"
    ]
