from wayhouse.api.cors import Cors


def test_nobody_by_default():
    assert Cors([]).headers({"origin": "https://a.test"}) == []


def test_a_request_without_an_origin_gets_nothing():
    assert Cors(["*"]).headers({}) == []


def test_those_that_are_named():
    headers = dict(Cors(["https://a.test"]).headers({"origin": "https://a.test"}))
    assert headers["access-control-allow-origin"] == "https://a.test"
    assert headers["vary"] == "Origin"
    assert Cors(["https://a.test"]).headers({"origin": "https://b.test"}) == []


def test_everybody_without_credentials():
    headers = dict(Cors(["*"]).headers({"origin": "https://a.test"}))
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-max-age"] == "2520"
    assert "access-control-allow-credentials" not in headers
