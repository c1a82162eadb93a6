def test_what_goes_on_and_what_was(cli, app):
    app()
    assert "change history" in cli("change", "ls").err
    history = cli("change", "history", "--chute", "hello", "--limit", 1)
    assert history.out.splitlines()[1].split()[1:4] == ["create", "hello", "succeeded"]
    newest = cli("change", "history", "--json").json[0]
    assert newest["name"] == "hello"
    below = cli("change", "history", "--before", newest["id"], "--json").json
    assert all(one["id"] < newest["id"] for one in below)


def test_one_change(cli, app):
    app()
    change_id = cli("change", "history", "--json").json[0]["id"]
    told = cli("change", "show", change_id).out
    assert "create hello" in told
    assert cli("change", "show", change_id, "--json").json["id"] == change_id


def test_watching_one_that_is_over_shows_all_of_it(cli, app):
    app()
    change_id = cli("change", "history", "--json").json[0]["id"]
    result = cli("change", "watch", change_id)
    assert result.code == 0
    assert result.out.splitlines()[-1] == "Completed create operation on chute hello: success"
    lines = cli("change", "watch", change_id, "--json").json_lines
    assert set(lines[0]) == {"time", "message"}
    assert lines[-1]["state"] == "succeeded"


def test_watching_one_that_failed_is_1(cli, app):
    app()
    cli("chute", "start", "hello")
    change_id = cli("change", "history", "--json").json[0]["id"]
    assert cli("change", "watch", change_id).code == 1


def test_what_is_over_cannot_be_cancelled(cli, app):
    app()
    change_id = cli("change", "history", "--json").json[0]["id"]
    assert cli("change", "cancel", change_id).code == 1


def test_one_that_waits_can(cli, app, gateway):
    import asyncio

    app()
    gate = asyncio.Event()

    async def wait(*_, **__):
        await gate.wait()

    original, gateway.engine.stop = gateway.engine.stop, wait
    first = cli("chute", "stop", "hello", "--no-wait", "--json").json["change_id"]
    second = cli("chute", "restart", "hello", "--no-wait", "--json").json["change_id"]
    assert len(cli("change", "ls", "--json").json) == 2
    assert cli("change", "cancel", second).out == f"Change {second} is cancelled.\n"
    result = cli("change", "watch", second)
    assert result.code == 1
    assert "cancelled" in result.err
    gateway.engine.stop = original
    gateway.loop.call_soon_threadsafe(gate.set)
    assert cli("change", "watch", first).code == 0


def test_there_is_no_such_change(cli):
    for verb in ("show", "watch", "cancel"):
        assert cli("change", verb, 999999).code == 1
    assert cli("change", "show", "x").code == 2
