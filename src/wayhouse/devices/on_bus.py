"""The devices on the bus: a driver's workers as handlers, and every value as a key of the clone.

The gateway makes a worker for each of `services` and hands `DeviceKeys` the way to publish. What is published, JSON:
`/device/<fullname>` the main value, `/device/<fullname>/<command>` every other live command, `/device/<fullname>/available`.
A sub-device has its own full name, so a television's loudness is at `/device/<host>.<driver>.tv.volume/level`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from wayhouse.base import codec
from wayhouse.base.events import Events, Subscription
from wayhouse.base.tasks import Tasks
from wayhouse.bus.model import Frames
from wayhouse.bus.server_face import mmi
from wayhouse.devices import names
from wayhouse.devices.model import DeviceChanged, DeviceView, ReadingTaken
from wayhouse.devices.service import Devices
from wayhouse.devices.verbs import DeviceVerbs

Handler = Callable[[Frames], Awaitable[Frames]]
Fact = ReadingTaken | DeviceChanged
MAIN = "value"
FACETS = ("devices", "mmi", "statistics")
WAITING = 10_000


class Publish(Protocol):
    """Never waits, never raises. An empty body deletes the key."""

    def __call__(self, key: str, body: bytes, ttl_s: float | None = None) -> None: ...


def services(devices: Devices, host: str, drivers: Iterable[str]) -> dict[str, Handler]:
    """What workers answer, by the name of their service: `<host>.<driver>.` with `devices`, `mmi` and `statistics`."""
    found: dict[str, Handler] = {}
    for driver in drivers:
        found[f"{host}.{driver}.devices"] = DeviceVerbs(devices, driver).answer
        found[f"{host}.{driver}.mmi"] = _mmi(devices, driver, host)
        found[f"{host}.{driver}.statistics"] = _statistics(devices, driver)
    return found


def _mmi(devices: Devices, driver: str, host: str) -> Handler:
    def topics() -> list[str]:
        return [key_of(view.fullname, MAIN) for view in devices.all(driver=driver)]

    own = [f"{host}.{driver}.{facet}" for facet in FACETS]
    return mmi(lambda: devices.is_well(driver), lambda: own, topics)


def _statistics(devices: Devices, driver: str) -> Handler:
    async def answer(body: Frames) -> Frames:
        return devices.statistics(driver).worker_statistics(body)

    return answer


class DeviceKeys:
    """Keeps the clone's keys of all devices as the devices are. `start` it once the drivers may run."""

    def __init__(self, devices: Devices, events: Events, publish: Publish) -> None:
        self._devices = devices
        self._publish = publish
        self._events = events
        self._keys: dict[str, set[str]] = {}

    def start(self, tasks: Tasks) -> None:
        """May be started again after its task has ended."""
        facts: Subscription[Fact] = self._events.subscribe(ReadingTaken, DeviceChanged, limit=WAITING)
        tasks.spawn(self._run(facts), name="device-keys")

    def publish_all(self) -> None:
        """Everything that is known, and what is no more is deleted."""
        views = self._devices.all()
        for device_id in self._keys.keys() - {view.id for view in views}:
            self._delete(device_id)
        for view in views:
            self._show(view)

    def follow(self, fact: Fact) -> None:
        """Publish what it changes."""
        if isinstance(fact, ReadingTaken):
            key = key_of(fact.fullname, fact.command)
            self._keys.setdefault(fact.device_id, set()).add(key)
            self._publish(key, codec.encode_json(fact.value))
        elif fact.kind == "removed":
            self._delete(fact.device.id)
        else:
            self._show(fact.device)

    async def _run(self, facts: Subscription[Fact]) -> None:
        with facts:
            self.publish_all()
            lost = 0
            async for fact in facts:
                if facts.lost > lost:
                    lost = facts.lost
                    self.publish_all()
                self.follow(fact)

    def _show(self, view: DeviceView) -> None:
        """Publish what is known of a device; keys that it had under another name go."""
        bodies = {f"/device/{view.fullname}/available": codec.encode_json(view.is_available)}
        for path, last in view.values.items():
            subdevice = path.rpartition(".")[0]
            key = key_of(names.fullname("", view.fullname, subdevice), path)
            bodies[key] = codec.encode_json(last.value)
        for key in self._keys.get(view.id, set()) - bodies.keys():
            self._publish(key, b"")
        self._keys[view.id] = set(bodies)
        for key, body in bodies.items():
            self._publish(key, body)

    def _delete(self, device_id: str) -> None:
        for key in self._keys.pop(device_id, ()):
            self._publish(key, b"")


def key_of(fullname: str, path: str) -> str:
    """The clone's key of a value. `path` is a command or `subdevice.command`; `fullname` is that of the (sub-)device."""
    command = path.rpartition(".")[2]
    return f"/device/{fullname}" if command == MAIN else f"/device/{fullname}/{command}"
