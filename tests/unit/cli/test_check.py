import pytest

from wayhouse.cli import choice

NAMES = [
    "python",
    "gateway",
    "data",
    "disk",
    "clock",
    "port",
    "docker",
    "programs",
    "cgroups",
    "user-namespaces",
]


@pytest.fixture(autouse=True)
def no_daemon_of_this_machine(monkeypatch):
    monkeypatch.setattr(choice, "local_sockets", lambda env: iter(()))


def test_without_a_gateway_it_looks_at_the_machine(bare):
    result = bare("check", "--json")
    found = {one["name"]: one for one in result.json}
    assert list(found) == NAMES
    assert found["gateway"]["verdict"] == "warn"
    assert all(one["advice"] for one in found.values() if one["verdict"] != "ok")
    assert result.code == int(any(one["verdict"] == "fail" for one in found.values()))


def test_with_one_it_knows_the_engine_and_the_port(cli, gateway):
    found = {one["name"]: one for one in cli("check", "--json").json}
    assert list(found) == [*NAMES[:2], "engine", "bus", *NAMES[2:]]
    assert found["gateway"]["verdict"] == "ok"
    assert "Nothing really runs" in found["engine"]["advice"]
    assert found["port"]["text"] == f"The gateway answers at {gateway.http.removeprefix('http://')}."
    assert str(gateway.base) in found["data"]["text"]


def test_a_gateway_elsewhere_says_nothing_about_this_machine(bare, gateway, monkeypatch):
    made = bare("--data", gateway.base, "token", "add", "checker", "--json").json
    monkeypatch.setenv("WAYHOUSE_TOKEN", made["token"])
    found = bare("--gateway", gateway.http, "check", "--json").json
    assert [one["name"] for one in found] == ["python", "gateway", "engine", "bus"]


def test_a_gateway_that_was_named_must_answer(bare, tmp_path):
    result = bare("--data", tmp_path, "check")
    assert result.code == 1
    assert "fail  gateway" in result.out
    assert "-> " in result.out
