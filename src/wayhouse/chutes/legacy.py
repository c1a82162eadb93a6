"""The old forms of a specification: one service, described at the top level and under `config`.

Called by `spec.py` for documents without `services`. Two generations are read alike: ParaDrop's `paradrop.yaml` before
0.12 (`type`, `use`, `command`, `config`), and `config.yaml` of 2015 (`net`, `host_config` and `dockerfile` at the top).
Both become one service called `main`; paths in faults are those of the text that was given.
"""

from __future__ import annotations

from wayhouse.chutes import names
from wayhouse.chutes.fields import Fields, fault, matching, text
from wayhouse.chutes.interfaces import Interface, interface, interface_name
from wayhouse.chutes.model import Requests, Service, Web
from wayhouse.chutes.requests import build_of, network_mode, port_bindings
from wayhouse.chutes.service_spec import Kind, command, dockerfile, image, kind_of_service, require_command

MAIN = "main"


class Legacy:
    """An old document: each key is looked for at the top level first, then under `config`."""

    def __init__(self, root: Fields) -> None:
        self.root = root
        self.config = root.section("config")

    def place(self, key: str) -> Fields:
        """Where `key` is; the other place counts as read too, so that it is not called unknown."""
        self.config.take(key)
        return self.root if key in self.root or key not in self.config else self.config

    def web(self) -> Web | None:
        fields = self.place("web").section("web")
        port = fields.port("port")
        fields.ignore("service")
        fields.finish()
        return None if port is None else Web(MAIN, port)

    def service(self) -> Service:
        kind = kind_of_service(self.place("type"))
        host = self.place("host_config").section("host_config")
        use = "use" if "use" in self.place("use") else "image"
        result = Service(
            name=MAIN,
            type=kind,
            image=image(self.place(use), kind, use),
            command=command(self.place("command"), "command"),
            build=build_of(self.root, self.config, self.place("build").section("build")),
            environment=self.config.environment(),
            dns=host.addresses("dns"),
            interfaces=self._interfaces(),
            requests=self._requests(host),
            dockerfile=self._dockerfile(kind),
        )
        require_command(result, "", "use")
        host.finish()
        return result

    def _dockerfile(self, kind: Kind) -> str | None:
        """2015 wrote `dockerfile: {local: Dockerfile}` for the file in the bundle."""
        place = self.place("dockerfile")
        value, path = place.take("dockerfile")
        if isinstance(value, str) or kind == "inline":
            return dockerfile(place, kind)
        section = place.section("dockerfile")
        local, local_path = section.take("local")
        if local is not None and names.safe_folder(text(local, local_path)) != "Dockerfile":
            raise fault(f"{path}.local", "must be Dockerfile, at the top of the bundle")
        section.finish()
        return None

    def _requests(self, host: Fields) -> Requests:
        return Requests(
            as_root=self.place("as-root").flag("as-root") or False,
            privileged=host.flag("privileged") or False,
            network_mode=network_mode(host),
            port_bindings=port_bindings(host, "port-bindings"),
        )

    def _interfaces(self) -> dict[str, Interface]:
        result: dict[str, Interface] = {}
        fields = self.place("net")
        for alias, value, path in fields.named("net"):
            name, declaration = net_entry(alias, value, path, fields.warnings)
            if name in result:
                raise fault(f"{path}.intfName", f"is taken: two networks are called {name}")
            result[name] = declaration
        self._firewall(result)
        return result

    def _firewall(self, interfaces: dict[str, Interface]) -> None:
        """`config.firewall` names its network in `to: "<net>:<port>"`; each rule goes to the interface it is about."""
        by_alias = {declaration.get("alias", name): name for name, declaration in interfaces.items()}
        for value, path in self.place("firewall").items("firewall"):
            rule = Fields(value, path, self.root.warnings)
            found = {key: said for key in ("type", "name", "from", "to") if (said := rule.text(key))}
            rule.finish()
            network = found.get("to", "").partition(":")[0]
            if network not in by_alias:
                self.root.warn(f"`{path}` is about no network of this chute and is ignored")
                continue
            interfaces[by_alias[network]].setdefault("firewall", []).append(found)


def net_entry(alias: str, value: object, path: str, warnings: list[str]) -> tuple[str, Interface]:
    """One entry of `net` as the name of an interface and its declaration."""
    fields = Fields(value, path, warnings)
    name, name_path = fields.take("intfName")
    if name is None:
        raise fault(name_path, "is missing: it names the interface inside the app")
    found = interface_name(name, name_path)
    rest = {key: entry for key, entry in fields.raw().items() if key != "intfName"}
    matching(alias, path, names.NAME, f"must have a name of {names.NAME_RULE}")
    if alias != found:
        rest["alias"] = alias
    return found, interface(rest, path, warnings)


def net_view(name: str, declaration: Interface) -> tuple[str, Interface]:
    """The reverse of `net_entry`: how old clients see an interface."""
    view = {
        key: value
        for key, value in declaration.items()
        if key not in {"type", "alias", "wireless", "options"}
    }
    kind, _, mode = str(declaration["type"]).partition("-")
    wireless = dict(declaration.get("wireless", {}))
    entry: Interface = {"type": kind, "intfName": name}
    if mode and mode != "ap":
        entry["mode"] = mode
    entry |= {key: wireless.pop(key) for key in ("ssid", "key", "encryption") if key in wireless}
    options = wireless | dict(declaration.get("options", {}))
    if options:
        entry["options"] = options
    return declaration.get("alias", name), entry | view
