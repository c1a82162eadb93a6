"""Peers of the benchmark of many: `python -m bench.peers.bus_scale workers <endpoint> <count>` | `subscribers <endpoint> <count>`.

Workers register a service each and stay. Subscribers read a number a line and print the seconds from the first to the last update, once each
of them has got that many.
"""

from __future__ import annotations

import sys
import time

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import AnySocket, drain, send
from wayhouse.bus.kvmsg import HUGZ


def workers(endpoint: str, count: int) -> None:
    context: zmq.Context[AnySocket] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 2 * count)
    sockets = []
    for number in range(count):
        socket = context.socket(zmq.DEALER)
        socket.connect(endpoint)
        send(socket, mdp.build_ready(b"many.%d" % number))
        sockets.append(socket)
    print("ready", flush=True)
    while True:
        time.sleep(1.0)
        for socket in sockets:
            send(socket, mdp.build_heartbeat())
            for _ in drain(socket):
                pass


def subscribers(endpoint: str, count: int) -> None:
    context: zmq.Context[AnySocket] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 2 * count)
    poller, seen = zmq.Poller(), dict[AnySocket, int]()
    for _ in range(count):
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.SUBSCRIBE, b"/many/")
        socket.connect(endpoint)
        poller.register(socket, zmq.POLLIN)
        seen[socket] = 0
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = int(line)
        seen = dict.fromkeys(seen, 0)
        begun, left = 0.0, count
        while left:
            for socket, _ in poller.poll():
                begun = begun or time.perf_counter()
                for frames in drain(socket):
                    if not frames[0].startswith(HUGZ):
                        seen[socket] += 1
                        left -= seen[socket] == wanted
        print(time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    {"workers": workers, "subscribers": subscribers}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
