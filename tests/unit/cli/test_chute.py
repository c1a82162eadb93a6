# covers: cli/chute_words.py
def test_nothing_is_installed(cli):
    result = cli("chute", "ls")
    assert (result.code, result.out) == (0, "")
    assert "chute install" in result.err
    assert cli("chute", "ls", "--json").json == []


def test_ls_shows_what_runs_and_where(cli, app, gateway):
    app("hello", port=8000)
    row = cli("chute", "ls").out.splitlines()[1].split()
    assert row[:4] == ["hello", "1", "running", "1/1"]
    assert row[4].startswith("http://127.0.0.1:")
    assert cli("chute", "ls", "--json").json[0]["name"] == "hello"


def test_show_tells_all_about_one(cli, app):
    app()
    told = cli("chute", "show", "hello").out
    assert "COLOUR=red" in told
    assert "main" in told
    assert cli("chute", "show", "hello", "--json").json["state"] == "running"


def test_stop_start_restart(cli, app):
    app()
    assert cli("chute", "stop", "hello").out == "hello is stopped.\n"
    assert "stopped" in cli("chute", "ls").out
    assert cli("chute", "start", "hello").out == "hello runs.\n"
    result = cli("chute", "restart", "hello", "--json")
    assert result.json["change"]["state"] == "succeeded"
    assert result.err == ""


def test_env_is_laid_over_what_is_there(cli, app):
    app()
    assert cli("chute", "restart", "hello", "--env", "SHAPE=round").code == 0
    assert cli("chute", "show", "hello", "--json").json["environment"] == {"COLOUR": "red", "SHAPE": "round"}
    assert cli("chute", "restart", "hello", "--env", "nonsense").code == 2


def test_a_change_that_fails_gives_its_reason(cli, app):
    app()
    cli("chute", "stop", "hello")
    result = cli("chute", "stop", "hello")
    assert result.code == 1
    assert "already stopped" in result.err


def test_no_wait_says_how_to_watch(cli, app, gateway):
    app()
    result = cli("chute", "restart", "hello", "--no-wait")
    assert result.code == 0
    assert "wayhouse change watch" in result.out
    assert set(cli("chute", "restart", "hello", "--no-wait", "--json").json) == {"change_id"}


def test_what_is_not_there(cli):
    for words in (("show",), ("rm", "--yes"), ("logs",), ("config",)):
        result = cli("chute", words[0], "nobody", *words[1:])
        assert result.code == 1
        assert result.err.count("\n") == 1


def test_rm_wants_to_be_sure(cli, app):
    app()
    result = cli("chute", "rm", "hello")
    assert result.code == 2
    assert "--yes" in result.err
    assert cli("chute", "rm", "hello", "--yes").out == "hello is removed.\n"
    assert cli("chute", "ls", "--json").json == []
