from pathlib import Path

from wayhouse.cli.session import Session
from wayhouse.cli.wanted import Wanted


def test_how_a_command_reaches_the_same_gateway_again():
    assert Session(Wanted(), {}).again == "wayhouse"
    assert Session(Wanted(gateway="http://a:1"), {}).again == "wayhouse --gateway http://a:1"
    assert Session(Wanted(data=Path("/my data")), {}).again == "wayhouse --data '/my data'"
    env = {"WAYHOUSE_GATEWAY": "http://a:1", "WAYHOUSE_DATA": "/d"}
    assert Session(Wanted(gateway="http://a:1"), env).again == "wayhouse"
    assert Session(Wanted(data=Path("/d")), env).again == "wayhouse"


def test_nothing_is_asked_before_a_command_does():
    session = Session(Wanted(gateway="http://127.0.0.1:1", json=True), {})
    assert session.screen.json
    assert str(session.client.place) == "http://127.0.0.1:1"
