"""The words of the room survive storage, and its errors say what an API client needs."""

import pytest

from wayhouse.base import codec
from wayhouse.chutes import model
from wayhouse.chutes.model import (
    Chute,
    Desired,
    Health,
    PortBinding,
    Requests,
    Service,
    Spec,
    Web,
    container_name,
)
from wayhouse.ledger.model import Actor


def test_names_of_containers() -> None:
    assert container_name("hello", "main") == "hello-main"


def test_a_chute_survives_storage() -> None:
    service = Service(
        name="main",
        command=("a", "b"),
        requests=Requests(port_bindings=(PortBinding(53, None, "udp"),)),
        health=Health(tcp=5),
        interfaces={"wlan0": {"type": "wifi-ap", "wireless": {"ssid": "x"}}},
    )
    chute = Chute(
        spec=Spec(name="hello", version="1", web=Web("main", 80), services={"main": service}),
        owner=Actor("me"),
        desired=Desired.STOPPED,
        token="t",
        change_id=3,
        ports={"main": {"53/udp": 20_000}},
    )
    assert codec.decode_json(codec.encode_json(chute), Chute) == chute
    assert chute.name == "hello"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (model.BadSpecError, 400),
        (model.BadArchiveError, 400),
        (model.NoSuchChuteError, 404),
        (model.ChuteForbiddenError, 403),
        (model.ChuteStateError, 409),
        (model.EngineError, 500),
    ],
)
def test_statuses(error: type[Exception], status: int) -> None:
    assert error("x").status == status  # type: ignore[attr-defined]
