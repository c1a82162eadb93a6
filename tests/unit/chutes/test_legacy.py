"""Old chutes: the single-service form in all shapes found in public repositories, and the form of 2015."""

import textwrap

import pytest

from wayhouse.chutes.legacy import net_entry, net_view
from wayhouse.chutes.model import BadSpecError, PortBinding, Requests, Spec, Web
from wayhouse.chutes.spec import NO_NAME, parse


def read(text: str) -> Spec:
    return parse(textwrap.dedent(text).encode())


def fault(text: str) -> str:
    with pytest.raises(BadSpecError) as caught:
        read(text)
    assert caught.value.fields["path"] in caught.value.message
    return str(caught.value.fields["path"])


@pytest.mark.parametrize(("name", "port"), [("go-hello-world", 8080), ("wiki", 8000)])
def test_light_go(name: str, port: int) -> None:
    spec = read(
        f"""
        name: {name}
        description: Hello
        version: 1
        type: light
        use: go
        command: app
        config: {{web: {{port: {port}}}}}
        source: {{type: git, url: "https://github.com/x/y"}}
        """
    )
    main = spec.services["main"]
    assert (main.type, main.image, main.command, main.name) == ("light", "go", "app", "main")
    assert spec.web == Web("main", port)
    assert spec.warnings == ()


def test_security_camera() -> None:
    spec = read(
        """
        name: seccam
        version: 1
        type: light
        use: python2
        command: python -u seccam.py
        config:
          host_config: {port_bindings: {'81': 81}}
          net:
            wifi:
              type: wifi
              intfName: wlan0
              ssid: seccam53
              key: paradropseccam
              dhcp: {lease: 12h, limit: 250, start: 4}
              options: {hidden: false, isolate: false}
          web: {port: 5000}
        packages: [iptables]
        as_root: true
        """
    )
    main = spec.services["main"]
    assert main.requests == Requests(as_root=True, port_bindings=(PortBinding(81, 81),))
    assert main.build.packages == ("iptables",)
    assert main.interfaces == {
        "wlan0": {
            "type": "wifi-ap",
            "alias": "wifi",
            "wireless": {"ssid": "seccam53", "key": "paradropseccam", "hidden": False, "isolate": False},
            "dhcp": {"lease": "12h", "start": 4, "limit": 250},
        }
    }
    assert spec.warnings == ()


def test_light_with_a_language_of_its_own_and_a_wish_for_the_radio() -> None:
    spec = read(
        """
        name: home-security
        type: light
        use: python2-cv
        command: python -u -m chute
        config:
          environment: {IMAGE_INTERVAL: 2.0, SECCAM_MODE: detect}
          net: {wifi: {type: wifi, intfName: wlan0, ssid: x, requests: {hwmode: 11g}}}
        """
    )
    main = spec.services["main"]
    assert main.image == "python2-cv"
    assert main.environment == {"IMAGE_INTERVAL": "2.0", "SECCAM_MODE": "detect"}
    assert spec.environment == {}
    assert main.interfaces["wlan0"]["requests"] == {"hwmode": "11g"}


@pytest.mark.parametrize("kind", ["type: normal\n", ""])
def test_bundle_with_its_own_dockerfile(kind: str) -> None:
    spec = parse(f"name: hello-world\nversion: 1\n{kind}config:\n  web:\n    port: 80\n".encode())
    assert spec.services["main"].type == "normal"
    assert spec.services["main"].command is None
    assert spec.web == Web("main", 80)


def test_captive_portal() -> None:
    spec = read(
        """
        version: 1
        config:
          name: captive-portal
          net:
            wifi:
              type: wifi
              intfName: wlan0
              dhcp: {lease: 1h, start: 3, limit: 250}
              ssid: Free WiFi
              options: {isolate: true, maxassoc: 250}
          environment: {CP_LOCATION: 11, CP_EXPIRATION: 3600, CP_RADIUS_SERVER: , CP_RADIUS_NAS_ID: }
        """
    )
    assert spec.name == "captive-portal"
    main = spec.services["main"]
    assert main.environment == {
        "CP_LOCATION": "11", "CP_EXPIRATION": "3600", "CP_RADIUS_SERVER": "", "CP_RADIUS_NAS_ID": ""
    }  # fmt: skip
    assert main.interfaces["wlan0"]["wireless"] == {"ssid": "Free WiFi", "isolate": True, "maxassoc": 250}
    assert spec.web is None


def test_monitor_mode() -> None:
    spec = read(
        """
        version: 1
        config:
          name: wifisense
          net: {monitor: {type: wifi, mode: monitor, intfName: mon0}}
          environment: {NETWORK_ID: 0, REPORTING_URL: null}
        """
    )
    assert spec.services["main"].interfaces == {"mon0": {"type": "wifi-monitor", "alias": "monitor"}}
    assert spec.services["main"].environment == {"NETWORK_ID": "0", "REPORTING_URL": ""}


def test_station_mode() -> None:
    spec = read(
        "name: a\nconfig: {net: {up: {type: wifi, mode: sta, intfName: wlan1, ssid: x, key: '12345678'}}}"
    )
    assert spec.services["main"].interfaces["wlan1"]["type"] == "wifi-sta"


def test_virtual_router() -> None:
    spec = read(
        """
        name: virtual-router
        version: 0.1.0
        summary: A chute with a virtual router
        config:
          net: {wifi: {type: wifi, intfName: wlan0, ssid: P, key: ParadropRocks!, dhcp: {lease: 12h, start: 100, limit: 50}}}
        """
    )
    assert spec.version == "0.1.0"
    assert spec.warnings == ()


def test_name_below_config_and_no_version() -> None:
    spec = read(
        """
        type: light
        use: python2
        command: python -m helloworld.server -p 5000
        config: {name: hello-world-python2, web: {port: 5000}}
        """
    )
    assert (spec.name, spec.version) == ("hello-world-python2", None)


def test_everything_below_config() -> None:
    spec = read(
        "config: {name: a, type: light, use: node, command: node ., as_root: true, packages: [x], version: 3}"
    )
    main = spec.services["main"]
    assert (main.type, main.image, main.command, main.requests.as_root) == ("light", "node", "node .", True)
    assert main.build.packages == ("x",)
    assert spec.version == 3
    assert spec.warnings == ()


def test_variables_of_the_whole_chute_come_from_the_top_alone() -> None:
    spec = read("name: a\nenvironment: {TOP: 1}\nconfig: {environment: {LOW: 2}}")
    assert spec.environment == {"TOP": "1"}
    assert spec.services["main"].environment == {"LOW": "2"}


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\ntype: light\nuse: node\ncommand: npm start",
        "version: 1\ntype: light\nuse: python2\ncommand: python main.py",
        "version: 1\ntype: light\nuse: python2\ncommand: python -u seccam.py",
    ],
)
def test_chutes_without_a_name_are_refused(text: str) -> None:
    with pytest.raises(BadSpecError, match=NO_NAME):
        parse(text.encode())


def test_2015_hello_world() -> None:
    spec = read(
        """
        owner: Paradrop
        date: 2015-07-30
        name: hello-world
        description: |
            This app serves a page.
        dockerfile:
            local: Dockerfile
        host_config:
            port_bindings:
                80: 9000
        """
    )
    main = spec.services["main"]
    assert (main.type, main.dockerfile) == ("normal", None)
    assert main.requests.port_bindings == (PortBinding(80, 9000),)
    assert spec.warnings == ()


def test_2015_parental_controls() -> None:
    spec = read(
        """
        owner: Paradrop
        name: parental-controls
        net:
            wifi:
                type: wifi
                intfName: wlan0
                ssid: Kids
                dhcp: {lease: 12h, start: 100, limit: 50, dns: [208.67.222.123, 208.67.220.123]}
        dockerfile: {local: Dockerfile}
        host_config: {dns: [208.67.222.123, 208.67.220.123]}
        """
    )
    main = spec.services["main"]
    assert main.dns == ("208.67.222.123", "208.67.220.123")
    assert main.interfaces["wlan0"]["dhcp"]["dns"] == ["208.67.222.123", "208.67.220.123"]


def test_dockerfile_in_the_text() -> None:
    assert read("name: a\ntype: inline\ndockerfile: FROM x").services["main"].dockerfile == "FROM x"
    assert fault("name: a\ntype: inline\n") == "dockerfile"
    assert fault("name: a\ndockerfile: {local: docker/Dockerfile}") == "dockerfile.local"


def test_firewall_rules_go_to_their_network() -> None:
    rule = "{type: redirect, name: web, from: '@host.lan:5000', to: 'wifi:5000'}"
    spec = read(
        f"name: a\nconfig: {{net: {{wifi: {{type: lan, intfName: vpn0}}}}, firewall: [{rule}, {{to: 'other:1'}}]}}"
    )
    (found,) = spec.services["main"].interfaces["vpn0"]["firewall"]
    assert found == {"type": "redirect", "name": "web", "from": "@host.lan:5000", "to": "wifi:5000"}
    assert spec.warnings == ("`config.firewall[1]` is about no network of this chute and is ignored",)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("type: light\ncommand: x", "use"),
        ("type: light\nuse: go", "command"),
        ("type: light\nuse: go\nconfig: {command: 5}", "config.command"),
        ("packages: [bad name]", "packages[0]"),
        ("config: {packages: ['a;b']}", "config.packages[0]"),
        ("config: {web: {port: 99999}}", "config.web.port"),
        ("config: {net: {wifi: {type: wifi, ssid: x}}}", "config.net.wifi.intfName"),
        ("config: {net: {wifi: {type: wifi, intfName: wlan0}}}", "config.net.wifi.wireless.ssid"),
        ("config: {net: {wifi: {type: wimax, intfName: wlan0}}}", "config.net.wifi.type"),
        ("config: {net: {w: {type: lan, intfName: sixteen-letters-}}}", "config.net.w.intfName"),
        (
            "config: {net: {a: {type: lan, intfName: x}, b: {type: lan, intfName: x}}}",
            "config.net.b.intfName",
        ),
        ("config: {host_config: {port_bindings: {x: 1}}}", "config.host_config.port_bindings.x"),
        ("config: []", "config"),
        ("as_root: maybe", "as_root"),
    ],
)
def test_faults_have_the_path_of_the_old_text(text: str, path: str) -> None:
    assert fault(f"name: app\n{text}") == path


def test_unknown_keys_are_said() -> None:
    spec = read("name: a\nfoo: 1\nconfig: {bar: 2, web: {port: 80, tls: true}, host_config: {ipc: 1}}")
    assert set(spec.warnings) == {
        "`foo` is not known and is ignored",
        "`config.bar` is not known and is ignored",
        "`config.web.tls` is not known and is ignored",
        "`config.host_config.ipc` is not known and is ignored",
    }


def test_the_old_view_reads_back() -> None:
    declaration = {
        "type": "wifi-sta",
        "alias": "up",
        "wireless": {"ssid": "x", "key": "12345678", "hidden": True},
        "dhcp": {"lease": "1h", "start": 3, "limit": 9},
        "options": {"foo": 1},
    }
    alias, view = net_view("wlan1", declaration)
    assert (alias, view["type"], view["mode"], view["ssid"]) == ("up", "wifi", "sta", "x")
    assert view["options"] == {"hidden": True, "foo": 1}
    assert net_entry(alias, view, "net.up", []) == ("wlan1", declaration)
