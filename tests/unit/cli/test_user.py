def test_add_change_and_remove(cli):
    added = cli("user", "add", "ann", "--role", "trusted", "--password-stdin", stdin=b"long enough 1\n")
    assert added.out == "ann may use the gateway as trusted.\n"
    assert cli("user", "role", "ann", "admin").out == "ann is admin now.\n"
    changed = cli("user", "password", "ann", "--password-stdin", "--json", stdin=b"long enough 2\n")
    assert changed.json == {"success": True}
    assert {"ann": "admin"}.items() <= {
        one["name"]: one["role"] for one in cli("user", "ls", "--json").json
    }.items()
    assert "ann" in cli("user", "ls").out
    assert cli("user", "rm", "ann").out == "ann is removed.\n"
    assert cli("user", "rm", "ann").code == 1


def test_a_password_is_needed(cli):
    assert cli("user", "add", "ann").code == 2
    assert cli("user", "add", "ann", "--password-stdin").code == 2
    assert cli("user", "add", "ann", "--role", "king", "--password-stdin", stdin=b"long enough\n").code == 1
