"""A page that says hello and counts its visits. Needs only Python 3 and what every app is given by the gateway."""

import html
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = os.environ.get("PARADROP_CHUTE_NAME", "hello")
VERSION = os.environ.get("PARADROP_CHUTE_VERSION", "unknown")
COUNT_FILE = Path(os.environ.get("PARADROP_DATA_DIR", ".")) / "visits.txt"
PORT = int(os.environ.get("PORT", "8000"))

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
  body {{ font: 1.2rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1rem; }}
  h1 {{ font-size: 2.2rem; margin: 0; }}
  p.small {{ color: #667; font-size: 0.9rem; }}
</style>
<h1>Hello!</h1>
<p>This page comes from the app <b>{name}</b> on your own gateway.</p>
<p>You are visit number <b id="visits">{visits}</b>.</p>
<p class="small">Version {version}. The count survives restarts and updates.</p>
</html>
"""


class Visits:
    """The number of visits, kept in a file that is replaced as a whole, so that a power cut leaves the old one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self) -> int:
        with self._lock:
            count = self._read() + 1
            new = self._path.with_suffix(".new")
            new.write_text(str(count), encoding="ascii")
            new.replace(self._path)
        return count

    def _read(self) -> int:
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0


visits = Visits(COUNT_FILE)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, "text/plain", "ok\n")
        elif self.path.partition("?")[0] == "/":
            page = PAGE.format(name=html.escape(NAME), version=html.escape(VERSION), visits=visits.add())
            self._answer(200, "text/html", page)
        else:
            self._answer(404, "text/plain", "There is nothing here.\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        print(f"{self.address_string()} {format % args}", flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    server = Server(("", PORT), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"{NAME} {VERSION} listens on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
