"""A real prosody on a free port, with its own configuration, data and certificate; it can be killed and started at the same port.

The configuration is the one that the guide shows (docs/guide/overlay.md, "Your own server for introductions"), read from there, with other
paths and ports, and as root.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = shutil.which("prosody", path="/usr/bin:/usr/sbin:/usr/local/bin")
CONTROL = shutil.which("prosodyctl", path="/usr/bin:/usr/sbin:/usr/local/bin")
DOMAIN = "overlay.example"
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "overlay.md"
TURN_SECRET = "a-secret-shared-with-coturn"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def guide_config() -> str:
    found = re.search(r"```lua\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, "the guide shows no configuration"
    return found[1]


def certificate(folder: Path, domain: str = DOMAIN) -> Path:
    """Self-made, as the guide says; answers the certificate's path, the key is beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650"
    names = ["-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    return folder / "cert.pem"


class Prosody:
    """`accounts` are passwords by name; the `group` are those who see each other without asking. `netns` is a network namespace."""

    def __init__(
        self,
        folder: Path,
        accounts: Mapping[str, str],
        group: Sequence[str] = (),
        *,
        address: str = "127.0.0.1",
        netns: str = "",
        changes: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.address, self.port = folder, address, free_port()
        self.direct_port = free_port()
        self.certificate = certificate(folder)
        self._prefix = ["ip", "netns", "exec", netns] if netns else []
        self._config = folder / "prosody.cfg.lua"
        self._config.write_text(self._configuration(changes or {}))
        lines = [f"{name}@{DOMAIN}={name}" for name in group]
        (folder / "groups.txt").write_text("\n".join(["[+overlay]", *lines, ""]))
        self._process: subprocess.Popen[bytes] | None = None
        for name, password in accounts.items():
            self.register(name, password)

    @property
    def pin(self) -> str:
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        return hashlib.sha256(der).hexdigest()

    def _configuration(self, changes: Mapping[str, str]) -> str:
        text = guide_config()
        folder = str(self.folder)
        everywhere = dict.fromkeys(("/etc/prosody/certs", "/etc/prosody", "/var/lib/prosody"), folder)
        everywhere |= {"/var/log/prosody": folder, '"*"': f'"{self.address}"'}
        ports = {"c2s_ports = { 5222 }": f"c2s_ports = {{ {self.port} }}"}
        ports["c2s_direct_tls_ports = { 5223 }"] = f"c2s_direct_tls_ports = {{ {self.direct_port} }}"
        secret = {"the-secret-that-coturn-has": TURN_SECRET}
        for old, new in (everywhere | ports | secret | dict(changes)).items():
            assert old in text, f"the guide's configuration has no {old}"
            text = text.replace(old, new)
        return f"run_as_root = true\n{text}"

    def register(self, name: str, password: str) -> None:
        """The guide's command."""
        assert CONTROL is not None
        command = [CONTROL, "--config", str(self._config), "register", name, DOMAIN, password]
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        assert PROGRAM is not None
        with (self.folder / "out.log").open("ab") as log:
            command = [*self._prefix, PROGRAM, "-F", "--config", str(self._config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(500):
            if self._listens():
                return
            time.sleep(0.02)
        raise AssertionError(self.log())

    def _listens(self) -> bool:
        if self._prefix:
            shown = subprocess.run([*self._prefix, "ss", "-ltnH"], capture_output=True, text=True, check=True)
            return f":{self.port} " in shown.stdout
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 0.2):
            return True
        return False

    def log(self) -> str:
        return "".join(
            path.read_text()
            for path in (self.folder / "out.log", self.folder / "prosody.log")
            if path.exists()
        )

    def kill(self) -> None:
        """Without a farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None
