"""What goes over XMPP: the `jabber:iq:tincan` query, the resource that carries a uid, the status, and XEP-0215's services.

Used by `drivers/xmpp.py`. Pure: elements in, words out. Rule: every element is hostile; what does not fit raises `BadStanzaError`, and what would
break the stream is never made. The forms are tincan's, so that its nodes of 2013 to 2016 are understood.
"""

from __future__ import annotations

import datetime
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from xml.sax import saxutils

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.model import TurnServer, is_uid

NAMESPACE = "jabber:iq:tincan"
SERVICES_NAMESPACE = "urn:xmpp:extdisco:2"
RESOURCE_PREFIX = "tincan"
MAX_RESOURCE = 128
MAX_DATA = 65_507
"""In characters: a controller's datagram is not longer."""
MAX_BYTES = 200_000
"""As XML: a server ends the connection of who sends stanzas of more than 256 KiB (prosody's limit)."""
MAX_KIND = 64
MAX_STATUS = 256
MAX_SERVICES = 32
_TRANSPORTS = {
    ("turn", ""): "udp",
    ("turn", "udp"): "udp",
    ("turn", "tcp"): "tcp",
    ("turns", ""): "tls",
    ("turns", "tcp"): "tls",
}
_KIND = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
"""What XML 1.0 section 2.2 does not allow: a server ends the stream of whoever sends it."""
_QUOTES = {"'": "&apos;", '"': "&quot;"}
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}")


class BadStanzaError(BadInputError):
    code = "bad-stanza"
    title = "What came over XMPP cannot be understood"


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the server offers beside XMPP. `expires` is when the first of the credentials ends, in seconds since 1970; None: never."""

    stun: tuple[tuple[str, int], ...] = ()
    turn: tuple[TurnServer, ...] = ()
    expires: float | None = None


def resource_of(uid: str) -> str:
    return RESOURCE_PREFIX + uid


def uid_of(resource: str) -> str | None:
    """The uid in a resource; a suffix by the server is tolerated. None: it is no node."""
    uid = resource[len(RESOURCE_PREFIX) : len(RESOURCE_PREFIX) + 40]
    is_node = resource.startswith(RESOURCE_PREFIX) and len(resource) <= MAX_RESOURCE and is_uid(uid)
    return uid if is_node else None


def check_message(kind: str, data: str) -> None:
    """Raises `BadStanzaError` for what no stanza can carry: the same is refused on every way, so that a peer's way does not matter."""
    if _KIND.fullmatch(kind) is None:
        raise BadStanzaError(
            f"The kind of a message has up to {MAX_KIND} letters, digits and any of '_.:-' in it."
        )
    if len(data) > MAX_DATA or len(saxutils.escape(data, _QUOTES).encode("utf-8", "replace")) > MAX_BYTES:
        raise BadStanzaError(
            f"A message has at most {MAX_DATA} characters, and {MAX_BYTES} bytes as XML: send it in parts."
        )
    if _NOT_XML.search(data):
        raise BadStanzaError("A message must not hold control characters: encode it first.")


def make_query(kind: str, data: str) -> ET.Element:
    """Raises `BadStanzaError`."""
    check_message(kind, data)
    query = ET.Element(f"{{{NAMESPACE}}}query")
    ET.SubElement(query, f"{{{NAMESPACE}}}data").text = data
    ET.SubElement(query, f"{{{NAMESPACE}}}type").text = kind
    return query


def read_query(query: ET.Element) -> tuple[str, str]:
    """The kind and the data. Raises `BadStanzaError`."""
    if _local(query) != "query" or len(query) > 8:
        raise BadStanzaError("This is no tincan query.")
    texts: dict[str, str] = {}
    for child in query:
        name = _local(child)
        if name in texts or len(child):
            raise BadStanzaError("A tincan query has one `data` and one `type`, with text alone in them.")
        texts[name] = child.text or ""
    kind, data = texts.get("type", ""), texts.get("data", "")
    if _KIND.fullmatch(kind) is None:
        raise BadStanzaError("The `type` of a tincan query is missing, or is no word.")
    if len(data) > MAX_DATA:
        raise BadStanzaError(f"The `data` of a tincan query has more than {MAX_DATA} characters.")
    return kind, data


def check_status(status: str) -> str:
    """Raises `BadStanzaError` for a status that cannot be told."""
    if len(status) > MAX_STATUS or _NOT_XML.search(status):
        raise BadStanzaError(f"A status has at most {MAX_STATUS} characters, and no control characters.")
    return status


def read_status(presence: ET.Element) -> str:
    """What a peer tells everybody; nothing if it is longer than any fingerprint."""
    for child in presence:
        if _local(child) == "status":
            text = (child.text or "").strip()
            return text if len(text) <= MAX_STATUS else ""
    return ""


def make_services() -> ET.Element:
    return ET.Element(f"{{{SERVICES_NAMESPACE}}}services")


def make_credentials(host: str, kind: str) -> ET.Element:
    """Asks for the credentials of a service that was listed without (XEP-0215 section 3.3)."""
    query = ET.Element(f"{{{SERVICES_NAMESPACE}}}credentials")
    ET.SubElement(query, f"{{{SERVICES_NAMESPACE}}}service", {"host": host, "type": kind})
    return query


def read_services(answer: ET.Element) -> Services:
    """What can be used of XEP-0215's list; what cannot is left out."""
    stun: list[tuple[str, int]] = []
    turn: list[TurnServer] = []
    ends: list[float] = []
    for kind, host, port, service in _services(answer):
        if kind == "stun":
            stun.append((host, port))
            continue
        transport = _TRANSPORTS.get((kind, service.get("transport", "").lower()))
        if transport is None or (not service.get("username") and _is_restricted(service)):
            continue
        turn.append(
            TurnServer(
                host=host,
                port=port,
                transport=transport,
                username=service.get("username", ""),
                password=service.get("password", ""),
            )
        )
        end = _moment(service.get("expires", ""))
        if end is not None:
            ends.append(end)
    return Services(
        stun=tuple(dict.fromkeys(stun)), turn=tuple(dict.fromkeys(turn)), expires=min(ends, default=None)
    )


def lacking_credentials(answer: ET.Element) -> list[tuple[str, str]]:
    """Host and type of the relays that are to be asked for with `make_credentials`."""
    found = [
        (host, kind)
        for kind, host, _, service in _services(answer)
        if kind in {"turn", "turns"} and _is_restricted(service) and not service.get("username")
    ]
    return list(dict.fromkeys(found))


def _services(answer: ET.Element) -> Iterator[tuple[str, str, int, ET.Element]]:
    for service in list(answer.iter(f"{{{SERVICES_NAMESPACE}}}service"))[:MAX_SERVICES]:
        kind, host, port = service.get("type", ""), service.get("host", ""), service.get("port", "")
        number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
        number = number or (5349 if kind == "turns" else 3478)
        sizes = [len(service.get(name, "")) for name in ("username", "password")]
        if (
            kind in {"stun", "turn", "turns"}
            and _HOST.fullmatch(host)
            and number < 65_536
            and max(sizes) < 1024
        ):
            yield kind, host, number, service


def _is_restricted(service: ET.Element) -> bool:
    return service.get("restricted", "").lower() in {"1", "true"}


def _moment(text: str) -> float | None:
    """XEP-0082, in seconds since 1970."""
    try:
        moment = datetime.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _local(element: ET.Element) -> str:
    """The name without the namespace: libjingle's elements had one, hand-written ones often have none."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
