"""A client and a server of the original's wire, written from its description alone: blocking sockets and stdlib json.

What Wayhouse's own machines understand is checked against these, so that both ends cannot share a mistake.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import struct
import threading
from typing import Any, Self

CHALLENGE = b"#CHALLENGE#"


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_frame(sock: socket.socket) -> bytes:
    return read_exactly(sock, struct.unpack(">I", read_exactly(sock, 4))[0])


def call(method: str, *vargs: Any, **more: Any) -> dict[str, Any]:
    return {
        "method": method,
        "resource": None,
        "params": {"vargs": list(vargs), "kwargs": {}},
        "async": False,
        **more,
    }


class OldClient:
    """Speaks raw bytes; `key` None is sent as the original sends it, as ''."""

    def __init__(self, address: Any, key: str | None = None) -> None:
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect("\0" + address[1:] if address.startswith("@") else address)
        else:
            self.sock = socket.create_connection(address)
        self.sock.settimeout(20)
        challenge = read_frame(self.sock)
        assert challenge.startswith(CHALLENGE)
        self.salt = challenge[len(CHALLENGE) :]
        self.send(hmac.new((key or "").encode(), self.salt, hashlib.md5).digest())
        self.verdict = self.receive()

    def send(self, body: bytes) -> None:
        self.sock.sendall(frame(body))

    def receive(self) -> Any:
        return json.loads(read_frame(self.sock))

    def ask(self, body: Any) -> Any:
        """Send JSON, or bytes as they are; give the answer."""
        self.send(body if isinstance(body, bytes) else json.dumps(body).encode())
        return self.receive()

    def call(self, method: str, *vargs: Any, **more: Any) -> Any:
        return self.ask(call(method, *vargs, **more))

    def is_closed(self) -> bool:
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


class OldServer:
    """One thread, one client after the other; the salt is wholly random, answers go out in two sends."""

    def __init__(self, key: str | None = None, salt: bytes | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.key = key
        self.salt = salt
        self.greetings: list[bytes] = []
        self.calls: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(10)

    def answer(self, rpc: dict[str, Any]) -> dict[str, Any]:
        vargs = rpc["params"]["vargs"]
        if rpc["method"] == "echo":
            return {"result": vargs[0]}
        if rpc["method"] == "nan":
            return {"result": float("nan")}
        if rpc["method"] == "boom":
            return {
                "exception": {
                    "type": "Timeout",
                    "message": "too slow",
                    "trace": [["f.py", 3, "boom", "raise"]],
                }
            }
        return {"exception": f"no such RPC: {rpc['method']}"}

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                try:
                    self._client(sock)
                except (EOFError, ConnectionError):
                    continue

    def _client(self, sock: socket.socket) -> None:
        salt = self.salt or os.urandom(20)
        sock.sendall(frame(CHALLENGE + salt))
        self.greetings.append(read_frame(sock))
        good = hmac.new((self.key or "").encode(), salt, hashlib.md5).digest() == self.greetings[-1]
        sock.sendall(frame(json.dumps({"authenticated": good}).encode()))
        while True:
            rpc = json.loads(read_frame(sock))
            self.calls.append(rpc)
            if rpc["method"] == "sleep":
                threading.Event().wait(rpc["params"]["vargs"][0])
                rpc = call("echo", "late")
            if not rpc["async"]:
                body = json.dumps(self.answer(rpc)).encode()
                sock.sendall(struct.pack(">I", len(body)))
                sock.sendall(body)
