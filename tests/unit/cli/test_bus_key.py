import json

import pytest
import zmq

from wayhouse.bus.keys import Keys


@pytest.fixture
def added(cli):
    """Adds a peer, and removes it afterwards."""
    names = []

    def add(name, *more):
        names.append(name)
        result = cli("bus", "key", "add", name, *more)
        assert result.code == 0, result
        return result

    yield add
    for name in names:
        cli("bus", "key", "rm", name)


def test_a_file_that_programs_can_use(cli, added, tmp_path):
    file = tmp_path / "pi.keys"
    told = added("kitchen-pi", "--out", file)
    assert told.out == f"kitchen-pi may connect with the keys in {file}.\n"
    assert "`bus.mechanism` is none, not curve" in told.err
    assert file.stat().st_mode & 0o777 == 0o600
    keys = Keys.from_file(file)
    assert keys.curve.server == cli("bus", "key", "show-server").out.strip()
    listed = cli("bus", "key", "ls")
    assert "kitchen-pi" in listed.out
    assert keys.curve.public in listed.out
    assert keys.curve.secret not in listed.out + told.out + told.err


def test_without_a_file_it_is_shown_once(added, cli):
    told = added("pi")
    assert set(json.loads(told.out)["curve"]) == {"server", "public", "secret"}
    assert "not shown again" in told.err
    plain = json.loads(added("dash", "--plain").out)["plain"]
    assert plain["user"] == "dash"
    assert [(one["name"], one["kind"]) for one in cli("bus", "key", "ls", "--json").json["peers"]] == [
        ("dash", "plain"), ("pi", "curve"),
    ]  # fmt: skip


def test_for_programs(added, cli, tmp_path):
    made = added("one", "--json").json
    assert made["keys"]["curve"]["public"] == made["public"]
    written = added("two", "--json", "--out", tmp_path / "two.keys").json
    assert (written["keys"], written["name"]) == (None, "two")
    assert cli("bus", "key", "show-server", "--json").json == {"server": made["server"], "mechanism": "none"}
    assert cli("bus", "key", "rm", "one", "--json").json == {"success": True}


def test_a_key_of_its_own(added, cli):
    public = zmq.curve_keypair()[0].decode()
    told = added("own", f"--public={public}")
    assert told.out.splitlines()[1:] == [cli("bus", "key", "show-server").out.strip()]
    assert cli("bus", "key", "rm", "own").out == "own may connect no more.\n"
    assert "Nobody may connect" in cli("bus", "key", "ls").err


def test_wrong_usage(cli, tmp_path):
    file = tmp_path / "there"
    file.write_text("mine")
    taken = cli("bus", "key", "add", "pi", "--out", file)
    assert (taken.code, "not there yet" in taken.err, file.read_text()) == (2, True, "mine")
    for more in (("--plain",), ("--out", tmp_path / "new")):
        assert cli("bus", "key", "add", "pi", "--public", "x" * 40, *more).code == 2
    refused = tmp_path / "refused"
    assert cli("bus", "key", "add", "a b", "--out", refused).code != 0
    assert not refused.exists()
    assert cli("bus", "key", "rm", "nobody").code == 1
