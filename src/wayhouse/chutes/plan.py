"""From what is installed and what shall be, to tasks: pure. The order of the tasks is the whole safety of a change.

New images and containers are made beside the running ones; the old containers are set aside, not removed, until the
new ones have proved themselves; only after `Save` is anything thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from wayhouse.chutes.containers import OLD
from wayhouse.chutes.health import Check
from wayhouse.chutes.model import Chute, Desired, container_name
from wayhouse.chutes.ports import BuildRequest, ContainerSpec
from wayhouse.chutes.tasks import (
    BuildImage,
    CheckHealth,
    CreateContainers,
    DropContainers,
    DropFiles,
    DropImages,
    DropNetwork,
    KeepSource,
    MakeDirectories,
    MakeNetwork,
    NameImages,
    PullImage,
    Save,
    SetAside,
    StartContainers,
    StopContainers,
)
from wayhouse.ledger.task import Task


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment needs before containers can be made: builds by service, images to pull (anew, to `refresh` them),
    a bundle to keep."""

    builds: Mapping[str, BuildRequest] = {}
    pulls: Sequence[str] = ()
    refresh: bool = False
    bundle: str | None = None


def deploy(
    before: Chute | None,
    after: Chute,
    containers: Sequence[ContainerSpec],
    supply: Supply,
    *,
    running: frozenset[str],
    has_directories: bool,
) -> list[Task]:
    """Install, update, start or restart: put `containers` in the place of those of `before`.

    `running` names the containers that run now, which is what an undo must bring back.
    """
    names = tuple(spec.name for spec in containers)
    old = container_names(before)
    kept = {*images_of(after), *aliases(after, supply.builds).values()}
    gone = tuple(image for image in _with_aliases(before, images_of(after)) if image not in kept)
    tasks: list[Task] = []
    if supply.bundle is not None and after.source is not None:
        tasks.append(KeepSource(bundle=supply.bundle, source=after.source))
    tasks.append(MakeDirectories(chute=after.name, is_new=not has_directories))
    tasks.extend(BuildImage(service=name, request=request) for name, request in supply.builds.items())
    tasks.extend(PullImage(image=image, refresh=supply.refresh) for image in supply.pulls)
    tasks.extend(
        (
            MakeNetwork(chute=after.name, is_new=before is None),
            CreateContainers(containers=tuple(containers)),
            SetAside(containers=old, running=tuple(name for name in old if name in running)),
            StartContainers(containers=names, change_id=after.change_id),
            CheckHealth(checks=tuple(checks(after))),
            Save(chute=after.name, before=before, after=after),
            NameImages(names=aliases(after, supply.builds)),
            DropContainers(containers=tuple(name + OLD for name in old)),
            DropImages(images=gone),
            DropFiles(chute=after.name, keep=after.source),
        )
    )
    return tasks


def stop(chute: Chute, *, running: frozenset[str]) -> list[Task]:
    names = container_names(chute)
    stopped = msgspec.structs.replace(chute, desired=Desired.STOPPED)
    return [
        StopContainers(containers=names, running=tuple(name for name in names if name in running)),
        Save(chute=chute.name, before=chute, after=stopped),
    ]


def delete(chute: Chute, *, running: frozenset[str]) -> list[Task]:
    names = container_names(chute)
    return [
        StopContainers(containers=names, running=tuple(name for name in names if name in running)),
        Save(chute=chute.name, before=chute, after=None),
        DropContainers(containers=names, show_logs=True),
        DropNetwork(chute=chute.name),
        DropImages(images=_with_aliases(chute, ())),
        DropFiles(chute=chute.name, everything=True),
    ]


def container_names(chute: Chute | None) -> tuple[str, ...]:
    if chute is None:
        return ()
    return tuple(container_name(chute.name, service) for service in chute.spec.services)


def images_of(chute: Chute | None) -> tuple[str, ...]:
    """The images that were built for `chute`; pulled ones belong to nobody."""
    if chute is None:
        return ()
    services = chute.spec.services
    return tuple(image for name, image in chute.images.items() if services[name].type != "image")


def image_tag(chute: str, service: str, change_id: int) -> str:
    """Unique for every build, so that an undo finds the old image untouched. Docker wants lower case."""
    return f"{chute}-{service}:c{change_id}".lower()


def aliases(chute: Chute, built: Iterable[str]) -> dict[str, str]:
    """`<chute>-<service>:<version>`, as ParaDrop names its images."""
    version = (
        re.sub(r"[^A-Za-z0-9_.-]", "_", str(chute.spec.version or "latest")).lstrip(".-")[:120] or "latest"
    )
    return {chute.images[name]: f"{chute.name}-{name}:{version}".lower() for name in built}


def tags_of(chute: Chute) -> frozenset[str]:
    """All names of the images that were built for `chute`."""
    return frozenset(_with_aliases(chute, ()))


def _with_aliases(chute: Chute | None, kept: Sequence[str]) -> tuple[str, ...]:
    """The images of `chute` that are not `kept`, each after its second name, which would keep it on the disk."""
    if chute is None:
        return ()
    built = [name for name, image in chute.images.items() if image in images_of(chute) and image not in kept]
    names = aliases(chute, built)
    return tuple(one for image in (chute.images[name] for name in built) for one in (names[image], image))


def checks(chute: Chute) -> list[Check]:
    found = []
    for name, service in chute.spec.services.items():
        is_host = service.requests.network_mode == "host"
        ports = {
            int(kind.partition("/")[0]): host
            for kind, host in chute.ports.get(name, {}).items()
            if kind.endswith("/tcp")
        }
        web = chute.spec.web.port if chute.spec.web and chute.spec.web.service == name else None
        found.append(
            Check(
                service=name,
                container=container_name(chute.name, name),
                health=service.health,
                ports={} if is_host else ports,
                web=web,
            )
        )
    return found
