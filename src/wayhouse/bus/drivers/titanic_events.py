"""Tells the key/value clone which values of `titanic.store` have expired, under `/event/titanic.store/`.

Called by `titanic_server` after the commit that removed them. Rules: it never waits, and what the clone does not take is lost, since
`changes` of `titanic.store` tells the same from disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import zmq

from wayhouse.base.codec import encode_json
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.publishing import push_socket, update_frames
from wayhouse.bus.titanic_records import WHAT, Revision

SUBTREE = "event/titanic.store"
KEPT_S = 60.0


class Announcer:
    def __init__(self, collector: str, keys: Keys = NO_KEYS) -> None:
        """Raises `EndpointError`."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._socket = push_socket(self._context, collector, keys)
        except Exception:
            self._context.term()
            raise

    def __call__(self, gone: Sequence[Revision]) -> None:
        for one in gone:
            frames = update_frames(SUBTREE, b"/".join(one.key), _body(one), KEPT_S, Form.CHP)
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(frames, zmq.NOBLOCK)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


def _body(one: Revision) -> bytes:
    service, section, key = (name.decode("utf-8", "backslashreplace") for name in one.key)
    names = {"service": service, "section": section, "key": key}
    return encode_json({**names, "what": WHAT[one.what].decode(), "revision": one.revision})
