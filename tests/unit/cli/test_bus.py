# covers: cli/bus_words.py
"""The commands of the bus and the store, on a gateway with a real bus."""

import base64
import io
import sys
import threading

import pytest

from tests.parts.bus_gateway import running
from tests.unit.cli.test_chute_logs import Output
from wayhouse.api.wire_bus import Base64
from wayhouse.base.errors import BadInputError
from wayhouse.cli.bus_words import piece_of, short, shown


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("b")) as one:
        yield one


@pytest.fixture
def cli(bare, gateway, monkeypatch):
    monkeypatch.setenv("WAYHOUSE_DATA", str(gateway.base))
    return bare


def test_status(cli):
    told = cli("bus", "status").out
    assert "Bus       running (pid " in told
    assert "Titanic   running" in told
    assert "collector  tcp://127.0.0.1:" in told
    assert "on disk" in told
    assert {one["name"] for one in cli("bus", "status", "--json").json["processes"]} == {"bus", "titanic"}


def test_services_and_workers(cli):
    assert cli("bus", "services").out.splitlines()[0].split()[:2] == ["SERVICE", "WORKERS"]
    names = {one["name"] for one in cli("bus", "services", "--json").json}
    assert {"localhost.shout", "titanic.list"} <= names
    assert "localhost.shout" in cli("bus", "workers").out
    (worker,) = cli("bus", "workers", "localhost.shout", "--json").json
    assert worker["service"] == "localhost.shout"
    assert "No workers" in cli("bus", "workers", "nobody").err


def test_a_call(cli, tmp_path):
    result = cli("bus", "call", "localhost.shout", "ahoy", "there")
    assert (result.code, result.out) == (0, "AHOY\nTHERE\n200\n")
    assert "Took" in result.err
    file = tmp_path / "frame"
    file.write_bytes(b"a\xff")
    assert cli("bus", "call", "localhost.shout", f"@{file}").out == "base64:Qf8=\n200\n"
    assert cli("bus", "call", "localhost.shout", "@-", stdin=b"piped").out.startswith("PIPED\n")
    assert cli("bus", "call", "localhost.shout", "@@x", "--json").json["reply"] == ["@X", "200"]
    assert cli("bus", "call", "localhost.shout", "@").code == 2
    assert cli("bus", "call", "localhost.shout", "@/no/such/file").code == 1


def test_nobody_answers(cli):
    result = cli("bus", "call", "localhost.shuot", "x", "--timeout", 50)
    assert (result.code, result.out) == (1, "")
    assert "localhost.shout" in result.err
    assert "--wait" in result.err
    result = cli("bus", "call", "localhost.nobody", "x", "--timeout", 0.2, "--wait")
    assert (result.code, result.out) == (1, "")
    assert "wayhouse bus services" in result.err


def test_durable_requests(cli):
    name = "ab" * 16
    told = cli("bus", "call", "--durable", "--id", name, "localhost.shout", "x")
    assert told.out == "X\n200\n"
    listed = cli("bus", "requests")
    assert name in listed.out
    assert "answered" in listed.out
    assert "1 answered" in listed.err
    assert [one["uuid"] for one in cli("bus", "requests", "shout", "--json").json["requests"]] == [name]
    assert "No durable requests" in cli("bus", "requests", "failed").err


def test_keys_are_published_listed_and_deleted(cli):
    assert cli("bus", "publish", "/house/mode", "night").out == "/house/mode is published.\n"
    while not cli("bus", "keys", "/house/mode", "--json").json["total"]:
        pass
    heads, row = cli("bus", "keys", "/house/").out.splitlines()
    assert heads.split() == ["KEY", "SIZE", "VALUE"]
    assert row.split() == ["/house/mode", "5", "B", "night"]
    assert cli("bus", "publish", "/house/mode", "--delete").out == "/house/mode is deleted.\n"
    while cli("bus", "keys", "/house/mode", "--json").json["total"]:
        pass
    assert "No such keys" in cli("bus", "keys", "/house/").err
    assert cli("bus", "publish", "/house/mode").code == 2
    assert cli("bus", "publish", "/house/mode", "x", "--delete").code == 2


def test_watching(cli, gateway, monkeypatch):
    """It begins with what there is, shows what comes, and ends when the gateway does not serve it any more."""
    gateway.bus.publish("/watched/a", b"1")
    while not cli("bus", "keys", "/watched/", "--json").json["total"]:
        pass
    output = Output("/watched/a  1", "/watched/b  2", "/watched/a  (deleted)")

    def go_on():
        assert output.seen["/watched/a  1"].wait(20)
        gateway.loop.call_soon_threadsafe(gateway.bus.publish, "/watched/b", b"2")
        assert output.seen["/watched/b  2"].wait(20)
        gateway.loop.call_soon_threadsafe(gateway.bus.publish, "/watched/a", b"")

    thread = threading.Thread(target=go_on)
    thread.start()

    class Enough(Output):
        def write(self, text):
            output.write(text)
            if "(deleted)" in text:
                raise KeyboardInterrupt
            return len(text)

    monkeypatch.setattr(sys, "stdout", Enough())
    assert cli("bus", "watch", "/watched/", "--values").code == 130
    thread.join()


def test_top_once(cli):
    cli("bus", "call", "localhost.shout", "x")
    told = cli("bus", "top", "--once").out
    assert told.startswith("Broker   up ")
    assert "Durable  " in told
    assert "SERVICE" in told
    found = cli("bus", "top", "--once", "--json").json
    assert found["away"] == []
    assert found["per_s"]["replies"] >= 0
    assert all(one["done_per_s"] is not None for one in found["services"])


def test_the_store(cli):
    place = ("app", "settings", "colour")
    assert cli("store", "set", *place, "red").out == "app settings colour is stored, revision 1.\n"
    assert cli("store", "get", *place).out == "red\n"
    assert cli("store", "get", *place, "--json").json["revision"] == 1
    assert cli("store", "cas", *place, 1, "blue", "--ttl", 100).out.endswith("revision 2.\n")
    refused = cli("store", "cas", *place, 1, "green")
    assert refused.code == 1
    assert "revision 2" in refused.err
    assert cli("store", "ls").out == "app\n"
    assert cli("store", "ls", "app", "settings").out == "colour\n"
    assert "Nothing" in cli("store", "ls", "nobody").err
    assert cli("store", "rm", *place).out == "app settings colour is deleted.\n"
    assert cli("store", "get", *place).code == 1
    history = cli("store", "history", *place)
    assert [line.split()[0] for line in history.out.splitlines()] == ["REVISION", "3", "2", "1"]
    assert [one["what"] for one in cli("store", "history", *place, "--json").json] == [
        "deleted",
        "set",
        "set",
    ]


def test_how_frames_are_written_and_shown(monkeypatch):
    assert piece_of("text") == "text"
    assert piece_of("a\udcff") == Base64(b"a\xff")
    assert shown(None) == ""
    assert shown(Base64(b"\xff")) == "base64:" + base64.b64encode(b"\xff").decode()
    assert short("one line") == "one line"
    assert short("two\nlines") == "two…"
    assert short("x" * 200) == "x" * 100 + "…"
    monkeypatch.setattr("wayhouse.cli.bus_words.MOST_FILE", 3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1234")))
    with pytest.raises(BadInputError):
        piece_of("@-")
