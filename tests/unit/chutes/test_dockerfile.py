"""Dockerfiles of light services: what each language gets, and that nothing can be smuggled in."""

import json
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.chutes.dockerfile import BASE_IMAGES, command, generate
from wayhouse.chutes.model import BadSpecError, Build, Requests, Service

Words = str | tuple[str, ...]


def service(language: str = "python3", given: Words = "python3 main.py", **more: object) -> Service:
    return Service(name="main", type="light", image=language, command=given, **more)  # type: ignore[arg-type]


def made(one: Service, *present: str) -> list[str]:
    return generate(one, BASE_IMAGES, present).splitlines()


@pytest.mark.parametrize("language", sorted(BASE_IMAGES))
def test_every_language(language: str) -> None:
    lines = made(service(language))
    assert lines[0] == f"FROM {BASE_IMAGES[language]}"
    assert "WORKDIR /opt/paradrop/app" in lines
    user, command = lines.index("USER paradrop"), lines.index('CMD ["/bin/sh","-c","python3 main.py"]')
    assert not any(line.startswith("RUN") for line in lines[user:])
    assert command == user + 1
    assert all(re.match(r"(FROM|USER|ENTRYPOINT|ENV|RUN|WORKDIR|COPY|CMD) ", line) for line in lines)


def test_nothing_needs_the_network_without_requirements() -> None:
    for language in ("python2", "python3", "node", "gradle", "maven"):
        text = "\n".join(made(service(language), "main.py"))
        assert not re.search(r"apt-get|apk|pip install|npm install|gradle build|mvn", text)


def test_unknown_languages() -> None:
    with pytest.raises(BadSpecError, match="No Dockerfile template for python2-cv") as caught:
        made(service("python2-cv"))
    assert caught.value.fields["path"] == "services.main.image"
    with pytest.raises(BadSpecError):
        generate(service(), {}, ())


def test_requirements_come_before_the_rest() -> None:
    lines = made(service(), "main.py", "requirements.txt")
    at = lines.index("COPY --chown=999:999 requirements.txt /opt/paradrop/app/")
    assert "python3 -m pip install --no-cache-dir" in lines[at + 1]
    assert (
        lines[-1] == "COPY --chown=999:999 . /opt/paradrop/app/"
    )  # so a new version rebuilds this layer alone


def test_node_with_a_lock_file() -> None:
    lines = made(service("node"), "package.json", "package-lock.json")
    assert "COPY --chown=999:999 package.json package-lock.json /opt/paradrop/app/" in lines
    assert "RUN npm install --no-audit --no-fund" in lines


def test_node_with_gulp_and_its_modules_in_the_bundle() -> None:
    lines = made(service("node"), "package.json", "gulpfile.js", "node_modules")
    assert lines.index("RUN npm install --global gulp-cli") < lines.index(
        "RUN npm install --no-audit --no-fund"
    )
    assert any(line.startswith("RUN npm rebuild") for line in lines)


def test_a_dockerignore_cannot_hide_what_is_copied_by_name() -> None:
    lines = made(service(), "requirements.txt", ".dockerignore")
    assert not any(line.startswith("COPY") and "requirements" in line for line in lines)
    assert any(
        line.startswith("RUN if [ -f requirements.txt ]; then python3") or "pip" in line for line in lines
    )


def test_compiled_languages() -> None:
    assert any("go build -buildvcs=false -o /usr/local/bin/app" in line for line in made(service("go")))
    assert "RUN go mod download" in made(service("go"), "go.mod", "go.sum")
    assert "RUN go mod download" not in made(service("go"), "go.sum")
    assert any("gradle build --no-daemon" in line for line in made(service("gradle"), "build.gradle"))
    maven = made(service("maven"), "pom.xml")
    assert "RUN mvn --batch-mode dependency:resolve" in maven
    assert any("mvn --batch-mode package" in line for line in maven)


def test_packages() -> None:
    lines = made(service(build=Build(packages=("iptables", "g++"))))
    (install,) = [line for line in lines if "apt-get install" in line]
    assert "--no-install-recommends iptables g++ &&" in install
    assert "apk add --no-cache iptables g++;" in install
    strip = next(index for index, line in enumerate(lines) if "chmod a-s" in line)
    assert lines.index(install) < strip


def test_as_root() -> None:
    lines = made(service(requests=Requests(as_root=True)))
    assert "USER paradrop" not in lines


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (Build(), "python:3.13-slim"),
        (Build(image_version="3.9"), "python:3.9"),
        (Build(image_source="ghcr.io/me/base"), "ghcr.io/me/base"),
        (Build(image_source="ghcr.io/me/base", image_version="2"), "ghcr.io/me/base:2"),
        (Build(image_source="localhost:5000/base", image_version="2"), "localhost:5000/base:2"),
        (Build(image_source="localhost:5000/base:1", image_version="2"), "localhost:5000/base:2"),
    ],
)
def test_other_base_images(build: Build, wanted: str) -> None:
    assert made(service(build=build))[0] == f"FROM {wanted}"


def test_pinned_base_images() -> None:
    pinned = f"python@sha256:{'0' * 64}"
    assert generate(service(), {"python3": pinned}, ()).startswith(f"FROM {pinned}\n")
    with pytest.raises(BadSpecError):
        generate(service(), {"python3": "x\nRUN evil"}, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("npm start", ["/bin/sh", "-c", "npm start"]),
        (("node", "a b"), ["node", "a b"]),
        ('["node", "x"]', ["node", "x"]),
        ("[ -f x ] && y", ["/bin/sh", "-c", "[ -f x ] && y"]),
        ("a\nRUN evil \\", ["/bin/sh", "-c", "a\nRUN evil \\"]),
        ("[]", ["/bin/sh", "-c", "[]"]),
    ],
)
def test_commands(text: Words, words: list[str]) -> None:
    assert json.loads(command(text)) == words


def test_a_missing_command_and_bad_packages() -> None:
    for bad in (
        service(given=""),
        service(build=Build(packages=("a b",))),
        service(build=Build(packages=("a\nRUN x",))),
        service(build=Build(image_source="x\nRUN evil")),
        service(build=Build(image_version="1 AS x")),
    ):
        with pytest.raises(BadSpecError):
            made(bad)


@given(
    st.one_of(st.text(min_size=1), st.lists(st.text(), min_size=1).map(tuple)),
    st.lists(st.text(max_size=8), max_size=2).map(tuple),
    st.one_of(st.none(), st.text(max_size=8)),
)
@settings(max_examples=200, deadline=None)
def test_nothing_can_add_an_instruction(given: Words, packages: tuple[str, ...], image: str | None) -> None:
    try:
        text = generate(
            service(given=given, build=Build(packages=packages, image_source=image)), BASE_IMAGES, ()
        )
    except (BadSpecError, UnicodeEncodeError):
        return
    plain = generate(service(build=Build(packages=("p",) if packages else ())), BASE_IMAGES, ())
    assert text.count("\n") == plain.count("\n")
    (command,) = [line for line in text.split("\n") if line.startswith("CMD ")]
    assert json.loads(command.removeprefix("CMD "))


@pytest.mark.external
def test_docker_builds_and_runs_it_on_a_bare_base(tmp_path: Path) -> None:
    """A base of busybox alone: no package manager, no user tools, no network."""
    busybox = shutil.which("busybox")
    if busybox is None or shutil.which("docker") is None:
        pytest.skip("needs docker and a static busybox")
    if subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("needs a running Docker engine at its usual place")
    run = uuid.uuid4().hex[:8]
    base, app = f"wh-test-base-{run}", f"wh-test-app-{run}"
    (tmp_path / "base").mkdir()
    shutil.copy(busybox, tmp_path / "base" / "busybox")
    (tmp_path / "base" / "Dockerfile").write_text(
        'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nENV PATH=/bin\n'
    )
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "hello").write_text("hi")
    words = 'id -un; cat hello; touch mine && stat -c "%u %a" . hello'
    text = generate(service(given=words), {"python3": base}, ["hello"])
    try:
        docker("build", "-q", "-t", base, str(tmp_path / "base"))
        (tmp_path / "app" / "Dockerfile").write_text(text)
        docker("build", "-q", "--network=none", "-t", app, str(tmp_path / "app"))
        assert docker("run", "--rm", app).split("\n") == ["paradrop", "hi999 6755", "999 644", ""]
    finally:
        subprocess.run(["docker", "image", "rm", "-f", app, base], check=False, capture_output=True)


def docker(*arguments: str) -> str:
    """The classic builder, as in Docker 20.10."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        ["docker", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout
