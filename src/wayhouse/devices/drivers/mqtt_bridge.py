"""Shows the gateway's devices to others over MQTT, as Home Assistant discovers them, and takes their commands.

Listens to the devices' events. What is on the broker is made to fit at every connection: what has changed or gone since
is announced anew or taken back. Devices that came over MQTT are not sent back there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from wayhouse.base import ids
from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events, Subscription
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.mqtt_announce import Topics, announcements, availability, gateway_sign, state
from wayhouse.devices.drivers.mqtt_connection import Message, MqttConnection
from wayhouse.devices.drivers.settings import MqttSettings
from wayhouse.devices.model import DeviceChanged, DeviceView, ReadingTaken
from wayhouse.devices.register import DeviceRegister, standard_register
from wayhouse.devices.service import Devices

log = logging.getLogger(__name__)

MAX_AT_WORK = 64
MAX_COMMAND = 64 * 1024
MAX_EVENTS = 10_000


class MqttBridge:
    """`host` is the gateway's name on the broker; the gateway gives the drivers the same."""

    def __init__(
        self,
        devices: Devices,
        events: Events,
        settings: MqttSettings,
        *,
        host: str = "localhost",
        register: DeviceRegister | None = None,
    ) -> None:
        self._devices = devices
        self._events = events
        self._settings = settings
        self._register = register or standard_register()
        self._topics = Topics(settings.prefix, settings.discovery_prefix, host)
        self._configs: dict[str, dict[str, bytes]] = {}
        self._tasks: Tasks | None = None
        self._at_work = 0
        self._line: MqttConnection | None = None

    @property
    def is_connected(self) -> bool:
        return self._line is not None and self._line.is_up

    @property
    def reason(self) -> str:
        """Why there is no connection."""
        return self._line.reason if self._line is not None else "It has not been started."

    def start(self, tasks: Tasks) -> None:
        tasks.spawn(self._run(), name="mqtt-bridge")

    async def _run(self) -> None:
        """Until it is cancelled; then the gateway says goodbye on the broker."""
        will = gateway_sign(self._topics, is_here=False)
        name = f"wayhouse-bridge-{ids.short_id()}"
        self._line = line = MqttConnection(self._settings, self, name=name, will=will)
        facts: Subscription[DeviceChanged | ReadingTaken]
        async with Tasks() as tasks:
            with self._events.subscribe(DeviceChanged, ReadingTaken, limit=MAX_EVENTS) as facts:  # type: ignore[assignment]
                self._tasks = tasks
                line.open()
                try:
                    async for fact in facts:
                        self._pass_on(fact)
                finally:
                    self._tasks = None
                    line.post(will)
                    line.close()

    def up(self) -> None:
        """The connection calls this, `down` and `heard`."""
        assert self._line is not None  # noqa: S101 - it is the line that calls
        self._line.subscribe([self._topics.configs, self._topics.birth])
        if self._settings.take_commands:
            self._line.subscribe([self._topics.commands])
        self._show_all()

    def down(self, reason: str) -> None: ...

    def heard(self, message: Message) -> None:
        """Nothing that comes can raise."""
        if message.topic == self._topics.birth:
            if message.payload == b"online" and not message.retain:
                self._show_all()
        elif message.topic.endswith("/config"):
            self._take_back_stale(message)
        elif self._settings.take_commands:
            self._take_command(message)

    def _pass_on(self, fact: DeviceChanged | ReadingTaken) -> None:
        if isinstance(fact, ReadingTaken):
            if fact.device_id in self._configs:
                self._post(state(self._topics, fact.device_id, fact.command, fact.value))
        elif fact.kind == "removed":
            self._take_back(fact.device)
        elif fact.device.driver != "mqtt":
            self._show(fact.device)

    def _show_all(self) -> None:
        self._configs.clear()
        for view in self._shown():
            self._show(view)
        self._post(gateway_sign(self._topics, is_here=True))

    def _shown(self) -> Iterator[DeviceView]:
        return (view for view in self._devices.all() if view.driver != "mqtt")

    def _show(self, view: DeviceView) -> None:
        """Its announcements if they have changed, its values if it is new here, and whether it is there."""
        before = self._configs.get(view.id)
        wanted = {one.topic: one.payload for one in self._announcements(view)}
        self._configs[view.id] = wanted
        for topic, payload in wanted.items():
            if (before or {}).get(topic) != payload:
                self._post(Message(topic, payload, retain=True, qos=1))
        for topic in (before or {}).keys() - wanted.keys():
            self._post(Message(topic, b"", retain=True, qos=1))
        self._post(availability(self._topics, view))
        for command, last in view.values.items() if before is None else ():
            self._post(state(self._topics, view.id, command, last.value))

    def _announcements(self, view: DeviceView) -> list[Message]:
        commands = self._register.new(view.config).all_commands()
        return announcements(self._topics, view, commands, is_commandable=self._settings.take_commands)

    def _take_back(self, view: DeviceView) -> None:
        kept = [*self._configs.pop(view.id, {}), self._topics.available(view.id)]
        for topic in (*kept, *(self._topics.state(view.id, command) for command in view.values)):
            self._post(Message(topic, b"", retain=True, qos=1))

    def _take_back_stale(self, message: Message) -> None:
        """What the broker has kept of devices that went while the gateway was away."""
        is_ours = any(message.topic in one for one in self._configs.values())
        if message.payload and not is_ours:
            self._post(Message(message.topic, b"", retain=True, qos=1))

    def _take_command(self, message: Message) -> None:
        meant = self._topics.meant(message.topic)
        if meant is None or self._tasks is None or not message.payload or len(message.payload) > MAX_COMMAND:
            return
        if message.retain:
            log.warning("a command that the MQTT broker had kept is not done: %s", message.topic)
            return
        if self._at_work >= MAX_AT_WORK:
            log.warning("too many commands over MQTT at once: %s is not done", message.topic)
            return
        self._at_work += 1
        work = self._do(*meant, message.payload.decode("utf-8", "replace"))
        self._tasks.spawn(work, name="mqtt-command").add_done_callback(self._done)

    def _done(self, _: asyncio.Task[None]) -> None:
        self._at_work -= 1

    async def _do(self, device_id: str, command: str, text: str) -> None:
        try:
            if self._devices.get(device_id).driver == "mqtt":
                return
            await self._devices.command_text(device_id, command, text, who="MQTT")
        except WayhouseError as error:
            log.warning(
                "the command %s of %s over MQTT was not done: %s", command[:80], device_id[:80], error
            )

    def _post(self, message: Message | None) -> None:
        if message is not None and self._line is not None:
            self._line.post(message)
