"""A controller of the overlay: it decides who is linked to whom, and the link process (`wayhouse link`) does the rest.

This is the smallest one that works. It signs in to an XMPP server, and makes a link to everybody it sees there: friends in the roster, and other
devices of the same account. Peers get the addresses .101, .102 ... in the order in which they turn up; `ip4` is this node's own.

    python controller.py USER PASSWORD HOST IP4 [--port 5800]
"""

import argparse
import binascii
import json
import logging
import os
import select
import socket
import time

log = logging.getLogger("controller")

CONFIG = {
    "stun": "",  # "host:port"; without one, addresses behind a NAT stay unknown
    "turn": "",
    "turn_user": "",
    "turn_pass": "",
    "localhost": "127.0.0.1",
    "localhost6": "::1",
    "ip6_prefix": "fd50:0dbc:41f2:4a3c",
    "svpn_port": 5800,
    "uid_size": 40,
    "sec": True,
    "wait_time": 30,
    "buf_size": 4096,
    "tincan_logging": 1,
}


def gen_ip4(uid: str, peerlist: set[str], ip4: str) -> str:  # noqa: ARG001 - a cleverer one looks at it
    return ip4.rpartition(".")[0] + "." + str(101 + len(peerlist))


def gen_ip6(uid: str) -> str:
    return CONFIG["ip6_prefix"] + "".join(":" + uid[i : i + 4] for i in range(0, 16, 4))


def make_call(sock: socket.socket, **params: object) -> int:
    host = CONFIG["localhost6"] if sock.family == socket.AF_INET6 else CONFIG["localhost"]
    return sock.sendto(json.dumps(params).encode(), (host, CONFIG["svpn_port"]))


def do_set_logging(sock: socket.socket) -> int:
    return make_call(sock, m="set_logging", logging=CONFIG["tincan_logging"])


def do_set_cb_endpoint(sock: socket.socket, addr: tuple[str, int]) -> int:
    return make_call(sock, m="set_cb_endpoint", ip=addr[0], port=addr[1])


def do_set_local_ip(sock: socket.socket, uid: str, ip4: str, ip6: str) -> int:
    return make_call(sock, m="set_local_ip", uid=uid, ip4=ip4, ip6=ip6)


def do_register_service(sock: socket.socket, username: str, password: str, host: str) -> int:
    return make_call(sock, m="register_svc", username=username, password=password, host=host)


def do_create_link(sock: socket.socket, uid: str, fpr: str, overlay_id: int, sec: int, cas: str) -> int:
    return make_call(
        sock,
        m="create_link",
        uid=uid,
        fpr=fpr,
        overlay_id=overlay_id,
        stun=CONFIG["stun"],
        turn=CONFIG["turn"],
        turn_user=CONFIG["turn_user"],
        turn_pass=CONFIG["turn_pass"],
        sec=sec,
        cas=cas,
    )


def do_trim_link(sock: socket.socket, uid: str) -> int:
    return make_call(sock, m="trim_link", uid=uid)


def do_set_remote_ip(sock: socket.socket, uid: str, ip4: str, ip6: str) -> int:
    return make_call(sock, m="set_remote_ip", uid=uid, ip4=ip4, ip6=ip6)


def do_get_state(sock: socket.socket) -> int:
    return make_call(sock, m="get_state")


class UdpServer:
    def __init__(self, user: str, password: str, host: str, ip4: str) -> None:
        # this dict stores the local user state
        self.state: dict[str, str] = {}
        # this dict stores the state of each peer
        self.peers: dict[str, dict] = {}
        # this set keeps track of unique peers
        self.peerlist: set[str] = set()
        # the UDP socket for communication with the link process
        if socket.has_ipv6:
            self.sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        else:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("", 0))
        # a random 20-byte uid as a hex string
        uid = binascii.b2a_hex(os.urandom(CONFIG["uid_size"] // 2)).decode()
        # enables logging
        do_set_logging(self.sock)
        # sets the callback in order to receive event notifications
        do_set_cb_endpoint(self.sock, self.sock.getsockname())
        # configures the ipop interface and sets the uid for the XMPP network
        do_set_local_ip(self.sock, uid, ip4, gen_ip6(uid))
        # connects to the XMPP service
        do_register_service(self.sock, user, password, host)
        # requests the state, to update the local one
        do_get_state(self.sock)

    def create_connection(self, uid: str, data: str, overlay_id: int, sec: int, cas: str, ip4: str) -> None:
        # keeps track of unique peers
        self.peerlist.add(uid)
        # creates a new connection to a peer
        do_create_link(self.sock, uid, data, overlay_id, sec, cas)
        # assigns an ip address to a remote peer
        do_set_remote_ip(self.sock, uid, ip4, gen_ip6(uid))

    def trim_connections(self) -> None:
        # called about every 30 seconds; deletes offline connections, since a new one to a
        # peer is not made while the old one is still around
        for uid, peer in self.peers.items():
            is_offline = "fpr" in peer and peer["status"] == "offline"
            if is_offline and peer["last_time"] > CONFIG["wait_time"] * 2:
                do_trim_link(self.sock, uid)

    def serve(self) -> None:
        # waits for incoming messages
        socks = select.select([self.sock], [], [], CONFIG["wait_time"])
        for sock in socks[0]:
            data, addr = sock.recvfrom(CONFIG["buf_size"])
            if data[:1] == b"{":
                # transforms the input to python objects
                msg = json.loads(data)
                log.debug("recv %s %s", addr, data)
                # gets the message type from the object
                msg_type = msg.get("type", None)
                # this is the local state object, so we save it
                if msg_type == "local_state":
                    self.state = msg
                # this is a peer state object, so we save it too
                elif msg_type == "peer_state":
                    self.peers[msg["uid"]] = msg
                # we only show connection status notifications
                elif msg_type == "con_stat":
                    log.info("%s is %s", msg["uid"], msg["data"])
                # we create a connection if we see these types of messages
                elif msg_type in ("con_req", "con_resp"):
                    fpr_len = len(self.state["_fpr"])
                    fpr = msg["data"][:fpr_len]
                    cas = msg["data"][fpr_len + 1 :]
                    # gets an IP address for the new connection
                    ip4 = gen_ip4(msg["uid"], self.peerlist, self.state["_ip4"])
                    # creates a connection from the con_req/con_resp
                    self.create_connection(msg["uid"], fpr, 1, CONFIG["sec"], cas, ip4)
                elif "error" in msg:
                    log.warning("refused: %s", msg["error"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Links this node to everybody who is seen under an XMPP account."
    )
    parser.add_argument("user", help="the account, as name@server")
    parser.add_argument("password")
    parser.add_argument("host", help="where the XMPP server is")
    parser.add_argument("ip4", help="this node's own address, for example 172.31.0.100")
    parser.add_argument(
        "--port", type=int, default=CONFIG["svpn_port"], help="of the link process (%(default)s)"
    )
    parser.add_argument("--stun", default="", help="host:port")
    parser.add_argument("--turn", default="", help="host:port")
    parser.add_argument("--turn-user", default="")
    parser.add_argument("--turn-pass", default="")
    parser.add_argument(
        "--wait", type=float, default=CONFIG["wait_time"], help="seconds between two looks (%(default)s)"
    )
    parser.add_argument("--debug", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.INFO)
    CONFIG.update(svpn_port=args.port, stun=args.stun, turn=args.turn, wait_time=args.wait)
    CONFIG.update(turn_user=args.turn_user, turn_pass=args.turn_pass)
    server = UdpServer(args.user, args.password, args.host, args.ip4)
    last_time = 0.0
    while True:
        server.serve()
        now = time.monotonic()
        if now - last_time > CONFIG["wait_time"]:
            server.trim_connections()
            do_get_state(server.sock)
            last_time = now


if __name__ == "__main__":
    main()
