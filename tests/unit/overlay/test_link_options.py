from pathlib import Path

import pytest

from tests.parts.certificates import Authority
from wayhouse.overlay import link_options
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.model import PathPolicy


def test_what_is_usual():
    options = link_options.parse(["--data", "/somewhere"])
    assert (options.data, options.control_port, options.tun) == (Path("/somewhere"), 5800, "ipop")
    assert (options.digest, options.translates, options.mtu) == (Digest.SHA1, True, 1280)
    settings = options.path_settings()
    assert (settings.stun, settings.policy, settings.use_ipv6) == ((), PathPolicy.AUTO, True)


def test_everything():
    options = link_options.parse(
        [
            "--data",
            "d",
            "--control-port",
            "0",
            "--no-tun",
            "--fingerprint",
            "sha256",
            "--no-translation",
            "--stun",
            "a:1",
            "--stun",
            "[2001:db8::1]:2",
            "--policy",
            "relay",
            "--ignore",
            "eth1",
            "--no-ipv6",
            "--ca-file",
            "f",
            "--pin",
            "p",
            "--traces",
            "t",
            "--lifeline",
            "l",
        ]
    )
    assert (options.control_port, options.tun, options.digest, options.translates) == (
        0,
        None,
        Digest.SHA256,
        False,
    )
    settings = options.path_settings()
    assert settings.stun == (("a", 1), ("2001:db8::1", 2))
    assert (settings.policy, settings.ignored_interfaces, settings.use_ipv6) == (
        PathPolicy.RELAY,
        ("eth1",),
        False,
    )
    assert (options.ca_file, options.pin, options.traces, options.lifeline) == (
        "f",
        "p",
        Path("t"),
        Path("l"),
    )


def test_an_authority_of_relays_is_read(tmp_path, capsys):
    file = Authority(tmp_path / "ca.pem").certificate
    options = link_options.parse(["--data", "d", "--relay-ca", str(file)])
    assert options.path_settings().relay_ca == file.read_text()
    for odd, told in ((tmp_path / "none", "cannot be read"), (Path(__file__), "no certificate")):
        with pytest.raises(SystemExit):
            link_options.parse(["--data", "d", "--relay-ca", str(odd)])
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        "",
        "--data d --control-port 65536",
        "--data d --control-port x",
        "--data d --tun a/b",
        "--data d --tun sixteen-letters-",
        "--data d --stun a:b",
        "--data d --policy off",
        "--data d --fingerprint md5",
        "--data d --ancient",
    ],
)
def test_what_is_not_understood(argv, capsys):
    with pytest.raises(SystemExit) as end:
        link_options.parse(argv.split())
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err


def test_as_old_nodes_do():
    usual = link_options.parse(["--data", "d"])
    assert (usual.is_legacy, usual.allows_clear) == (False, False)
    old = link_options.parse(["--data", "d", "--legacy"])
    assert (old.is_legacy, old.allows_clear) == (True, False)
    clear = link_options.parse(["--data", "d", "--in-the-clear"])
    assert (clear.is_legacy, clear.allows_clear) == (True, True)
