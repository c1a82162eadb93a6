"""Hosts files and resolvers."""

from __future__ import annotations

from pathlib import Path

import pytest

from wayhouse.chutes.engines.sandbox import names


def test_services_and_the_gateway() -> None:
    text = names.hosts(["web", "db", "web"], {"paradrop.io": "172.17.0.1", "printer": "10.0.0.9"}, api=True)
    assert text.splitlines()[2:] == [
        "127.0.0.1 db",
        "127.0.0.1 web",
        "127.0.0.2 paradrop.io",
        "10.0.0.9 printer",
    ]
    assert "172.17.0.1 paradrop.io" in names.hosts([], {"paradrop.io": "172.17.0.1"}, api=False)


def test_no_line_can_be_smuggled_in() -> None:
    text = names.hosts(["web\n6.6.6.6 bank"], {"a b": "1.1.1.1", "c": "1.1.1.1\n6.6.6.6 bank"}, api=False)
    assert "bank" not in text
    assert "6.6.6.6" not in names.resolver(["9.9.9.9", "x\nnameserver 6.6.6.6"], own_network=True)


def test_resolvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tmp_path / "resolv.conf"
    monkeypatch.setattr(names, "FULL_LIST", tmp_path / "none")
    monkeypatch.setattr(names, "USUAL_LIST", usual)
    assert names.resolver(["10.0.0.1"], own_network=True) == "nameserver 10.0.0.1\n"
    usual.write_text("search lan\nnameserver 127.0.0.53\nnameserver 10.1.1.1\n")
    assert names.resolver([], own_network=True) == "search lan\nnameserver 10.1.1.1\n"
    assert "127.0.0.53" in names.resolver([], own_network=False)
    usual.write_text("nameserver 127.0.0.53\n")
    assert names.PUBLIC_SERVERS[0] in names.resolver([], own_network=True)
