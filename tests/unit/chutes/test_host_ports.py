"""Which port of the gateway leads to which app: kept where possible, never given twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.chute_lab import app, chute, light
from wayhouse.chutes.host_ports import Ports, assign
from wayhouse.chutes.model import Chute, ChuteStateError, PortBinding, Requests, Service, Spec, Web
from wayhouse.chutes.spec import from_document

POOL = range(20_000, 20_010)


def ports(
    document: dict[str, Any],
    before: Ports | None = None,
    *others: Chute,
    busy: set[int] | None = None,
    **more: Any,
) -> Ports:
    return assign(
        from_document(document), before or {}, others, pool=POOL, is_free=lambda port, _: port not in (busy or set()), **more
    )  # fmt: skip


def binding(bindings: dict[Any, Any], **more: Any) -> dict[str, Any]:
    return light(requests={"port-bindings": bindings, **more})


def test_the_web_port_and_health_ports_get_one_of_the_pool() -> None:
    services = {
        "main": light(),
        "api": light(health={"http": "/", "port": 9000}),
        "db": light(health={"tcp": 5432}),
        "job": light(),
    }
    assert ports(app(services=services)) == {
        "main": {"8000/tcp": 20_000},
        "api": {"9000/tcp": 20_001},
        "db": {"5432/tcp": 20_002},
    }


def test_a_port_that_is_bound_already_serves_for_the_page_too() -> None:
    assert ports(app(services={"main": binding({8000: 80})})) == {"main": {"8000/tcp": 80}}
    assert ports(app(services={"main": binding({8000: None})})) == {"main": {"8000/tcp": 20_000}}


def test_udp_and_tcp_are_two_things() -> None:
    wanted = {"main": binding({"53/udp": 53, "53/tcp": 53})}
    assert ports(app(web=False, services=wanted)) == {"main": {"53/udp": 53, "53/tcp": 53}}
    dns = chute(app("dns"), ports={"main": {"53/udp": 53}})
    assert ports(app(web=False, services={"main": binding({53: 53})}), None, dns) == {"main": {"53/tcp": 53}}


def test_on_the_hosts_network_nothing_is_forwarded() -> None:
    assert ports(app(services={"main": binding({8000: 80}, **{"network-mode": "host"})})) == {}


def test_ports_are_kept() -> None:
    before = {"main": {"8000/tcp": 20_007}}
    assert ports(app(), before, busy={20_007}) == before, "it is our own container that holds it"


def test_a_stopped_chute_keeps_its_port_only_if_it_is_free() -> None:
    before = {"main": {"8000/tcp": 20_007}}
    assert ports(app(), before, is_running=False) == before
    assert ports(app(), before, busy={20_007}, is_running=False) == {"main": {"8000/tcp": 20_000}}
    with pytest.raises(ChuteStateError, match="in use by another program"):
        ports(
            app(services={"main": binding({80: 80})}), {"main": {"80/tcp": 80}}, busy={80}, is_running=False
        )


def test_a_number_asked_for_beats_a_number_kept() -> None:
    services = {"main": light(), "extra": binding({80: 20_007})}
    found = ports(app(services=services), {"main": {"8000/tcp": 20_007}})
    assert found == {"extra": {"80/tcp": 20_007}, "main": {"8000/tcp": 20_000}}


def test_what_others_have_is_refused_with_their_name() -> None:
    other = chute(app("other"), ports={"main": {"80/tcp": 80, "8000/tcp": 20_000}})
    with pytest.raises(ChuteStateError, match="Port 80 of this machine belongs to chute other"):
        ports(app(services={"main": binding({80: 80})}), None, other)
    assert ports(app(), None, other) == {"main": {"8000/tcp": 20_001}}
    assert ports(app(), {"main": {"8000/tcp": 20_000}}, other) == {"main": {"8000/tcp": 20_001}}


def test_what_programs_have_is_refused() -> None:
    with pytest.raises(ChuteStateError, match="in use by another program"):
        ports(app(services={"main": binding({80: 80})}), busy={80})
    assert ports(app(), busy={20_000}) == {"main": {"8000/tcp": 20_001}}


def test_two_services_cannot_have_one_port() -> None:
    twice = {
        "main": Service(
            name="main", requests=Requests(port_bindings=(PortBinding(1, 80), PortBinding(2, 80)))
        )
    }
    with pytest.raises(ChuteStateError):
        assign(Spec(name="x", services=twice), {}, [], pool=POOL, is_free=lambda *_: True)


def test_an_empty_pool_is_told() -> None:
    with pytest.raises(ChuteStateError, match="between 20000 and 20009"):
        ports(app(), busy=set(POOL))


BINDINGS = st.lists(
    st.builds(
        PortBinding,
        st.integers(1, 9),
        st.none() | st.integers(19_998, 20_012),
        st.sampled_from(["tcp", "udp"]),
    ),
    max_size=4,
    unique_by=lambda one: (one.container, one.protocol),
)
SPECS = st.dictionaries(st.sampled_from("abc"), BINDINGS, min_size=1).map(
    lambda services: Spec(
        name="mine",
        web=Web(min(services), 8),
        services={
            name: Service(name=name, requests=Requests(port_bindings=tuple(bindings)))
            for name, bindings in services.items()
        },
    )
)
BUSY = st.sets(st.tuples(st.integers(19_998, 20_012), st.sampled_from(["tcp", "udp"])), max_size=6)


def pairs(found: Ports) -> list[tuple[int, str]]:
    return [(port, kind.partition("/")[2]) for one in found.values() for kind, port in one.items()]


@given(first=SPECS, second=SPECS, busy=BUSY, others=BUSY)
@settings(max_examples=150, deadline=None)
def test_no_port_is_ever_given_twice(first: Spec, second: Spec, busy: Any, others: Any) -> None:
    held = {f"{number}/{kind}": port for number, (port, kind) in enumerate(sorted(others))}
    neighbour = chute(app("other"), ports={"main": held})

    def given_to(spec: Spec, before: Ports) -> Ports | None:
        try:
            return assign(spec, before, [neighbour], pool=POOL, is_free=lambda *one: one not in busy)
        except ChuteStateError:
            return None

    found = given_to(first, {})
    if found is None:
        return
    assert not set(pairs(found)) & (busy | others)
    again = given_to(first, found)
    assert again == found, "an update that asks for the same keeps the same"
    updated = given_to(second, found)
    if updated is None:
        return
    assert len(set(pairs(updated))) == len(pairs(updated))
    assert not set(pairs(updated)) & others
    assert not (set(pairs(updated)) - set(pairs(found))) & busy
    for service in second.services.values():
        for one in service.requests.port_bindings:
            port = updated[service.name][f"{one.container}/{one.protocol}"]
            assert one.host in {None, port}
            assert one.host is not None or port in POOL or port in {p for p, _ in pairs(found)}
