"""What stands between this machine and the Internet: which NAT, IPv6 or not, UDP or not, and how far the servers are.

`Inquiry` is the machine that asks STUN servers (RFC 5780 where a server offers it, else by comparing what several see), `NetReport` the result; driven by
`drivers/netcheck.py` for `wayhouse overlay netcheck`.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.mapping import Ask, nat_kind
from wayhouse.overlay.ice.stun import BadStunError, Host, Message

_STEPS = (0.15, 0.3, 0.5, 0.8)
_CHANGE_PORT, _CHANGE_BOTH = 2, 6
IPV4, IPV6, FILTER = "udp4", "udp6", "filter"
"""The sockets that are asked from: `FILTER` has spoken to nobody before."""


class Dependence(StrEnum):
    """What a NAT's mappings, or its filters, depend on (RFC 4787)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    UNKNOWN = "unknown"


class ServerCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One address of a server; `kind` is stun, or turn with its transport. `rtt_ms` is None when it did not answer, and
    `error` says why; of a relay it is how long an allocation took."""

    kind: str
    host: str
    address: str
    rtt_ms: float | None = None
    mapped: str = ""
    error: str = ""


class NetReport(msgspec.Struct, frozen=True, kw_only=True):
    """`nat` as in `PathReport`. `advice` is for people: what will work, and what to do about what will not."""

    nat: str = "unknown"
    mapping: Dependence = Dependence.UNKNOWN
    filtering: Dependence = Dependence.UNKNOWN
    has_udp: bool = False
    has_ipv4: bool = False
    has_ipv6: bool = False
    public_ipv4: str = ""
    public_ipv6: str = ""
    addresses: tuple[str, ...] = ()
    servers: tuple[ServerCheck, ...] = ()
    advice: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """A binding request from a socket to a server; `change` asks it to answer from elsewhere."""

    base: str
    server: Host
    change: int = 0


class Answer(msgspec.Struct, frozen=True):
    mapped: Host
    rtt: float
    other: Host | None = None


@dataclasses.dataclass
class _Asked:
    transaction: bytes
    next_at: float
    sent_at: float
    copies: int = 0


class Inquiry:
    """Feed it with `hear` and `tick`, take `outbox()`; when `is_done`, `answers` has for each question an answer, or None."""

    def __init__(
        self, servers: Sequence[tuple[str, Host]], *, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self.answers: dict[Question, Answer | None] = {}
        self._random = random
        self._servers = [Question(base, host) for base, host in servers]
        self._open: dict[Question, _Asked] = {}
        self._outbox: list[Ask] = []
        self._stage = 0

    def start(self, now: float) -> None:
        self._ask(self._servers, now)

    @property
    def is_done(self) -> bool:
        return self._stage > 1

    def hear(self, base: str, message: Message, source: Host, now: float) -> None:
        """Raises nothing."""
        found = next((q for q, a in self._open.items() if a.transaction == message.transaction), None)
        if found is None or found.base != base or message.kind not in {stun.SUCCESS, stun.ERROR}:
            return
        is_elsewhere = source != found.server
        if is_elsewhere != bool(found.change):
            return
        try:
            mapped = message.address(stun.XOR_MAPPED_ADDRESS) or message.plain_address(stun.MAPPED_ADDRESS)
            other = message.plain_address(stun.OTHER_ADDRESS)
        except BadStunError:
            return
        asked = self._open.pop(found)
        answer = None if mapped is None else Answer(mapped, now - asked.sent_at, other)
        self.answers[found] = answer
        self._advance(now)

    def tick(self, now: float) -> None:
        for question, asked in tuple(self._open.items()):
            if asked.next_at > now:
                continue
            if asked.copies >= len(_STEPS):
                del self._open[question]
                self.answers[question] = None
            else:
                self._send(question, asked, now)
        self._advance(now)

    def deadline(self) -> float | None:
        return min((asked.next_at for asked in self._open.values()), default=None)

    def outbox(self) -> list[Ask]:
        sends, self._outbox = self._outbox, []
        return sends

    def _ask(self, questions: Sequence[Question], now: float) -> None:
        for question in questions:
            asked = self._open[question] = _Asked(self._random(stun.TRANSACTION), now, now)
            self._send(question, asked, now)
        self._advance(now)

    def _send(self, question: Question, asked: _Asked, now: float) -> None:
        asked.sent_at, asked.next_at = now, now + _STEPS[asked.copies]
        asked.copies += 1
        change = [(stun.CHANGE_REQUEST, question.change.to_bytes(4, "big"))] if question.change else []
        data = stun.encode(stun.BINDING, stun.REQUEST, asked.transaction, change)
        self._outbox.append(Ask(question.base, question.server, data))

    def _advance(self, now: float) -> None:
        """After the servers were asked, one that can is asked how the NAT behaves (RFC 5780 sections 4.3 and 4.4)."""
        if self._open or self._stage > 1:
            return
        self._stage += 1
        able = self.able()
        if self._stage == 1 and able is not None:
            self._ask(_behaviour(*able), now)
        elif self._stage == 1:
            self._stage = 2

    def able(self) -> tuple[Host, Host] | None:
        """A server over IPv4 that has a second address, and that."""
        for question in self._servers:
            answer = self.answers.get(question)
            other = None if answer is None or question.base != IPV4 else answer.other
            if other is not None and other[0] != question.server[0] and other[1] != question.server[1]:
                return question.server, other
        return None


def _behaviour(server: Host, other: Host) -> list[Question]:
    return [
        Question(IPV4, (other[0], server[1])),
        Question(IPV4, other),
        Question(FILTER, server, _CHANGE_BOTH),
        Question(FILTER, server, _CHANGE_PORT),
    ]


def mapping_of(inquiry: Inquiry) -> Dependence:
    """RFC 5780 section 4.3; without a server for that, what several servers saw."""
    seen = [a.mapped for q, a in inquiry.answers.items() if q.base == IPV4 and a is not None]
    able = inquiry.able()
    if able is not None:
        server, other = able
        first = inquiry.answers.get(Question(IPV4, server))
        second = inquiry.answers.get(Question(IPV4, (other[0], server[1])))
        third = inquiry.answers.get(Question(IPV4, other))
        if first is not None and second is not None and third is not None:
            if first.mapped == second.mapped:
                return Dependence.ENDPOINT_INDEPENDENT
            is_by_address = second.mapped == third.mapped
            return Dependence.ADDRESS_DEPENDENT if is_by_address else Dependence.ADDRESS_AND_PORT_DEPENDENT
    if len(seen) < 2:
        return Dependence.UNKNOWN
    is_same = len(set(seen)) == 1
    return Dependence.ENDPOINT_INDEPENDENT if is_same else Dependence.ADDRESS_AND_PORT_DEPENDENT


def filtering_of(inquiry: Inquiry) -> Dependence:
    """RFC 5780 section 4.4."""
    able = inquiry.able()
    if able is None:
        return Dependence.UNKNOWN
    if inquiry.answers.get(Question(FILTER, able[0], _CHANGE_BOTH)) is not None:
        return Dependence.ENDPOINT_INDEPENDENT
    if inquiry.answers.get(Question(FILTER, able[0], _CHANGE_PORT)) is not None:
        return Dependence.ADDRESS_DEPENDENT
    return Dependence.ADDRESS_AND_PORT_DEPENDENT


def judge(inquiry: Inquiry, servers: Sequence[ServerCheck], addresses: Sequence[str], port: int) -> NetReport:
    """`addresses` are this machine's own, `port` that of its IPv4 socket."""
    answered = {question: answer for question, answer in inquiry.answers.items() if answer is not None}
    four = [answer.mapped for question, answer in answered.items() if question.base == IPV4]
    six = [answer.mapped for question, answer in answered.items() if question.base == IPV6]
    was_asked = any(question.base == IPV4 for question in inquiry.answers)
    report = NetReport(
        nat=nat_kind(four, addresses, port, has_failed=was_asked),
        mapping=mapping_of(inquiry),
        filtering=filtering_of(inquiry),
        has_udp=bool(answered),
        has_ipv4=bool(four) or any(s.rtt_ms is not None and ":" not in s.address for s in servers),
        has_ipv6=bool(six) or any(s.rtt_ms is not None and ":" in s.address for s in servers),
        public_ipv4=four[0][0] if four else "",
        public_ipv6=six[0][0] if six else "",
        addresses=tuple(addresses),
        servers=tuple(servers),
    )
    return msgspec.structs.replace(report, advice=tuple(_advice(report)))


def _advice(report: NetReport) -> list[str]:
    relays = [server for server in report.servers if server.kind.startswith("turn")]
    has_relay = any(relay.rtt_ms is not None for relay in relays)
    lines = []
    if not report.servers:
        lines.append("No STUN or TURN server is configured: only peers of the same network can be reached.")
    elif not report.has_udp:
        lines.append("UDP does not get through: every link needs a relay over TCP or TLS.")
    elif report.nat == "symmetric":
        lines.append("The NAT gives every peer another port: peers behind a NAT are reached by a relay only.")
    elif report.nat == "cone":
        lines.append("The NAT keeps its ports: peers are reached directly, unless their NAT does not.")
    elif report.nat == "none":
        lines.append("There is no NAT: peers are reached directly.")
    if relays and not has_relay:
        lines.append("No relay answers: look at its address, its user name and its password.")
    if not relays and report.servers and report.nat != "none":
        lines.append("No relay is configured: some peers may not be reached.")
    return lines
