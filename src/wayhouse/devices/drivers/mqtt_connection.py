"""One connection to an MQTT broker, in a thread of its own, which alone touches the library's client.

The thread waits with poll (the library's own loop cannot see descriptors above 1023), connects anew with growing pauses,
and hands what it hears to the event loop in batches. Each connection is a clean session: nothing that was to be sent
before is sent after, since a command that comes late may be worse than one that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from wayhouse.base.errors import WayhouseError
from wayhouse.devices.drivers.secret_file import read_secret
from wayhouse.devices.drivers.settings import MqttSettings
from wayhouse.devices.model import DeviceGoneError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
CONNECT_LIMIT_S = 10.0
ANSWER_LIMIT_S = 5.0
MAX_PAYLOAD = 256 * 1024
MAX_INBOX = 10_000
MAX_OUTBOX = 20_000


class Message(msgspec.Struct, frozen=True):
    """`retain`: of one that is sent, that the broker keeps it; of one that came, that the broker had kept it."""

    topic: str
    payload: bytes = b""
    retain: bool = False
    qos: int = 0


class Ear(Protocol):
    """Called on the event loop."""

    def up(self) -> None: ...

    def down(self, reason: str) -> None: ...

    def heard(self, message: Message) -> None: ...


Work = Callable[["Client"], None]


class MqttConnection:
    """`name` goes into the client id. `will` is what the broker says when this connection is lost."""

    def __init__(self, settings: MqttSettings, ear: Ear, *, name: str, will: Message | None = None) -> None:
        self.is_up = False
        self.reason = "It has not been connected yet."
        self._settings = settings
        self._ear = ear
        self._name = name
        self._will = will
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._inbox: deque[Message] = deque(maxlen=MAX_INBOX)
        self._outbox: deque[tuple[Work, asyncio.Future[None] | None]] = deque()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._is_told = False
        self._wake = -1
        self._wake_lock = threading.Lock()
        self._is_connected = False
        self._refusal = ""

    @property
    def where(self) -> str:
        return f"{self._settings.host}:{self._settings.effective_port}"

    def open(self) -> None:
        """Begin to connect, and go on until `close`. Does nothing the second time."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._thread = threading.Thread(target=self._run, name=f"mqtt-{self._name}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """What was posted before is sent first. Does not wait for a broker that does not answer."""
        self._stopping.set()
        self._ring()

    async def closed(self) -> None:
        """Close, and wait for the thread's end."""
        self.close()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CONNECT_LIMIT_S)

    def post(self, message: Message) -> None:
        """Send it if there is a connection; do not wait."""
        self._put(lambda client: self._publish(client, message, None), None)

    async def publish(self, message: Message) -> None:
        """Send it, and wait until the broker has it (with QoS 1). Raises `DeviceGoneError`."""
        if not self.is_up:
            raise DeviceGoneError(f"There is no connection to the MQTT broker {self.where}: {self.reason}")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(lambda client: self._publish(client, message, answer), answer)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await answer
        except TimeoutError as error:
            raise DeviceGoneError(f"The MQTT broker {self.where} did not take the message.") from error

    def subscribe(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._put(lambda client, topic=topic: client.subscribe(topic, 1) and None, None)  # type: ignore[misc]

    def unsubscribe(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._put(lambda client, topic=topic: client.unsubscribe(topic) and None, None)  # type: ignore[misc]

    def _put(self, work: Work, answer: asyncio.Future[None] | None) -> None:
        if not self.is_up:
            _settle(answer, DeviceGoneError(f"There is no connection to the MQTT broker {self.where}."))
            return
        if len(self._outbox) >= MAX_OUTBOX:
            _settle(answer, DeviceGoneError("Too much waits to be sent to the MQTT broker."))
            return
        self._outbox.append((work, answer))
        self._ring()

    def _ring(self) -> None:
        with self._wake_lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    # What follows runs in the thread.

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._stopping.is_set():
            reason = self._connect_once()
            wait = FIRST_WAIT_S if self._is_connected else min(wait * 2, LONGEST_WAIT_S)
            self._drop(reason)
            self._tell(self._went_down, reason)
            self._stopping.wait(wait)
        with self._wake_lock:
            os.close(self._wake)
            self._wake = -1

    def _connect_once(self) -> str:
        """One connection from its beginning to its end. Answers why it ended."""
        self._drop("It was lost.")
        self._refusal, self._is_connected = "", False
        try:
            client = self._client()
            client.connect(
                self._settings.host,
                self._settings.effective_port,
                self._settings.keepalive_s,
                **self._start_options(),
            )
            return self._serve(client)
        except ssl.SSLCertVerificationError as error:
            return f"Its certificate is not trusted: {error.verify_message}."
        except OSError as error:
            return f"It cannot be reached: {error.strerror or error}."
        except WayhouseError as error:
            return error.message
        except Exception as error:  # the border to the library: a broken packet must not end the thread
            log.exception("the connection to the MQTT broker %s failed", self.where)
            return f"The connection failed: {type(error).__name__}."

    def _client(self) -> Client:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{settings.client_id}-{self._name}" if settings.client_id else self._name,
            protocol=paho.MQTTv5 if settings.version == "5" else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        if settings.username:
            client.username_pw_set(settings.username, read_secret(settings.password_file))
        if settings.tls:
            context = ssl.create_default_context(cafile=settings.ca_file)
            if settings.certificate_file:
                context.load_cert_chain(settings.certificate_file, settings.key_file)
            client.tls_set_context(context)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, 1, self._will.retain)
        return client

    def _start_options(self) -> dict[str, Any]:
        if self._settings.version != "5":
            return {}
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PAYLOAD + 4096
        return {"clean_start": True, "properties": properties}

    def _serve(self, client: Client) -> str:
        started = time.monotonic()
        while not self._stopping.is_set():
            if client.socket() is None:
                return self._refusal or "The broker ended the connection."
            if not self._is_connected and time.monotonic() - started > CONNECT_LIMIT_S:
                return "The broker does not speak MQTT, or is too slow."
            if self._is_connected:
                self._work_off(client)
            if not self._turn(client):
                return self._refusal or "The connection was lost."
        self._say_goodbye(client)
        return "The gateway has closed the connection."

    def _turn(self, client: Client) -> bool:
        """Wait for something to do, a second at most, and do it. False: the connection is at its end."""
        sock: Any = client.socket()
        if sock is None:
            return False
        pending = getattr(sock, "pending", lambda: 0)()
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        poller.register(self._wake, select.POLLIN)
        ready = dict(poller.poll(0 if pending else 1000))
        if self._wake in ready:
            os.eventfd_read(self._wake)
        is_well = True
        if pending or ready.get(sock.fileno(), 0) & ~select.POLLOUT:
            is_well = client.loop_read() == 0
        if is_well and client.socket() is not None and client.want_write():
            is_well = client.loop_write() == 0
        return is_well and client.loop_misc() == 0

    def _work_off(self, client: Client) -> None:
        while self._outbox:
            work, _ = self._outbox.popleft()
            work(client)

    def _say_goodbye(self, client: Client) -> None:
        if self._is_connected:
            self._work_off(client)
        client.disconnect()
        deadline = time.monotonic() + FIRST_WAIT_S
        while client.socket() is not None and client.want_write() and time.monotonic() < deadline:
            self._turn(client)
        client.loop_write()

    def _drop(self, reason: str) -> None:
        """What waits to be sent, or for an answer, belongs to the connection that is gone."""
        answers = list(self._answers.values())
        self._answers.clear()
        while self._outbox:
            answers += [one for one in (self._outbox.popleft()[1],) if one is not None]
        for answer in answers:
            self._tell(
                _settle, answer, DeviceGoneError(f"There is no connection to the MQTT broker: {reason}")
            )

    def _publish(self, client: Client, message: Message, answer: asyncio.Future[None] | None) -> None:
        sent = client.publish(message.topic, message.payload, message.qos, message.retain)
        if answer is None:
            return
        if sent.rc == 0 and message.qos:
            self._answers[sent.mid] = answer
            return
        failure = None if sent.rc == 0 else DeviceGoneError("The message could not be sent.")
        self._tell(_settle, answer, failure)

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"The broker refuses the connection: {reason}."
            return
        self._is_connected = True
        self._tell(self._came_up)

    def _on_message(self, _client: Client, _data: Any, message: Any) -> None:
        if len(message.payload) > MAX_PAYLOAD:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._inbox.append(Message(topic, bytes(message.payload), bool(message.retain), message.qos))
        if not self._is_told:
            self._is_told = True
            self._tell(self._hand_over)

    def _on_publish(self, _client: Client, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        answer = self._answers.pop(mid, None)
        if answer is not None:
            refused = getattr(reason, "is_failure", False)
            self._tell(
                _settle, answer, DeviceGoneError(f"The broker refused it: {reason}.") if refused else None
            )

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(one.is_failure for one in reasons):
            log.warning("the MQTT broker %s refuses to let us read one of our topics", self.where)

    def _tell(self, work: Callable[..., None], *arguments: Any) -> None:
        """On the event loop; nothing if that has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(work, *arguments)

    # What follows runs on the event loop again.

    def _came_up(self) -> None:
        log.info("connected to the MQTT broker %s", self.where)
        self.is_up, self.reason = True, ""
        self._ear.up()

    def _went_down(self, reason: str) -> None:
        if self.is_up or self.reason != reason:
            log.log(
                logging.INFO if self._stopping.is_set() else logging.WARNING,
                "MQTT broker %s: %s",
                self.where,
                reason,
            )
        self.is_up, self.reason = False, reason
        self._ear.down(reason)

    def _hand_over(self) -> None:
        self._is_told = False
        while self._inbox:
            self._ear.heard(self._inbox.popleft())


def _settle(answer: asyncio.Future[None] | None, failure: WayhouseError | None) -> None:
    if answer is None or answer.done():
        return
    if failure is None:
        answer.set_result(None)
    else:
        answer.set_exception(failure)
