from wayhouse.host.masking import MASK
from wayhouse.host.settings_view import flat, view


def test_sections_become_prefixes_and_secrets_are_masked():
    tree = {
        "access": {"login_attempts": 5, "first_password": "x"},
        "Tokens": {"alice": "y"},
        "empty": {},
        "list": [1],
    }
    assert flat(tree) == {
        "access_login_attempts": 5,
        "access_first_password": MASK,
        "tokens_alice": MASK,
        "empty": {},
        "list": [1],
    }


def test_old_names_stand_beside_ours():
    legacy = {"PORTAL_SERVER_PORT": 8080, "default_panel_password": "", "registry_password": "x", "a": 1}
    assert view({"a": 2, "portal": {"port": 80}}, legacy) == {
        "a": 2,
        "default_panel_password": "",
        "portal_port": 80,
        "portal_server_port": 8080,
        "registry_password": MASK,
    }


def test_depth_is_bounded_and_still_masked():
    tree: dict = {"password": "x"}
    for _ in range(20):
        tree = {"a": tree}
    assert "'x'" not in str(flat(tree))
