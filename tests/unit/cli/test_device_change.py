def test_a_name_and_a_place(device):
    assert device("rename", "lamp", "light").out == "lamp is called light now.\n"
    assert device("show", "lamp", "--json").json["name"] == "light"
    assert device("move", "light", "attic").out == "light is in attic now.\n"
    assert device("move", "light", "").out == "light is in no area now.\n"
    assert device("move", "light", "x", "--json").json["area"] == "x"


def test_a_config(device, cli):
    assert "oid: dimmer" in device("config", "hall").out
    assert "poll: 7" in device("config", "hall", "--set", "poll=7", "--set", "colour=red").out
    assert device("config", "hall", "--set", "colour=null", "--json").json == {
        "oid": "dimmer", "name": "hall", "poll": 7,
    }  # fmt: skip
    wrong = cli("device", "config", "hall", "--set", "poll=often")
    assert (wrong.code, "poll" in wrong.err) == (1, True)


def test_added_and_removed_by_hand(device, cli):
    words = ("porch", "--type", "switch", "--driver", "fake", "--set", "poll=5", "--address", "p1")
    assert device("add", *words).out == "porch is added.\n"
    shown = device("show", "porch", "--json").json
    assert (shown["address"], shown["config"]["poll"]) == ("p1", 5)
    assert cli("device", "add", *words).code == 1
    refused = cli("device", "rm", "porch")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert device("rm", "porch", "--yes").out == "porch is removed.\n"
    assert cli("device", "show", "porch").code == 1
    assert device("add", "gate", "--type", "switch", "--driver", "fake", "--json").json["name"] == "gate"
    assert device("rm", "gate", "-y", "--json").json["name"] == "gate"
