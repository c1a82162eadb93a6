"""Does what a controller asks over the control protocol, and makes the answers.

Called by `drivers/control_socket.py` for each request. Rules: what tincan does silently is done here, too, but what it drops silently is answered with
an `error`; no secret is in an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from wayhouse.base.errors import ConflictError
from wayhouse.overlay import node_views
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.model import BadControlError, PathSettings, TurnServer
from wayhouse.overlay.node import Node
from wayhouse.overlay.notifications import EchoReplyTold, Notification
from wayhouse.overlay.ports import FrameTunnel, Signaller
from wayhouse.overlay.revocation_spread import LIST
from wayhouse.overlay.tincan import (
    CreateLink,
    EchoReply,
    EchoRequest,
    Forward,
    Generation,
    GetState,
    RegisterSvc,
    Request,
    SetCallback,
    SetIgnored,
    SetLocalIp,
    SetLogging,
    SetRemoteIp,
    SetSwitchmode,
    SetTranslation,
    SetTrimPolicy,
    TrimLink,
    split_host,
)

_LEVELS = (logging.CRITICAL, logging.ERROR, logging.INFO, logging.DEBUG)
NO_IP4 = "127.0.0.1"
"""In `set_remote_ip`: the peer has no addresses."""
STUN_PORT = 3478
Replies = list[Notification]


class Requests:
    """`open_signaller` makes the signaller of `register_svc`; without one, accounts come from elsewhere."""

    def __init__(self, node: Node, open_signaller: Callable[[RegisterSvc], Signaller] | None = None) -> None:
        self._node = node
        self._open_signaller = open_signaller
        self._registered = False
        self._verbs: dict[type[Any], Callable[[Any, Generation], Replies | None]] = {
            SetLogging: self._set_logging,
            SetCallback: self._nothing,
            SetLocalIp: self._set_local_ip,
            RegisterSvc: self._register,
            GetState: self._get_state,
            CreateLink: self._create_link,
            SetRemoteIp: self._set_remote_ip,
            TrimLink: self._trim_link,
            Forward: self._forward,
            SetTranslation: self._set_translation,
            SetSwitchmode: self._set_switchmode,
            SetTrimPolicy: self._nothing,
            SetIgnored: self._set_ignored,
            EchoRequest: self._echo,
            EchoReply: self._nothing,
        }

    def do(self, request: Request, generation: Generation) -> Replies:
        """What goes back to the sender. Raises `WayhouseError` for what cannot be done."""
        return self._verbs[type(request)](request, generation) or []

    def _set_logging(self, request: SetLogging, generation: Generation) -> None:
        logging.getLogger("wayhouse.overlay").setLevel(_LEVELS[request.level])

    def _set_local_ip(self, request: SetLocalIp, generation: Generation) -> None:
        masks = (request.ip4_mask, request.ip6_mask)
        self._node.set_local_ip(request.uid, request.ip4, request.ip6, masks)
        if request.switchmode:
            self._switch(is_on=True)

    def _register(self, request: RegisterSvc, generation: Generation) -> None:
        if self._registered:
            return
        if self._open_signaller is None:
            raise ConflictError("The accounts of this node are part of its configuration.")
        if not self._node.uid:
            raise ConflictError("Say who this node is (set_local_ip) before it signs in.")
        self._node.add_signaller(self._open_signaller(request))
        self._registered = True

    def _get_state(self, request: GetState, generation: Generation) -> Replies:
        stats = request.stats or request.stats_text or generation is Generation.G0
        peers = node_views.peer_states(
            self._node, generation, uid=request.uid, stats=stats, as_text=request.stats_text
        )
        return [node_views.local_state(self._node), *peers]

    def _create_link(self, request: CreateLink, generation: Generation) -> None:
        settings = path_settings(self._node.path_settings, request)
        in_the_clear = self._node.settings.is_old and not request.sec
        fingerprint = peer_key.IN_THE_CLEAR if in_the_clear else request.fpr
        self._node.create_link(request.uid, fingerprint, request.cas, settings)

    def _set_remote_ip(self, request: SetRemoteIp, generation: Generation) -> None:
        peer = self._node.peers.get(request.uid)
        if peer is not None and peer.has_addresses:
            return
        wanted = ("", "") if request.ip4 == NO_IP4 else (request.ip4, request.ip6)
        own = (self._node.ip4, self._node.ip6)
        others = [(other.ip4, other.ip6) for other in self._node.peers.values() if other is not peer]
        if any(address and address in pair for address in wanted for pair in (own, *others)):
            raise ConflictError(f"{request.ip4} or {request.ip6} belongs to another node already.")
        self._node.set_address(request.uid, *wanted)

    def _trim_link(self, request: TrimLink, generation: Generation) -> None:
        self._node.trim_link(request.uid)

    def _forward(self, request: Forward, generation: Generation) -> None:
        if request.kind == LIST:
            raise BadControlError("Messages of this type are those of the nodes themselves.")
        self._node.ask(request.uid, request.kind, request.data)

    def _set_translation(self, request: SetTranslation, generation: Generation) -> None:
        self._node.set_translation(is_on=request.translate != 0)

    def _set_switchmode(self, request: SetSwitchmode, generation: Generation) -> None:
        if request.switchmode:
            self._switch(is_on=True)
        elif self._node.uid and isinstance(self._node.tunnel, FrameTunnel):
            self._switch(is_on=False)

    def _switch(self, *, is_on: bool) -> None:
        tunnel = self._node.tunnel if self._node.uid or self._node.settings.is_old else None
        if not isinstance(tunnel, FrameTunnel):
            raise BadControlError(
                "Links carry IP packets here, not Ethernet frames: switch mode stays off. A node with --legacy has it."
            )
        tunnel.set_switching(is_on=is_on)

    def _set_ignored(self, request: SetIgnored, generation: Generation) -> None:
        self._node.path_settings = msgspec.structs.replace(
            self._node.path_settings, ignored_interfaces=request.network_ignore_list
        )

    def _echo(self, request: EchoRequest, generation: Generation) -> Replies:
        return [EchoReplyTold(msg=request.msg)]

    def _nothing(self, request: Request, generation: Generation) -> None:
        """`set_cb_endpoint` is the socket's; relays are left by themselves for a direct path; an `echo_reply` needs no answer."""


def path_settings(usual: PathSettings, request: CreateLink) -> PathSettings:
    """The node's own, with the servers that the request names in their place. A relay is tried over TCP, too: the request cannot say."""
    stun = (split_host(request.stun, STUN_PORT),) if request.stun else usual.stun
    turn = usual.turn
    if request.turn:
        host, port = split_host(request.turn, STUN_PORT)
        turn = tuple(
            TurnServer(
                host=host, port=port, transport=way, username=request.turn_user, password=request.turn_pass
            )
            for way in ("udp", "tcp")
        )
    return msgspec.structs.replace(usual, stun=stun, turn=turn)
