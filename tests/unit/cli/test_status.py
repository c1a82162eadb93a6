from wayhouse.cli.status import machine_lines


def test_at_a_glance(cli, app, gateway):
    app()
    told = cli("status").out
    assert f"Gateway  {gateway.http}" in told
    assert "1 app installed, 1 running" in told
    assert "fake 1" in told
    assert "0 changes under way" in told


def test_for_programs(cli):
    found = cli("status", "--json").json
    assert set(found) == {"gateway", "page", "version", "software", "status", "chutes", "changes"}


def test_a_guest_sees_what_a_guest_may(cli, gateway, monkeypatch):
    token = cli("token", "add", "guest", "--role", "guest", "--json").json["token"]
    monkeypatch.setenv("WAYHOUSE_TOKEN", token)
    result = cli("--gateway", gateway.http, "status")
    assert result.code == 0
    assert "Changes" not in result.out


def test_what_is_missing_is_left_out():
    assert machine_lines({}) == []
    assert machine_lines({"cpu_load": [10, 20], "mem": {"total": 0}}) == [("CPU", "15 % of 2 cores")]
    disk = {"disk": {"/": {"total": 2**30, "used": 2**20}}}
    assert machine_lines(disk) == [("Disk", "1.0 MiB of 1.0 GiB at /")]
