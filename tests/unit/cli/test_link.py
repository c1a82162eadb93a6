import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wayhouse.cli import link
from wayhouse.overlay import link_options
from wayhouse.overlay.drivers.tun_right import NoTunnelError
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.model import PathPolicy


@pytest.fixture
def started(monkeypatch):
    """The options that the node would be started with."""
    calls = []
    monkeypatch.setattr(link.os, "execv", lambda *words: calls.append(words))
    monkeypatch.setattr(link, "demand_interface", lambda _name, **_more: None)
    return calls


def _options(started):
    [(program, words)] = started
    assert (program, words[1:3]) == (sys.executable, ["-m", link.PROCESS])
    return link_options.parse(words[3:])


def test_nothing_said(bare, started, tmp_path):
    told = bare("link")
    assert told.code == 0, told
    folder = tmp_path / "home/.local/share/wayhouse/link"
    assert _options(started) == link_options.LinkOptions(data=folder)
    assert str(folder) in told.err
    assert "UDP port 5800" in told.err
    assert "root" in told.err
    assert "examples/overlay/controller.py" in told.err
    assert told.out == ""


def test_everything_said_reaches_the_node(bare, started, tmp_path):
    words = (
        "--data", tmp_path / "-x", "--control-port", 0, "--no-tun", "--mtu", 1400, "--fingerprint", "sha256",
        "--no-translation", "--stun", "a:1", "--stun", "[2001:db8::1]:2", "--policy", "relay", "--ignore", "eth1",
        "--no-ipv6", "--ca-file", "f", "--pin", "p",
    )  # fmt: skip
    told = bare("link", *words)
    assert told.code == 0, told
    assert "has no interface" in told.err
    assert "that it names" in told.err
    assert _options(started) == link_options.LinkOptions(
        data=tmp_path / "-x", control_port=0, tun=None, mtu=1400, digest=Digest.SHA256, translates=False,
        stun=(("a", 1), ("2001:db8::1", 2)), policy=PathPolicy.RELAY, ignored=("eth1",), use_ipv6=False,
        ca_file="f", pin="p",
    )  # fmt: skip


def test_what_is_missing_for_an_interface_is_said_before_anything_begins(
    bare, started, monkeypatch, tmp_path
):
    wished = []

    def demand(name, *, is_ethernet):
        wished.append((name, is_ethernet))
        raise NoTunnelError("CAP_NET_ADMIN is missing. Run it as root.")

    monkeypatch.setattr(link, "demand_interface", demand)
    told = bare("link", "--data", tmp_path / "d", "--tun", "mine")
    assert (told.code, told.out, told.err) == (1, "", "wayhouse: CAP_NET_ADMIN is missing. Run it as root.\n")
    assert bare("link", "--legacy").code == 1
    assert wished == [("mine", False), ("ipop", True)]
    assert started == []
    assert not (tmp_path / "d").exists()
    assert bare("link", "--no-tun").code == 0
    assert len(started) == 1


@pytest.mark.parametrize(("word", "is_clear"), [("--legacy", False), ("--in-the-clear", True)])
def test_old_nodes_as_peers(bare, started, word, is_clear):
    told = bare("link", word)
    assert told.code == 0, told
    options = _options(started)
    assert (options.is_legacy, options.allows_clear) == (True, is_clear)
    assert "pretend to be a peer" in told.err, "what it gives up"


def test_the_folder_may_be_said_first(bare, started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bare("--data", "d", "link").code == 0
    assert _options(started).data == tmp_path / "d"


@pytest.mark.parametrize(
    ("user", "says"), [(0, "those of root.\n"), (2**31 - 9, f"those of user {2**31 - 9} and of root.\n")]
)
def test_who_may_drive_it(bare, started, monkeypatch, user, says):
    monkeypatch.setattr(link.os, "geteuid", lambda: user)
    assert says in bare("link").err


@pytest.mark.parametrize(
    "words", [("--policy", "off"), ("--control-port", "65536"), ("--mtu", "1"), ("more",)]
)
def test_wrong_usage(bare, started, words):
    assert bare("link", *words).code == 2
    assert started == []


def test_a_node_from_the_command_line(tmp_path):
    """The whole way, until it can be heard."""
    command = [sys.executable, "-m", "wayhouse.cli.main", "link", "--no-tun", "--control-port", "0", "--data"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "d")], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        said = [process.stderr.readline() for _ in range(4)]
        assert "controllers are heard on UDP port" in said[3], said
        assert Path(tmp_path / "d").is_dir()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()
