import msgspec

from wayhouse.chutes.environment import environment
from wayhouse.chutes.model import Chute, Desired, Service, Spec
from wayhouse.ledger.model import Actor

MAIN = Service(name="main", environment={"B": "service", "PARADROP_API_TOKEN": "mine"})
CHUTE = Chute(
    spec=Spec(name="hello", version=0.5, environment={"A": "chute", "B": "chute"}, services={"main": MAIN}),
    owner=Actor("me"),
    desired=Desired.RUNNING,
    token="00ff",
    change_id=1,
)


def test_all_variables() -> None:
    found = environment(
        CHUTE, MAIN, api_url="http://paradrop.io:8080", features=("audio", "hostapd-control"), router_id="r1"
    )
    assert found == {
        "A": "chute",
        "B": "service",
        "PARADROP_CHUTE_NAME": "hello",
        "PARADROP_CHUTE_VERSION": "0.5",
        "PARADROP_FEATURES": "audio hostapd-control",
        "PARADROP_ROUTER_ID": "r1",
        "PARADROP_DATA_DIR": "/data/",
        "PARADROP_SYSTEM_DIR": "/paradrop/",
        "PARADROP_API_URL": "http://paradrop.io:8080/api",
        "PARADROP_BASE_URL": "http://paradrop.io:8080/api/v1/chutes/hello",
        "PARADROP_WS_API_URL": "ws://paradrop.io:8080/ws",
        "PARADROP_API_TOKEN": "00ff",
        "WAYHOUSE_API_URL": "http://paradrop.io:8080/api/v1",
        "WAYHOUSE_API_TOKEN": "00ff",
        "WAYHOUSE_CHUTE_NAME": "hello",
    }
    assert CHUTE.spec.environment == {"A": "chute", "B": "chute"}


def test_without_controller_and_version() -> None:
    chute = msgspec.structs.replace(CHUTE, spec=Spec(name="x"))
    found = environment(chute, MAIN, api_url="https://h/", features=[], router_id=None)
    assert "PARADROP_ROUTER_ID" not in found
    assert found["PARADROP_CHUTE_VERSION"] == "unknown"
    assert found["PARADROP_WS_API_URL"] == "wss://h/ws"
