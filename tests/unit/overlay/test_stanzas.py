"""The query, the resource, the status and the services: what is made is read again, and nothing that comes can do harm."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.model import TurnServer
from wayhouse.overlay.stanzas import (
    MAX_DATA,
    NAMESPACE,
    BadStanzaError,
    Services,
    check_message,
    check_status,
    lacking_credentials,
    make_credentials,
    make_query,
    read_query,
    read_services,
    read_status,
    resource_of,
    uid_of,
)

UID = "0123456789abcdef" * 2 + "01234567"
TEXT = st.text(
    st.characters(min_codepoint=0x20, blacklist_categories=["Cs"], blacklist_characters="\ufffe\uffff")
)


def test_the_query_is_the_one_of_tincan() -> None:
    text = ET.tostring(make_query("con_resp", "FPR a:1:udp"), encoding="unicode", default_namespace=NAMESPACE)
    assert text == f'<query xmlns="{NAMESPACE}"><data>FPR a:1:udp</data><type>con_resp</type></query>'
    assert read_query(ET.fromstring(text)) == ("con_resp", "FPR a:1:udp")


@pytest.mark.parametrize(
    "text",
    [
        "<query><type>con_req</type><data>x</data></query>",
        f"<query xmlns='{NAMESPACE}'><type xmlns=''>con_req</type><data xmlns=''>x</data></query>",
        "<query>\n <data>x</data>\n <type>con_req</type>\n <more/></query>",
    ],
)
def test_what_others_write_is_understood(text: str) -> None:
    assert read_query(ET.fromstring(text)) == ("con_req", "x")


@pytest.mark.parametrize(
    "text",
    [
        "<other><type>con_req</type></other>",
        "<query/>",
        "<query><type/></query>",
        "<query><type>two words</type></query>",
        "<query><type>a</type><type>b</type></query>",
        "<query><type>a</type><data><b/></data></query>",
        f"<query>{''.join(f'<a{n}/>' for n in range(9))}</query>",
        f"<query><type>a</type><data>{'x' * (MAX_DATA + 1)}</data></query>",
        f"<query><type>{'x' * 65}</type></query>",
    ],
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(BadStanzaError):
        read_query(ET.fromstring(text))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("", "x"),
        ("a b", "x"),
        ("<", "x"),
        ("a", "\x00"),
        ("a", "\ud800"),
        ("a", "\uffff"),
        ("a", "x" * (MAX_DATA + 1)),
        ("a", "&" * (MAX_DATA - 1)),
        ("a", "𝄞" * (MAX_DATA - 1)),
    ],
)
def test_what_would_break_the_stream_is_never_made(kind: str, data: str) -> None:
    with pytest.raises(BadStanzaError):
        make_query(kind, data)
    with pytest.raises(BadStanzaError):
        check_message(kind, data)


@given(kind=st.from_regex(r"[A-Za-z0-9_.:-]{1,64}", fullmatch=True), data=TEXT)
def test_what_is_made_is_read_again(kind: str, data: str) -> None:
    assert read_query(ET.fromstring(ET.tostring(make_query(kind, data)))) == (kind, data)


@given(kind=st.text(), data=st.text())
def test_whatever_is_given_is_made_as_xml_or_refused(kind: str, data: str) -> None:
    try:
        made = make_query(kind, data)
    except BadStanzaError:
        return
    ET.fromstring(ET.tostring(made))


NAMES = st.sampled_from(["query", f"{{{NAMESPACE}}}query", "type", f"{{{NAMESPACE}}}data", "status", "x"])


@st.composite
def elements(draw: st.DrawFn, depth: int = 2) -> ET.Element:
    element = ET.Element(
        draw(NAMES), draw(st.dictionaries(st.sampled_from(["port", "host", "type"]), st.text()))
    )
    element.text = draw(st.none() | st.text())
    if depth:
        element.extend(draw(st.lists(elements(depth - 1), max_size=3)))
    return element


@settings(max_examples=40)
@given(elements())
def test_no_element_does_harm(element: ET.Element) -> None:
    try:
        kind, data = read_query(element)
        assert 0 < len(kind) <= 64
        assert len(data) <= MAX_DATA
    except BadInputError:
        pass
    assert len(read_status(element)) <= 256


def test_the_resource_carries_the_uid() -> None:
    assert resource_of(UID) == f"tincan{UID}"
    assert uid_of(f"tincan{UID}") == UID
    assert uid_of(f"tincan{UID}/A1B2-suffix") == UID
    for other in (
        "",
        "tincan",
        f"Tincan{UID}",
        f"tincan{UID[:-1]}",
        f"tincan{UID.upper()}",
        f"tincan{UID}{'x' * 99}",
    ):
        assert uid_of(other) is None


@given(st.text())
def test_no_resource_does_harm(resource: str) -> None:
    uid = uid_of(resource)
    assert uid is None or len(uid) == 40


def test_the_status_is_read_where_it_is() -> None:
    presence = ET.fromstring("<presence><show/><status> AA:BB\n</status><priority>0</priority></presence>")
    assert read_status(presence) == "AA:BB"
    assert read_status(ET.fromstring("<presence/>")) == ""
    assert read_status(ET.fromstring(f"<presence><status>{'x' * 300}</status></presence>")) == ""
    assert check_status("AA:BB") == "AA:BB"
    for status in ("x" * 257, "\x01"):
        with pytest.raises(BadStanzaError):
            check_status(status)


SERVICES = """<services xmlns='urn:xmpp:extdisco:2'>
  <service type='stun' host='192.0.2.1' port='3478' transport='udp'/>
  <service type='stun' host='192.0.2.1' port='3478' transport='udp'/>
  <service type='turn' host='turn.example' port='3478' transport='udp' username='1:a' password='secret'
    restricted='1' expires='2026-01-01T00:00:00Z'/>
  <service type='turn' host='turn.example' transport='tcp' username='1:a' password='secret' expires='2025-01-01T00:00:00Z'/>
  <service type='turns' host='2001:db8::1' transport='tcp' username='u' password='p' expires='soon'/>
  <service type='turn' host='locked.example' transport='udp' restricted='true'/>
  <service type='turn' host='sctp.example' transport='sctp'/>
  <service type='ftp' host='ftp.example' port='21'/>
  <service type='turn' host='bad host'/>
  <service type='turn' host='' port='99999'/>
  <service type='turn' host='big.example' port='123456'/>
</services>"""


def test_services_are_read() -> None:
    services = read_services(ET.fromstring(SERVICES))
    secret = {"username": "1:a", "password": "secret"}
    assert services.stun == (("192.0.2.1", 3478),)
    assert services.turn == (
        TurnServer(host="turn.example", transport="udp", **secret),
        TurnServer(host="turn.example", transport="tcp", **secret),
        TurnServer(host="2001:db8::1", port=5349, transport="tls", username="u", password="p"),
        TurnServer(host="big.example"),
    )
    assert services.expires == 1_735_689_600.0
    assert "secret" not in repr(services)
    assert lacking_credentials(ET.fromstring(SERVICES)) == [("locked.example", "turn")]
    assert b"locked.example" in ET.tostring(make_credentials("locked.example", "turn"))
    assert read_services(ET.fromstring("<nothing/>")) == Services()


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["type", "host", "port", "transport", "username", "password", "expires", "restricted"]),
    st.sampled_from(["stun", "turn", "turns", "udp", "1", "h", "0", "65535", "-1", "1²"]) | st.text(),
)


@settings(max_examples=60)
@given(st.lists(ATTRIBUTES, max_size=4))
def test_no_list_of_services_does_harm(services: list[dict[str, str]]) -> None:
    answer = ET.Element("{urn:xmpp:extdisco:2}services")
    for attributes in services:
        ET.SubElement(answer, "{urn:xmpp:extdisco:2}service", attributes)
    for _, port in read_services(answer).stun:
        assert 0 < port < 65_536
    assert len(lacking_credentials(answer)) <= 4
