import pytest

from wayhouse.cli.page import address_from


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"gateway_listen": "0.0.0.0:80", "gateway_tls": "off"}, "http://127.0.0.1:80"),
        ({"gateway_listen": "[::]:80", "gateway_tls": "self-made"}, "https://127.0.0.1:80"),
        ({"gateway_listen": "10.0.0.1:81"}, "http://10.0.0.1:81"),
        ({"gateway_listen": ":82"}, "http://127.0.0.1:82"),
        ({"gateway_listen": 7}, "http://127.0.0.1:8080"),
    ],
)
def test_where_the_page_is(settings, address):
    assert address_from(settings) == address


def test_of_a_gateway_elsewhere_it_is_its_address(cli, gateway):
    assert cli("status", "--json").json["page"] == gateway.http
