def test_who_did_what(cli, app):
    app()
    newest = cli("audit", "--limit", 1, "--json").json[0]
    assert newest["outcome"] == "ok"
    assert newest["who"].startswith("root") or newest["via"] == "peer"
    assert "OUTCOME" in cli("audit").out
    assert all(one["id"] < newest["id"] for one in cli("audit", "--before", newest["id"], "--json").json)
    assert cli("audit", "--limit", 0).code == 2
