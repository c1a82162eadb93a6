"""From the POST of an archive to the app's answer, against plain `docker build && docker run` of the same files; and how
long an app is out of service during an update and during one that fails."""

from __future__ import annotations

import io
import itertools
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from bench.gateways import running
from bench.load import until_200
from bench.table import Table, median
from tests.parts.docker import base_archive
from tests.parts.gateway import GatewayProcess, free_port, web_app

ROUNDS = 5
BASE_IMAGE = "wayhouse-bench-python"
PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run() -> Table:
    table = Table(
        "Install and update",
        f"An app of one file on Python. {ROUNDS} interleaved rounds, medians. Plain Docker is `docker build` and `docker run` of the "
        "same Dockerfile, until the published port answers. Every round has new content; the layers before it are in the build cache for both.",
        ("what", "seconds"),
    )
    subprocess.run(
        ["docker", "import", "--change", PATH, str(base_archive()), BASE_IMAGE],
        check=True,
        capture_output=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "wayhouse.toml"
        config.write_text(f'[chutes.base_images]\npython3 = "{BASE_IMAGE}"\n')
        with running(Path(folder), engine="docker", options=["--config", str(config)]) as gateway:
            gateway.change("POST", "/api/v1/chutes/", web_app("keeper"))  # keeps the common layers for both
            ours, plain = [], []
            for number in range(ROUNDS):
                ours.append(_install(gateway, number))
                plain.append(_plain(number))
            tags = [
                f"bench-plain:{number}" for number in range(ROUNDS)
            ]  # kept so far, so that the layers stay cached
            subprocess.run(["docker", "rmi", "-f", *tags], check=True, capture_output=True)
            gaps = _gaps(gateway)
            gateway.remove_all()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as gateway:
        sandbox = [_install(gateway, number) for number in range(ROUNDS)]
        sandbox_gaps = _gaps(gateway)
        gateway.remove_all()
    table.add("install, docker engine", f"{median(ours):.2f}")
    table.add("plain `docker build` + `docker run`", f"{median(plain):.2f}")
    table.add("install, sandbox engine", f"{median(sandbox):.2f}")
    for engine, (good, bad) in (("docker", gaps), ("sandbox", sandbox_gaps)):
        table.add(f"out of service during an update, {engine}", f"{good:.2f}")
        table.add(f"out of service during an update that fails at start, {engine}", f"{bad:.2f}")
    over = (median(ours) - median(plain)) * 1000
    table.goal(f"under 300 ms more than plain Docker ({over:+.0f} ms)", met=over < 300)
    return table


def _install(gateway: GatewayProcess, number: int) -> float:
    name = "bench"
    if gateway.request("GET", f"/api/v1/chutes/{name}")[0] == 200:
        gateway.change("DELETE", f"/api/v1/chutes/{name}")
    begun = time.perf_counter()
    status, answer = gateway.request(
        "POST", "/api/v1/chutes/", web_app(name, answer=f"round {number} {begun}")
    )
    assert status == 200, answer
    while True:
        status, chute = gateway.request("GET", f"/api/v1/chutes/{name}")
        if status == 200:
            break
        time.sleep(0.005)
    until_200(f"http://127.0.0.1:{chute['web']['host_port']}/")
    took = time.perf_counter() - begun
    assert gateway.wait_change(answer["change_id"])["state"] == "succeeded"
    return took


def _plain(number: int) -> float:
    """The Dockerfile that the gateway generated for the same bundle, by hand."""
    from wayhouse.chutes import spec
    from wayhouse.chutes.dockerfile import BASE_IMAGES, generate

    with tempfile.TemporaryDirectory() as folder:
        content = web_app("plain", answer=f"plain {number} {time.perf_counter()}")
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
        wanted = spec.parse((Path(folder) / "paradrop.yaml").read_bytes())
        text = generate(
            wanted.services["main"], {**BASE_IMAGES, "python3": BASE_IMAGE}, {"main.py", "paradrop.yaml"}
        )
        (Path(folder) / "Dockerfile").write_text(text)
        port = free_port()
        begun = time.perf_counter()
        subprocess.run(
            ["docker", "build", "-q", "-t", f"bench-plain:{number}", folder], check=True, capture_output=True
        )
        subprocess.run(
            ["docker", "run", "-d", "--init", "--name", "bench-plain", "-p", f"{port}:8000", f"bench-plain:{number}"],
            check=True, capture_output=True,
        )  # fmt: skip
        until_200(f"http://127.0.0.1:{port}/")
        took = time.perf_counter() - begun
        subprocess.run(["docker", "rm", "-f", "bench-plain"], check=True, capture_output=True)
    return took


def _gaps(gateway: GatewayProcess) -> tuple[float, float]:
    good = median([_gap(gateway, web_app("bench", version=n + 2, answer=f"{n}")) for n in range(3)])
    bad = median([_gap(gateway, web_app("bench", version=9, code="raise SystemExit(1)")) for _ in range(3)])
    return good, bad


def _gap(gateway: GatewayProcess, archive: bytes) -> float:
    """The longest time between two good answers while `archive` is installed over the running version."""
    port = gateway.request("GET", "/api/v1/chutes/bench")[1]["web"]["host_port"]
    times: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                    times.append(time.perf_counter())
            except OSError:
                pass
            time.sleep(0.003)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.2)
    gateway.change("PUT", "/api/v1/chutes/bench", archive)
    time.sleep(1.0)
    over.set()
    asking.join()
    return max(b - a for a, b in itertools.pairwise(times))
