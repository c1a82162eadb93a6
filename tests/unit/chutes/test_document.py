# covers: chutes/overlay.py
"""The document of a specification: its keys, the way back, and what fields laid over it change."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.chutes.document import document, merge
from wayhouse.chutes.model import (
    BadSpecError,
    Build,
    Health,
    Limits,
    PortBinding,
    Requests,
    Restart,
    Service,
    Spec,
    Web,
)
from wayhouse.chutes.spec import from_document, parse
from wayhouse.ledger.model import Actor

PORTAL = parse(
    b"""
version: 1
config:
  name: captive-portal
  web: {port: 80}
  net:
    wifi: {type: wifi, intfName: wlan0, ssid: Free WiFi, options: {isolate: true}, dhcp: {lease: 1h, limit: 250, start: 3}}
  environment: {A: 1}
"""
)
PAIR = parse(
    b"""
name: pair
version: 2
environment: {A: 1, B: 2}
services:
  front: {type: light, image: node, command: node ., requests: {as-root: true, port-bindings: {80: 8080}}}
  back: {type: image, image: redis, interfaces: {vlan7: {type: vlan, vlan_id: 7}}}
web: {service: front, port: 3000}
"""
)


def test_keys_of_the_document() -> None:
    shown = document(PORTAL, owner=Actor("me"), state="running")
    assert list(shown) == [
        "name", "description", "version", "owner", "state", "config", "environment", "web", "services", "net",
    ]  # fmt: skip
    assert shown["owner"] == {"name": "me", "domain": "localhost", "role": "admin"}
    assert shown["web"] == {"service": "main", "port": 80}
    main = shown["services"]["main"]
    assert set(main) >= {
        "name", "type", "image", "source", "command", "build", "environment", "interfaces", "requests", "dockerfile",
    }  # fmt: skip
    assert (main["name"], main["requests"], main["build"]) == ("main", {}, {})
    assert shown["net"] == {
        "wifi": {
            "type": "wifi",
            "intfName": "wlan0",
            "ssid": "Free WiFi",
            "options": {"isolate": True},
            "dhcp": {"lease": "1h", "limit": 250, "start": 3},
        }
    }
    assert codec.encode_json(shown)


def test_what_is_not_there() -> None:
    shown = document(Spec(name="a", services={"x": Service(name="x")}), owner=None, state="stopped")
    assert (shown["owner"], shown["web"], shown["version"]) == ("unknown", {}, None)
    assert "net" not in shown


def test_bindings_of_ports_in_the_document() -> None:
    bindings = (PortBinding(80, 8080), PortBinding(53, 53, "udp"), PortBinding(22))
    spec = Spec(name="a", services={"x": Service(name="x", requests=Requests(port_bindings=bindings))})
    shown = document(spec, owner=None, state="")
    assert shown["services"]["x"]["requests"] == {"port-bindings": {"80": 8080, "53/udp": 53, "22": None}}


def test_the_document_holds_nothing_of_the_specification_itself() -> None:
    shown = document(PORTAL, owner=None, state="")
    shown["services"]["main"]["interfaces"]["wlan0"]["wireless"]["ssid"] = "changed"
    shown["services"]["main"]["environment"]["A"] = "changed"
    assert PORTAL.services["main"].interfaces["wlan0"]["wireless"]["ssid"] == "Free WiFi"
    assert PORTAL.services["main"].environment == {"A": "1"}


# --- the way back ---------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")), min_size=1, max_size=12
)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Z_]{1,6}", fullmatch=True), LINES, max_size=3)
WIRELESS = st.fixed_dictionaries(
    {"ssid": TEXTS.filter(lambda text: len(text.encode()) <= 32)},
    optional={
        "key": st.from_regex(r"[ -~]{8,63}", fullmatch=True),
        "encryption": st.just("none"),
        "hidden": st.booleans(),
        "maxassoc": st.integers(0, 99),
        "acct_interval": st.integers(1, 99),
    },
)
DHCP = st.fixed_dictionaries(
    {"lease": st.just("12h"), "start": st.integers(3, 200), "limit": st.integers(1, 200)},
    optional={"dns": st.just(["1.1.1.1"]), "relay": st.just(["10.0.0.2"])},
)
COMMON = {
    "alias": NAMES,
    "dhcp": DHCP,
    "ipv4_network": st.just("10.9.8.0/24"),
    "l3bridge": st.just("br-lan"),
    "requests": st.just({"hwmode": "11g", "channel": 6}),
    "options": st.just({"foo": [1, "a"], "bar": 0.5}),
    "firewall": st.just([{"type": "redirect", "to": "x:1"}]),
}
INTERFACES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["wifi-ap", "wifi-sta"]), "wireless": WIRELESS}, optional=COMMON
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["lan", "wifi-monitor"])}, optional=COMMON),
    st.fixed_dictionaries({"type": st.just("vlan"), "vlan_id": st.integers(1, 4094)}, optional=COMMON),
)
HEALTH = st.one_of(
    st.none(),
    st.builds(
        Health, tcp=st.integers(1, 65535), timeout_s=st.floats(0.1, 3600), interval_s=st.floats(0.05, 600)
    ),
    st.just(Health(http="/ok?x", port=80)),
    st.just(Health(command=["sh", "-c", "exit 0"])),
)


@st.composite
def services(draw: st.DrawFn, name: str, number: int) -> Service:
    kind = draw(st.sampled_from(["light", "normal", "image", "inline"]))
    host = st.one_of(st.none(), st.just(1000 + number))
    return Service(
        name=name,
        type=kind,
        source=draw(st.sampled_from([".", "a/b"])),
        image=draw(st.sampled_from(["python3", "node"])) if kind in {"light", "image"} else None,
        command=draw(st.sampled_from(["x y", ("a", " b\n")])) if kind == "light" else None,
        build=draw(
            st.sampled_from([Build(), Build(packages=("a", "b"), image_source="x", image_version="1")])
        ),
        environment=draw(VARIABLES),
        dns=draw(st.sampled_from([(), ("1.1.1.1", "::1")])),
        interfaces=draw(st.dictionaries(NAMES.map(lambda text: f"{number}{text}"), INTERFACES, max_size=2)),
        requests=Requests(
            as_root=draw(st.booleans()),
            privileged=draw(st.booleans()),
            network_mode=draw(st.sampled_from(["bridge", "host"])),
            port_bindings=draw(
                st.sampled_from([(), (PortBinding(80, draw(host)), PortBinding(80, None, "udp"))])
            ),
            cpu_fraction=draw(st.sampled_from([None, 0.0, 0.25])),
            prioritize_traffic=draw(st.booleans()),
        ),
        dockerfile="FROM x\n" if kind == "inline" else None,
        health=draw(HEALTH),
        restart=draw(st.sampled_from(list(Restart))),
        limits=draw(st.sampled_from([Limits(), Limits(memory_bytes=2**26, pids=9, log_bytes=2**20)])),
    )


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    web = draw(st.one_of(st.none(), st.builds(Web, st.sampled_from(names), st.integers(1, 65535))))
    return Spec(
        name=draw(NAMES.filter(lambda name: name not in {"bridge", "host", "none", "default"})),
        description=draw(LINES),
        version=draw(st.one_of(st.none(), TEXTS, st.integers(-5, 2**40), st.floats(0, 9))),
        environment=draw(VARIABLES),
        web=web,
        services={name: draw(services(name, number)) for number, name in enumerate(names)},
    )


@given(specs())
@settings(max_examples=80, deadline=None)
def test_the_document_reads_back(spec: Spec) -> None:
    shown = document(spec, owner=Actor("me"), state="running")
    assert from_document(shown) == spec
    assert from_document(codec.decode_json(codec.encode_json(shown), dict)) == spec
    assert merge(spec, shown) == spec
    assert merge(spec, {}) == spec
    assert msgspec.convert(codec.to_builtins(spec), Spec) == spec


# --- fields laid over it --------------------------------------------------------------------------------------------


def test_simple_fields_replace() -> None:
    changed = merge(
        PAIR, {"version": "3", "description": "new", "environment": {"C": 3}, "web": {"port": 81}}
    )
    assert (changed.version, changed.description, changed.environment) == ("3", "new", {"C": "3"})
    assert changed.web == Web("front", 81)
    assert changed.services == PAIR.services


def test_null_takes_away() -> None:
    changed = merge(PAIR, {"version": None, "environment": None, "web": None, "services": {"back": None}})
    assert (changed.version, changed.environment, changed.web, list(changed.services)) == (
        None,
        {},
        None,
        ["front"],
    )


def test_the_name_stays() -> None:
    assert merge(PAIR, {"name": "pair"}) == PAIR
    with pytest.raises(BadSpecError, match="must stay pair") as caught:
        merge(PAIR, {"name": "other"})
    assert caught.value.fields["path"] == "name"


def test_a_part_of_a_service() -> None:
    changed = merge(PAIR, {"services": {"front": {"requests": {"privileged": True, "as_root": False}}}})
    front = changed.services["front"]
    assert front.requests == Requests(privileged=True, port_bindings=(PortBinding(80, 8080),))
    assert front.command == "node ."
    assert changed.services["back"] == PAIR.services["back"]


def test_variables_and_ports_of_a_service_are_replaced_as_a_whole() -> None:
    first = merge(
        PAIR, {"services": {"front": {"environment": {"X": 1}, "requests": {"port_bindings": {"9": 9}}}}}
    )
    second = merge(first, {"services": {"front": {"environment": {"Y": 1}}}})
    assert second.services["front"].environment == {"Y": "1"}
    assert second.services["front"].requests.port_bindings == (PortBinding(9, 9),)


def test_a_new_service() -> None:
    changed = merge(PAIR, {"services": {"third": {"type": "image", "image": "x"}}})
    assert list(changed.services) == ["front", "back", "third"]


@pytest.mark.parametrize(
    "entry",
    [
        {"wireless": {"ssid": "Better"}},
        {"ssid": "Better"},
        {"options": {"ssid": "Better"}},
    ],
)
def test_a_part_of_an_interface(entry: dict[str, Any]) -> None:
    changed = merge(PORTAL, {"services": {"main": {"interfaces": {"wlan0": entry}}}})
    wlan0 = changed.services["main"].interfaces["wlan0"]
    assert wlan0["wireless"] == {"ssid": "Better", "isolate": True}
    assert wlan0["dhcp"] == {"lease": "1h", "limit": 250, "start": 3}


@pytest.mark.parametrize(
    "net",
    [
        {
            "wifi": {
                "dhcp": {"lease": "1h", "limit": 250, "start": 3},
                "intfName": "wlan0",
                "options": {"isolate": True},
                "ssid": "Better Free WiFi",
                "type": "wifi",
            }
        },
        {"wifi": {"ssid": "Better Free WiFi"}},
        {"wlan0": {"ssid": "Better Free WiFi"}},
        {"anything": {"intfName": "wlan0", "ssid": "Better Free WiFi"}},
    ],
)
def test_net_changes_the_interface_of_that_name(net: dict[str, Any]) -> None:
    changed = merge(PORTAL, {"net": net}).services["main"].interfaces
    assert list(changed) == ["wlan0"]
    assert changed["wlan0"]["wireless"] == {"ssid": "Better Free WiFi", "isolate": True}
    assert changed["wlan0"]["dhcp"]["limit"] == 250
    assert changed["wlan0"]["alias"] in {"wifi", "anything"}


def test_net_can_add_rename_and_remove() -> None:
    added = merge(PORTAL, {"net": {"wired": {"type": "lan", "intfName": "vpn0"}}})
    assert set(added.services["main"].interfaces) == {"wlan0", "vpn0"}
    renamed = merge(PORTAL, {"net": {"wifi": {"intfName": "wlan5"}}})
    assert set(renamed.services["main"].interfaces) == {"wlan5"}
    assert merge(PORTAL, {"net": {"wifi": None}}).services["main"].interfaces == {}
    other = merge(PAIR, {"net": {"x": {"type": "lan", "intfName": "vpn0"}}})
    assert set(other.services["front"].interfaces) == {"vpn0"}


def test_an_edited_document() -> None:
    shown = document(PAIR, owner=Actor("me"), state="running")
    del shown["services"]["back"]
    shown["services"]["front"]["command"] = "node other"
    changed = merge(PAIR, shown)
    assert list(changed.services) == ["front"]
    assert changed.services["front"].command == "node other"


def test_an_edit_below_services_is_not_undone_by_the_old_view() -> None:
    shown = document(PORTAL, owner=None, state="running")
    shown["services"]["main"]["interfaces"]["wlan0"]["wireless"]["ssid"] = "New"
    assert merge(PORTAL, shown).services["main"].interfaces["wlan0"]["wireless"]["ssid"] == "New"


def test_build_of_the_only_service() -> None:
    changed = merge(PORTAL, {"build": {"packages": ["iptables"]}})
    assert changed.services["main"].build.packages == ("iptables",)
    with pytest.raises(BadSpecError):
        merge(PAIR, {"build": {"packages": ["iptables"]}})


def test_unknown_fields_are_said() -> None:
    assert merge(PAIR, {"colour": "red", "owner": "x"}).warnings == ("`colour` is not known and is ignored",)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"services": {"front": {"image": 5}}}, "services.front.image"),
        ({"services": {"front": "x"}}, "services.front"),
        ({"services": {"front": None, "back": None}}, "services"),
        ({"services": ["x"]}, "services"),
        ({"services": {"front": None}}, "web.service"),
        ({"web": 80}, "web"),
        ({"environment": "A=1"}, "environment"),
        ({"net": {"x": {"type": "lan"}}}, "net.x.intfName"),
        ({"net": {"x": "y"}}, "net.x"),
        ({"net": 5}, "net"),
        ({"services": {"back": {"interfaces": {"vlan7": 5}}}}, "services.back.interfaces.vlan7"),
        (
            {"services": {"back": {"interfaces": {"vlan7": {"type": None}}}}},
            "services.back.interfaces.vlan7.type",
        ),
    ],
)
def test_faults_in_fields(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        merge(PAIR, fields)
    assert caught.value.fields["path"] == path


VOCABULARY = """name state version web service port services front back net wifi vlan7 intfName type interfaces wireless ssid
    options dhcp build packages environment requests port-bindings as_root config"""
WORDS = st.sampled_from(VOCABULARY.split())
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 99), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=15,
)


@given(st.dictionaries(WORDS, VALUES, max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_fields(fields: dict[str, Any]) -> None:
    for spec in (PAIR, PORTAL):
        with contextlib.suppress(BadSpecError):
            assert merge(spec, fields).name == spec.name
