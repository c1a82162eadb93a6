"""The Dockerfile of a light service: text made from its language, packages and command. Pure; called by the planner.

Nothing of the specification can add an instruction: names are checked against patterns that leave no room for it and
the command is written as JSON. The text needs no more than Docker 20.10's classic builder, works on Debian and Alpine
and on a base with a bare shell, and asks the network for nothing unless there are packages or requirements to fetch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from wayhouse.base import codec
from wayhouse.chutes import names
from wayhouse.chutes.model import BadSpecError, Build, Service

BASE_IMAGES: dict[str, str] = {
    "go": "golang:1",
    "gradle": "gradle:8-jdk21",
    "maven": "maven:3-eclipse-temurin-21",
    "node": "node:24-slim",
    "python2": "python:2.7-slim",
    "python3": "python:3.13-slim",
}
"""Base image by language: official, for all architectures. `[chutes.base_images]` of the settings replaces entries;
`build.image_source` (an image's name) and `build.image_version` (its tag) of a service go before both."""

UID = 999
HOME = "/opt/paradrop/app"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a language makes an app. `install` runs with only the `manifests` copied, so that Docker keeps its result
    while they stay the same; `build` runs with everything copied, `only_with` any of the named files; `tools` are fetched if their file is there."""

    manifests: tuple[str, ...] = ()
    install: str | None = None
    build: str | None = None
    only_with: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    before_packages: str | None = None
    after_packages: str | None = None
    tools: dict[str, str] = {}


_PIP = "PIP_BREAK_SYSTEM_PACKAGES=1 {python} -m pip install --no-cache-dir --disable-pip-version-check -r requirements.txt"

_BUSTER = (
    "if [ -f /etc/apt/sources.list ] && grep -q buster /etc/apt/sources.list; then"
    " sed -i -e 's#//[a-z.]*debian.org#//archive.debian.org#' -e '/-updates/d' /etc/apt/sources.list; fi"
)
"""Debian moved the packages of the release below python2's image to its archive."""

_LOW_PORTS = 'setcap cap_net_bind_service=+ep "$(readlink -f "$(command -v node)")" 2>/dev/null || true'

RECIPES: dict[str, Recipe] = {
    "python2": Recipe(
        manifests=("requirements.txt",),
        install=_PIP.format(python="python2"),
        environment=("PYTHONUNBUFFERED=1",),
        before_packages=_BUSTER,
    ),
    "python3": Recipe(
        manifests=("requirements.txt",),
        install=_PIP.format(python="python3"),
        environment=("PYTHONUNBUFFERED=1",),
    ),
    "node": Recipe(
        manifests=("package.json", "package-lock.json"),
        install="npm install --no-audit --no-fund",
        build="npm rebuild",
        only_with=("node_modules",),
        environment=("NPM_CONFIG_LOGLEVEL=warn", "NPM_CONFIG_UPDATE_NOTIFIER=false"),
        after_packages=_LOW_PORTS,
        tools={"gulpfile.js": "npm install --global gulp-cli"},
    ),
    "go": Recipe(
        manifests=("go.mod", "go.sum"),
        install="go mod download",
        build=(
            "[ -f go.mod ] || { go mod init app && go mod tidy; }"
            " && go build -buildvcs=false -o /usr/local/bin/app ."
        ),
        environment=("GOPATH=/opt/paradrop/go",),
    ),
    "gradle": Recipe(build="gradle build --no-daemon", only_with=("build.gradle", "build.gradle.kts")),
    "maven": Recipe(
        manifests=("pom.xml",),
        install="mvn --batch-mode dependency:resolve",
        build="mvn --batch-mode package",
        only_with=("pom.xml",),
    ),
}

_USER = (
    f"mkdir -p {HOME} /home/paradrop && touch /etc/passwd /etc/group"
    f" && (grep -q '^paradrop:' /etc/group || echo 'paradrop:x:{UID}:' >> /etc/group)"
    " && (grep -q '^paradrop:' /etc/passwd"
    f" || echo 'paradrop:x:{UID}:{UID}:ParaDrop:/home/paradrop:/bin/sh' >> /etc/passwd)"
    f" && chown {UID}:{UID} {HOME} /home/paradrop && chmod 6755 {HOME}"
)
"""Written to the files themselves, since every image has them and few agree on the program for it."""

_PACKAGES = (
    "if command -v apt-get >/dev/null; then apt-get update"
    " && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {packages}"
    " && rm -rf /var/lib/apt/lists/*;"
    " elif command -v apk >/dev/null; then apk add --no-cache {packages};"
    " else echo 'The base image has no apt-get and no apk to install packages with.' >&2; exit 1; fi"
)
_STRIP = "find / -xdev -type f -perm /6000 -exec chmod a-s {} + 2>/dev/null || true"


def generate(service: Service, base_images: Mapping[str, str], present: Collection[str]) -> str:
    """The text of the Dockerfile. `present` are the names at the top of the build context.

    Raises `BadSpecError` for a language without a recipe, a base image that is none, or a missing command.
    """
    language = service.image or ""
    path = f"services.{service.name}"
    if language not in RECIPES or language not in base_images:
        raise BadSpecError(f"No Dockerfile template for {language}", path=f"{path}.image")
    if not service.command:
        raise BadSpecError(
            f"`{path}.command` is missing: a light service says what to run", path=f"{path}.command"
        )
    recipe = RECIPES[language]
    base = _base(base_images[language], service.build, path)
    lines = [
        f"FROM {base}",
        "USER 0",
        "ENTRYPOINT []",
        *(f"ENV {entry}" for entry in recipe.environment),
        f"RUN {_USER}",
        f"WORKDIR {HOME}",
        *_preparation(recipe, service.build.packages, path),
    ]
    app = _app(recipe, present)
    last = [
        *(() if service.requests.as_root else ("USER paradrop",)),
        f"CMD {command(service.command)}",
    ]
    if app[-1].startswith("COPY"):  # then what does not change stays in the build cache
        last.append(app.pop())
    return "\n".join([*lines, *app, *last]) + "\n"


def command(given: str | tuple[str, ...]) -> str:
    """The argument of CMD. Text means a shell, as Docker has it; text that is itself a JSON list means that list."""
    words = list(given) if isinstance(given, tuple) else _as_list(given) or ["/bin/sh", "-c", given]
    return codec.encode_json(words).decode()


def _as_list(text: str) -> list[str] | None:
    try:
        return msgspec.json.decode(text, type=list[str]) if text.startswith("[") else None
    except msgspec.MsgspecError:
        return None


def _base(default: str, build: Build, path: str) -> str:
    """`default` unless the service names its own image (tag `latest` unless it names that too) or tag."""
    source, version = build.image_source, build.image_version
    name = source or default.partition("@")[0]
    if version is not None:
        head, colon, tail = name.rpartition(":")
        name = f"{head if colon and '/' not in tail else name}:{version}"
    result = name if source or version else default
    if not names.is_image(result):
        raise BadSpecError(f"`{path}.build`: {result[:100]!r} is not a container image", path=f"{path}.build")
    return result


def _preparation(recipe: Recipe, packages: tuple[str, ...], path: str) -> list[str]:
    for name in packages:
        if not names.PACKAGE.fullmatch(name):
            raise BadSpecError(
                f"`{path}.build.packages`: {name[:100]!r} is not a package", path=f"{path}.build.packages"
            )
    install = _PACKAGES.format(packages=" ".join(packages))
    steps = [recipe.before_packages, install, recipe.after_packages] if packages else [recipe.after_packages]
    return [f"RUN {step}" for step in (*steps, _STRIP) if step is not None]


def _app(recipe: Recipe, present: Collection[str]) -> list[str]:
    """Copy, install and build. With a `.dockerignore` the manifests may be hidden, so all is copied first then."""
    copy_all = f"COPY --chown={UID}:{UID} . {HOME}/"
    manifests = [name for name in recipe.manifests if name in present]
    tools = [f"RUN {step}" for name, step in recipe.tools.items() if name in present]
    if not manifests or recipe.install is None or recipe.manifests[0] not in present:
        lines = [copy_all]
    elif ".dockerignore" in present:
        lines = [copy_all, f"RUN if [ -f {recipe.manifests[0]} ]; then {recipe.install}; fi"]
    else:
        copy = f"COPY --chown={UID}:{UID} {' '.join(manifests)} {HOME}/"
        lines = [copy, f"RUN {recipe.install}", copy_all]
    if recipe.build is not None and (not recipe.only_with or set(recipe.only_with) & set(present)):
        lines.append(f"RUN {recipe.build} && chown -R {UID}:{UID} {HOME}")
    return tools + lines
