# covers: chutes/fields.py, chutes/names.py, chutes/service_spec.py, chutes/requests.py, chutes/limits.py
# covers: chutes/interfaces.py
"""The form with `services`: every key and spelling, every refusal with its path, and whatever bytes come."""

import contextlib
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.chutes.model import (
    BadSpecError,
    Build,
    Health,
    Limits,
    PortBinding,
    Requests,
    Restart,
    Spec,
    Web,
)
from wayhouse.chutes.spec import NO_NAME, from_document, parse


def read(text: str) -> Spec:
    return parse(textwrap.dedent(text).encode())


def one(service: str, **top: Any) -> Any:
    """The service `main` with these lines."""
    document = {"name": "app", "services": {"main": codec.decode_yaml(textwrap.dedent(service))}, **top}
    return from_document(document).services["main"]


def fault(document: Any) -> tuple[str, str]:
    with pytest.raises(BadSpecError) as caught:
        from_document(document)
    return caught.value.fields["path"], caught.value.message


def fault_in(**service: Any) -> str:
    path, message = fault({"name": "app", "services": {"main": service}})
    assert path in message
    return path.removeprefix("services.main.")


# --- chutes as they are found in the wild ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "command", "port"),
    [
        ("node", "node index.js", 3000),
        ("gradle", "java -jar build/libs/app-0.1.0.jar", 8080),
        ("python3", "python3 -m quart run --host 0.0.0.0 --port 5000", 5000),
    ],
)
def test_light_service_with_a_page(language: str, command: str, port: int) -> None:
    spec = read(
        f"""
        name: board
        description: A board
        version: 1
        services:
          main:
            type: light
            source: .
            image: {language}
            command: {command}
            environment: {{QUART_ENV: production}}
        web: {{service: main, port: {port}}}
        """
    )
    main = spec.services["main"]
    assert (spec.name, spec.version, spec.web, spec.warnings) == ("board", 1, Web("main", port), ())
    assert (main.type, main.source, main.image, main.command) == ("light", ".", language, command)
    assert main.environment == {"QUART_ENV": "production"}


def test_light_service_without_a_page() -> None:
    spec = read(
        """
        name: detect-client
        services: {main: {command: python2 -u client/main.py, image: python2, source: ., type: light}}
        """
    )
    assert spec.web is None
    assert spec.version is None
    assert spec.description == "unknown"


def test_privileged_service_with_its_own_dockerfile() -> None:
    main = one("{source: ., type: normal, requests: {privileged: true}}")
    assert main.type == "normal"
    assert main.requests == Requests(privileged=True)


def test_variables_of_the_whole_chute() -> None:
    spec = read(
        """
        name: traffic-camera
        environment: {IMAGE_SOURCE_URL: "http://paradrop.io:7466/park/video.jpg", MASK_FILE: masks/park.png}
        services: {main: {type: normal}}
        """
    )
    assert spec.environment["MASK_FILE"] == "masks/park.png"
    assert spec.services["main"].environment == {}


def test_several_services() -> None:
    spec = read(
        """
        name: pair
        services:
          front: {type: light, image: node, command: [node, -e, 5]}
          db: {type: image, image: "redis:7-alpine", environment: {A: 1}}
        web: {service: front, port: "80"}
        """
    )
    assert list(spec.services) == ["front", "db"]
    assert spec.services["front"].command == ("node", "-e", "5")
    assert spec.services["db"].image == "redis:7-alpine"
    assert spec.web == Web("front", 80)


# --- keys and spellings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "requests: {as-root: true, network-mode: host, cpu-fraction: 0.5, prioritize-traffic: true}",
        "requests: {as_root: true, network_mode: host, cpu_fraction: 0.5, prioritize_traffic: 1}",
        "requirements: {as-root: true, network_mode: host, cpu-fraction: 0.5, prioritize_traffic: true}",
    ],
)
def test_spellings_of_requests(text: str) -> None:
    wanted = Requests(as_root=True, network_mode="host", cpu_fraction=0.5, prioritize_traffic=True)
    assert one(text).requests == wanted


@pytest.mark.parametrize(
    "text",
    [
        "port-bindings: [{external: 8080, internal: 80}, {external: 53, internal: 53, protocol: udp}, {internal: 9}]",
        "port_bindings: {80: 8080, 53/udp: 53, 9: }",
        'port-bindings: {"80/tcp": "8080", "53/udp": "53", "9": null}',
    ],
)
def test_both_forms_of_port_bindings(text: str) -> None:
    wanted = (PortBinding(80, 8080), PortBinding(53, 53, "udp"), PortBinding(9, None))
    assert one(f"requests: {{{text}}}").requests.port_bindings == wanted


def test_build() -> None:
    main = one(
        "build: {packages: [iptables, g++, 'libc6=2.36-9'], image_source: ghcr.io/me/base, image_version: 3}"
    )
    assert main.build == Build(
        packages=("iptables", "g++", "libc6=2.36-9"), image_source="ghcr.io/me/base", image_version="3"
    )


def test_values_of_variables_become_text() -> None:
    text = "environment: {A: 11, B: , C: yes, D: 2.0, E: 2015-07-30, F: 'x y', G: 0x10, H: ''}"
    assert one(text).environment == {
        "A": "11", "B": "", "C": "true", "D": "2.0", "E": "2015-07-30", "F": "x y", "G": "16", "H": "",
    }  # fmt: skip


def test_variables_are_never_shared() -> None:
    spec = parse(b"name: a\nenvironment: &e {A: 1}\nservices: {x: {environment: *e}, y: {environment: *e}}")
    environments = [spec.environment, *(service.environment for service in spec.services.values())]
    assert environments == [{"A": "1"}] * 3
    assert len({id(entry) for entry in environments}) == 3


def test_white_space_around_a_command_is_dropped() -> None:
    assert one("command: |\n  python3 app.py\n").command == "python3 app.py"


def test_what_wayhouse_adds() -> None:
    main = one(
        """
        type: inline
        dockerfile: "FROM scratch\\n"
        dns: [1.1.1.1, "2606:4700::1111"]
        health: {http: /ok, port: 80, timeout: 5, interval: 1}
        restart: no
        limits: {memory: 256M, pids: 50, log: 10MiB}
        """
    )
    assert main.dockerfile == "FROM scratch\n"
    assert main.dns == ("1.1.1.1", "2606:4700::1111")
    assert main.health == Health(http="/ok", port=80, timeout_s=5, interval_s=1)
    assert main.restart is Restart.NO
    assert main.limits == Limits(memory_bytes=256 * 2**20, pids=50, log_bytes=10 * 2**20)


def test_health_of_the_web_service_needs_no_port() -> None:
    assert one("health: {http: /}", web={"service": "main", "port": 80}).health == Health(http="/")
    assert one("health: {tcp: 22}").health == Health(tcp=22)
    assert one("health: {command: [true-ish, x]}").health == Health(command=["true-ish", "x"])


def test_the_web_service_may_go_without_saying() -> None:
    services = {"main": {}, "other": {}}
    assert from_document({"name": "a", "services": services, "web": {"port": 1}}).web == Web("main", 1)
    assert from_document({"name": "a", "services": {"x": {}}, "web": {"port": 1}}).web == Web("x", 1)
    assert fault({"name": "a", "services": {"x": {}, "y": {}}, "web": {"port": 1}})[0] == "web.service"
    assert from_document({"name": "a", "services": services, "web": {}}).web is None
    lacking = from_document({"name": "a", "services": services, "web": {"service": "main"}})
    assert lacking.web is None
    assert lacking.warnings


def test_the_name_may_stand_below_config() -> None:
    assert from_document({"config": {"name": "deep"}, "services": {"main": None}}).name == "deep"


def test_unknown_keys_are_said_and_ignored() -> None:
    spec = read(
        """
        name: a
        bogus: 1
        owner: me
        net: {}
        services:
          main:
            foo: 1
            requests: {fast: true}
            interfaces: {vpn0: {type: lan, dhcp: {start: 4, colour: red}}}
        web: {port: 80, https: true}
        """
    )
    assert spec.warnings == (
        "`web.https` is not known and is ignored",
        "`services.main.interfaces.vpn0.dhcp.colour` is not known and is ignored",
        "`services.main.requests.fast` is not known and is ignored",
        "`services.main.foo` is not known and is ignored",
        "`bogus` is not known and is ignored",
        "`net` is not known and is ignored",
    )


def test_warnings_do_not_grow_without_end() -> None:
    spec = from_document({"name": "a", "services": {"main": {f"k{n}": n for n in range(1000)}}})
    assert len(spec.warnings) == 50


# --- interfaces -----------------------------------------------------------------------------------------------------


def interface(text: str) -> dict[str, Any]:
    (found,) = one(f"interfaces: {{wlan0: {text}}}").interfaces.values()
    return dict(found)


def test_access_point_in_the_spelling_of_the_documents() -> None:
    text = """{type: wifi-ap, dns: [8.8.8.8], dhcp: {leasetime: 1d, limit: 250, start: 4},
        wireless: {ssid: Free, key: 12345678, hidden: false, isolate: true, maxassoc: 100,
          nasid: x, acct_server: 10.0.0.9, acct_secret: s, acct_interval: 60},
        requirements: {hwmode: 11g, ipv4_network: 192.168.7.1/24}}"""
    assert interface(text.replace("12345678", "'12345678'")) == {
        "type": "wifi-ap",
        "wireless": {
            "ssid": "Free", "key": "12345678", "nasid": "x", "acct_server": "10.0.0.9", "acct_secret": "s",
            "acct_interval": 60, "hidden": False, "isolate": True, "maxassoc": 100,
        },
        "dhcp": {"lease": "1d", "start": 4, "limit": 250, "dns": ["8.8.8.8"]},
        "ipv4_network": "192.168.7.0/24",
        "requests": {"hwmode": "11g"},
    }  # fmt: skip


def test_access_point_in_the_spelling_of_the_code() -> None:
    text = """{type: wifi-ap, dhcp: {lease: 3600, limit: 50, start: 100, dns: [9.9.9.9], relay: 10.0.0.2},
        options: {isolate: 1, foo: [1, a]}, wireless: {ssid: S}, l3bridge: br-lan, requests: {channel: 6}}"""
    assert interface(text) == {
        "type": "wifi-ap",
        "wireless": {"ssid": "S", "isolate": True},
        "dhcp": {"lease": "3600", "start": 100, "limit": 50, "dns": ["9.9.9.9"], "relay": ["10.0.0.2"]},
        "l3bridge": "br-lan",
        "requests": {"channel": 6},
        "options": {"foo": [1, "a"]},
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{type: monitor}", {"type": "wifi-monitor"}),
        ("{type: wifi-monitor}", {"type": "wifi-monitor"}),
        ("{type: wifi, mode: sta, ssid: x}", {"type": "wifi-sta", "wireless": {"ssid": "x"}}),
        ("{type: vlan, vlan-id: 7}", {"type": "vlan", "vlan_id": 7}),
        ("{type: vlan, vlan_id: 7}", {"type": "vlan", "vlan_id": 7}),
        ("{type: lan, dhcp: {}}", {"type": "lan", "dhcp": {"lease": "12h", "start": 100, "limit": 100}}),
    ],
)
def test_kinds_of_interfaces(text: str, wanted: dict[str, Any]) -> None:
    assert interface(text) == wanted


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({}, "type"),
        ({"type": "token-ring"}, "type"),
        ({"type": "wifi-ap"}, "wireless.ssid"),
        ({"type": "wifi-ap", "ssid": "x" * 33}, "ssid"),
        ({"type": "wifi-ap", "ssid": "x\nwpa=0"}, "ssid"),
        ({"type": "wifi-ap", "wireless": {"ssid": "x", "key": "short"}}, "wireless.key"),
        ({"type": "wifi-ap", "wireless": {"ssid": "x", "encryption": "psk2"}}, "wireless.key"),
        ({"type": "wifi-ap", "ssid": "x", "options": {"maxassoc": -1}}, "options.maxassoc"),
        ({"type": "wifi-ap", "ssid": "x", "options": {"a b": 1}}, "options.a b"),
        ({"type": "lan", "options": {"x": {"y": 1}}}, "options.x"),
        ({"type": "vlan"}, "vlan_id"),
        ({"type": "vlan", "vlan-id": 4095}, "vlan-id"),
        ({"type": "lan", "dhcp": {"start": 2}}, "dhcp.start"),
        ({"type": "lan", "dhcp": {"leasetime": "soon"}}, "dhcp.leasetime"),
        ({"type": "lan", "dhcp": {"dns": ["dns.example"]}}, "dhcp.dns[0]"),
        ({"type": "lan", "ipv4_network": "10.0.0.0/31"}, "ipv4_network"),
        ({"type": "lan", "l3bridge": "a b"}, "l3bridge"),
        ({"type": "lan", "requirements": {"ipv4_network": 5}}, "requirements.ipv4_network"),
        ("wifi-ap", ""),
    ],
)
def test_faults_of_interfaces(entry: Any, path: str) -> None:
    assert fault_in(interfaces={"wlan0": entry}) == f"interfaces.wlan0.{path}".rstrip(".")


@pytest.mark.parametrize("name", ["wlan0123456789ab", "lo", "eth0", "a/b", "", "-x", "a b"])
def test_names_of_interfaces(name: str) -> None:
    path, _ = fault({"name": "a", "services": {"main": {"interfaces": {name: {"type": "lan"}}}}})
    assert path.startswith("services.main.interfaces.")


def test_a_chute_has_each_interface_name_once() -> None:
    lan = {"interfaces": {"vpn0": {"type": "lan"}}}
    assert fault({"name": "a", "services": {"x": lan, "y": lan}})[0] == "services.y.interfaces.vpn0"


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{}", "name:", "name: ''", "version: 1", "services: {main: {}}", "null"]
)
def test_without_a_name(text: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        parse(text.encode())
    assert caught.value.message == NO_NAME
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "name",
    [
        "a b", "../x", ".x", "-x", "x/y", "a\nb", "x" * 64, "ä", 5, ["a"], True,
        "bridge", "host", "none", "default", "a..b", "a-", "a_.b",
    ],
)  # fmt: skip
def test_bad_names(name: Any) -> None:
    assert fault({"name": name, "services": {"main": {}}})[0] == "name"


@pytest.mark.parametrize("name", ["a", "Big-dog", "x.y_z", "707paradrop", "a--b__c", "x" * 63])
def test_good_names(name: str) -> None:
    assert from_document({"name": name, "services": {name: {}}}).services[name].name == name


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"services": []}, "services"),
        ({"services": {}}, "services"),
        ({"services": None}, "services"),
        ({"services": {"a b": {}}}, "services.a b"),
        ({"services": {5: {}}}, "services.5"),
        ({"services": {"main": "x"}}, "services.main"),
        ({"services": {"main": {}}, "web": {"service": "other", "port": 80}}, "web.service"),
        ({"services": {"main": {}}, "web": {"port": 0}}, "web.port"),
        ({"services": {"main": {}}, "web": {"port": 65536}}, "web.port"),
        ({"services": {"main": {}}, "web": {"port": True}}, "web.port"),
        ({"services": {"main": {}}, "web": {"port": "http"}}, "web.port"),
        ({"services": {"main": {}}, "web": 80}, "web"),
        ({"services": {"main": {}}, "version": True}, "version"),
        ({"services": {"main": {}}, "version": [1]}, "version"),
        ({"services": {"main": {}}, "version": 2**64}, "version"),
        ({"services": {"main": {}}, "version": "v" * 200}, "version"),
        ({"services": {"main": {}}, "description": 5}, "description"),
        ({"services": {"main": {}}, "environment": ["A=1"]}, "environment"),
        ({"services": {"main": {}}, "environment": {"A": {"B": 1}}}, "environment.A"),
        ({"services": {"main": {}}, "environment": {"A=B": 1}}, "environment.A=B"),
        ({"services": {"main": {}}, "environment": {"A": "x\0"}}, "environment.A"),
        ({"services": {"main": {}}, "environment": {"A": "\ud800"}}, "environment.A"),
    ],
)
def test_faults_of_the_whole(document: dict[str, Any], path: str) -> None:
    assert fault({"name": "app", **document})[0] == path


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ({"type": "heavy"}, "type"),
        ({"type": ["light"]}, "type"),
        ({"type": "light", "command": "x"}, "image"),
        ({"type": "light", "image": "node"}, "command"),
        ({"type": "light", "image": "node", "command": "  "}, "command"),
        ({"type": "light", "image": "node\nRUN x", "command": "x"}, "image"),
        ({"type": "image"}, "image"),
        ({"type": "image", "image": "-v"}, "image"),
        ({"type": "image", "image": "Upper Case"}, "image"),
        ({"type": "inline"}, "dockerfile"),
        ({"command": {"a": 1}}, "command"),
        ({"command": ["a", ["b"]]}, "command[1]"),
        ({"command": ["", "b"]}, "command"),
        ({"source": "../x"}, "source"),
        ({"source": "/etc"}, "source"),
        ({"source": "a/../../b"}, "source"),
        ({"build": {"packages": "iptables"}}, "build.packages"),
        ({"build": {"packages": ["ok", "bad name"]}}, "build.packages[1]"),
        ({"build": {"packages": ["$(id)"]}}, "build.packages[0]"),
        ({"build": {"packages": ["-o=x"]}}, "build.packages[0]"),
        ({"build": {"packages": ["a;b"]}}, "build.packages[0]"),
        ({"build": {"image_source": "x y"}}, "build.image_source"),
        ({"build": {"image-version": "1 AS x"}}, "build.image-version"),
        ({"requests": {"as-root": "yes"}}, "requests.as-root"),
        ({"requests": {"as_root": 2}}, "requests.as_root"),
        ({"requests": {"network-mode": "container:x"}}, "requests.network-mode"),
        ({"requests": {"cpu-fraction": 1.5}}, "requests.cpu-fraction"),
        ({"requests": {"cpu-fraction": float("nan")}}, "requests.cpu-fraction"),
        ({"requests": {"port-bindings": {"80/sctp": 80}}}, "requests.port-bindings.80/sctp"),
        ({"requests": {"port-bindings": {"80": 70000}}}, "requests.port-bindings.80"),
        ({"requests": {"port-bindings": {"80": ["127.0.0.1", 80]}}}, "requests.port-bindings.80"),
        ({"requests": {"port-bindings": {"80": 1, "80/tcp": 2}}}, "requests.port-bindings"),
        ({"requests": {"port-bindings": {"80": 1, "81": 1}}}, "requests.port-bindings"),
        ({"requests": {"port-bindings": [{"external": 80}]}}, "requests.port-bindings[0].internal"),
        ({"requests": {"port-bindings": [80]}}, "requests.port-bindings[0]"),
        ({"dns": ["one.one"]}, "dns[0]"),
        ({"health": {}}, "health"),
        ({"health": {"tcp": 1, "command": ["x"]}}, "health"),
        ({"health": {"http": "/"}}, "health.port"),
        ({"health": {"http": "health", "port": 80}}, "health.http"),
        ({"health": {"command": "curl"}}, "health.command"),
        ({"health": {"tcp": 1, "timeout": 0}}, "health.timeout"),
        ({"restart": "sometimes"}, "restart"),
        ({"limits": {"memory": "lots"}}, "limits.memory"),
        ({"limits": {"memory": "1M"}}, "limits.memory"),
        ({"limits": {"pids": 0}}, "limits.pids"),
        ({"limits": {"log": 1.5}}, "limits.log"),
        ({"environment": {"": 1}}, "environment."),
    ],
)
def test_faults_of_a_service(service: dict[str, Any], path: str) -> None:
    assert fault_in(**service) == path


def test_services_that_do_not_fit_together() -> None:
    bound = {"requests": {"port-bindings": {"80": 80}}}
    assert (
        fault({"name": "a", "services": {"x": bound, "y": bound}})[0] == "services.y.requests.port-bindings"
    )
    half = {"requests": {"cpu-fraction": 0.6}}
    assert fault({"name": "a", "services": {"x": half, "y": half}})[0] == "services"


def test_large_and_broken_texts() -> None:
    for text in (
        b"#" * 300_000,
        b"a: &a [*a]",
        b"{" * 500,
        b"\xff\xfe\xfd",
        b"!!int ''",
        b"!!bool x",
        b"a: b: c",
    ):
        with pytest.raises(BadSpecError):
            parse(text)


# --- whatever comes -------------------------------------------------------------------------------------------------

VOCABULARY = """name services main type light image command source build packages environment dns interfaces wlan0 wifi wifi-ap
    ssid key dhcp lease leasetime start limit requests as-root port-bindings 53/udp cpu-fraction dockerfile health http
    tcp restart limits memory 10M config net intfName mode options host_config port_bindings web port service version
    use state vlan-id requirements firewall to"""
WORDS = st.sampled_from(VOCABULARY.split())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    WORDS,
    st.dates(),
    st.binary(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(WORDS, st.integers(), st.none()), inner, max_size=4),
    ),
    max_leaves=20,
)
VALID = b"""name: app
version: 0.1.0
environment: {A: 1}
web: {service: main, port: 80}
services:
  main:
    type: light
    image: python3
    command: [python3, app.py]
    build: {packages: [iptables]}
    interfaces: {wlan0: {type: wifi-ap, wireless: {ssid: x}, dhcp: {lease: 12h, start: 4, limit: 50}}}
    requests: {port-bindings: {53/udp: 53}, cpu-fraction: 0.5}
    health: {http: /}
    limits: {memory: 64M}
"""


def check(text: bytes) -> None:
    try:
        assert isinstance(parse(text), Spec)
    except BadSpecError as error:
        assert error.message.isprintable() or "\n" not in error.message  # noqa: PT017


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data: bytes) -> None:
    check(data)


@given(st.text(max_size=100))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


@given(st.dictionaries(WORDS, VALUES, max_size=8))
@settings(max_examples=250, deadline=None)
def test_any_structure(data: dict[Any, Any]) -> None:
    for extra in ({}, {"name": "app"}, {"name": "app", "services": {"main": data}}):
        with contextlib.suppress(BadSpecError):
            codec.encode_json(from_document({**data, **extra}))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_documents(data: st.DataObject) -> None:
    text = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check(bytes(text))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_documents_with_one_wrong_value(data: st.DataObject) -> None:
    document = codec.decode_yaml(VALID)
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    with contextlib.suppress(BadSpecError):
        from_document(document)
