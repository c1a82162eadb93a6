"""Two `IcePath`s in processes of their own, in two hosts of a NAT lab; the test carries their candidates by hand."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgspec

from tests.parts.natlab import SERVER, SERVER_2, SERVER_6, TURN_PASSWORD, TURN_USER, NatLab
from wayhouse.overlay.model import PathPolicy, PathSettings, TurnServer

_LONG_S = 25.0


def lab_settings(
    *transports: str, policy: PathPolicy = PathPolicy.AUTO, server: str = SERVER
) -> PathSettings:
    """`transports` are of the relays: udp, tcp, tls."""
    turn = tuple(
        TurnServer(
            host=server,
            port=5349 if name == "tls" else 3478,
            transport=name,
            username=TURN_USER,
            password=TURN_PASSWORD,
        )
        for name in transports
    )
    stun = ((SERVER_6, 3478),) if server == SERVER_6 else ((SERVER, 3478), (SERVER_2, 3478))
    return PathSettings(stun=stun, turn=turn, policy=policy)


class End:
    """One end in its process, as the test sees it. Times are monotonic seconds, the same in all processes."""

    def __init__(
        self,
        lab: NatLab,
        host: str,
        settings: PathSettings,
        *,
        is_controlling: bool,
        credentials: tuple[str, str] | None = None,
        program: Sequence[str] = (),
    ) -> None:
        """`program`: another one, that speaks the same lines."""
        self.host = host
        self.heard = 0
        self.told: list[tuple[float, str]] = []
        self.endpoints: list[str] = []
        self.candidates: list[dict[str, Any]] = []
        self.gaps: list[tuple[float, float]] = []
        self.report: dict[str, Any] = {}
        self.is_gathered = False
        self.far: End | None = None
        told = json.dumps(msgspec.to_builtins(settings))
        arguments = [
            "tests.parts.path_process",
            told,
            str(int(is_controlling)),
            str(lab.authority.certificate),
            *(credentials or ()),
        ]
        self._log = (lab.folder / f"path-{host}.log").open("wb")
        self.process: subprocess.Popen[Any] = lab.python(
            host,
            "-m",
            *(program or arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._log.close()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def begin(self, far: End) -> None:
        self.far = far
        self._reader.start()

    def tell(self, **message: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def is_up(self, kind: str = "") -> bool:
        """`kind`: direct or relayed; any when empty."""
        return bool(self.told) and self.told[-1][1] != "lost" and self.told[-1][1].startswith(kind)

    def end(self) -> None:
        self.tell(close=True)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            if "candidates" in message:
                self.candidates += message["candidates"]
                self.is_gathered = message["is_last"]
                if self.far is not None and message["candidates"]:
                    self.far.tell(remote=message["candidates"])
            elif "up" in message:
                self.endpoints.append(message["endpoint"])
                self.told.append((message["at"], message["up"]))
            elif "lost" in message:
                self.told.append((message["at"], "lost"))
            elif "gap" in message:
                self.gaps.append((message["at"], message["gap"]))
            elif "heard" in message:
                self.heard += 1
            elif "report" in message:
                self.report = message["report"]


class TwoEnds:
    """A context: both ends start together; `a` is controlling."""

    def __init__(self, lab: NatLab, a: str | End, b: str | End, settings: PathSettings) -> None:
        self.started = time.monotonic()
        self.a = End(lab, a, settings, is_controlling=True) if isinstance(a, str) else a
        self.b = End(lab, b, settings, is_controlling=False) if isinstance(b, str) else b
        self.lab = lab

    def __enter__(self) -> Self:
        self.a.begin(self.b)
        self.b.begin(self.a)
        self.until(
            lambda: (
                bool(self.a.candidates or self.a.is_gathered)
                and bool(self.b.candidates or self.b.is_gathered)
            )
        )
        self.started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.a.end()
        self.b.end()

    def until(self, condition: Callable[[], bool], limit: float = _LONG_S) -> float:
        """How long it took, in seconds."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < limit, self.story()
            time.sleep(0.01)
        return time.monotonic() - begun

    def reports(self) -> tuple[dict[str, Any], dict[str, Any]]:
        for end in (self.a, self.b):
            end.report = {}
            end.tell(report=True)
        self.until(lambda: bool(self.a.report and self.b.report))
        return self.a.report, self.b.report

    def until_up(self, kind: str = "", limit: float = _LONG_S) -> float:
        return self.until(lambda: self.a.is_up(kind) and self.b.is_up(kind), limit)

    def until_lost(self, limit: float = _LONG_S) -> float:
        return self.until(
            lambda: all(end.told and end.told[-1][1] == "lost" for end in (self.a, self.b)), limit
        )

    def story(self) -> str:
        ends = (self.a, self.b)
        logs = [(self.lab.folder / f"path-{end.host}.log").read_text()[-2000:] for end in ends]
        return "\n".join(
            f"{end.host}: {[(round(at - self.started, 2), what) for at, what in end.told]} {end.endpoints}\n{log}"
            for end, log in zip(ends, logs, strict=True)
        )
