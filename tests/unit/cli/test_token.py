def test_make_use_and_end(cli, gateway, monkeypatch):
    made = cli("token", "add", "robot", "--role", "user", "--days", "1")
    secret = made.out.strip()
    assert secret.startswith("wht_")
    assert "not shown again" in made.err
    listed = {one["name"]: one for one in cli("token", "ls", "--json").json}
    assert listed["robot"]["role"] == "user"
    assert listed["robot"]["expires"] > listed["robot"]["created"]
    assert "robot" in cli("token", "ls").out
    assert secret not in cli("token", "ls").out
    token_id = listed["robot"]["id"]
    assert cli("token", "rm", token_id).out == f"Token {token_id} is ended.\n"
    assert cli("token", "rm", token_id, "--json").code == 1


def test_wrong_usage(cli):
    assert cli("token", "add").code == 2
    assert cli("token", "add", "x", "--days", "0").code == 2
    assert cli("token", "add", "x", "--role", "king").code == 1
