import pytest

from wayhouse.bus.model import BrokerSettings, ClientError, GenericError, ServerError, refusal, routing_key


def test_a_refusal_has_its_status_at_both_ends():
    assert refusal(b"500", b"expired", "nobody came") == [b"500", b"expired: nobody came", b"500"]


def test_the_routing_key():
    assert routing_key("localhost", "fake") == "localhost.fake"


def test_errors_of_a_status():
    assert (ClientError(b"400").status, ServerError(b"500").status) == (400, 500)
    assert isinstance(ClientError(b"400"), GenericError)
    assert ClientError(b"400").value == b"400"


def test_settings_are_above_0():
    assert BrokerSettings(heartbeat_s=2, liveness=4).expiry_s == 8
    for wrong in (
        {"heartbeat_s": 0},
        {"liveness": -1},
        {"max_queued": float("inf")},
        {"request_ttl_s": float("nan")},
    ):
        with pytest.raises(ValueError, match="above 0"):
            BrokerSettings(**wrong)
