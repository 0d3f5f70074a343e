"""Poses of the robot's base over MQTT: `mqtt://127.0.0.1:1883/patrol/pose`.

paho-mqtt turns in the reader's own thread, so that this device is read like every other: no thread and no loop of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from drivers.address import Address
from drivers.pose_codec import PoseCodec
from drivers.positions import PositionDevice
from robot.errors import DeviceError, DeviceRefused, DeviceTimeout
from robot.types import DeviceInfo

if TYPE_CHECKING:
    from paho.mqtt.client import Client

PORT = 1883
CONNECT_S = 3.0
KEEPALIVE_S = 5
_REFUSED = {"Bad user name or password", "Not authorized", "Banned"}


class MqttPoses(PositionDevice):
    """One subscription. The constructor raises DeviceError if the broker cannot be reached, DeviceRefused if it does not want us."""

    def __init__(self, address: Address, username: str | None = None, password: str | None = None) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise DeviceError(
                f"{address.shown}: the package paho-mqtt is missing (pip install 'patrol-robot[fleet]')"
            ) from error
        parts = urlsplit(address.target)
        self._host, self._port = str(parts.hostname), parts.port or PORT
        self._topic, self._shown = unquote(parts.path.lstrip("/")), address.shown
        self._codec = PoseCodec()
        self._refused = ""
        self._subscribed = False
        super().__init__(DeviceInfo(address.shown, "poses of the base (MQTT)", "", 0, 0), f"{address.shown}: no pose")
        self._client: Client | None = Client(CallbackAPIVersion.VERSION2)
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.connect_timeout = CONNECT_S
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        try:
            self._connect(self._client)
        except DeviceError:
            self.close()
            raise

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts of messages that were left out, by kind."""
        return dict(self._codec.faults)

    def close(self) -> None:
        """Idempotent; never raises."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop(0.1)

    def _connect(self, client: Client) -> None:
        try:
            client.connect(self._host, self._port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"{self._shown}: the broker at {self._host}:{self._port} cannot be reached: {error}"
            ) from error
        until_s = time.monotonic() + CONNECT_S
        while not self._subscribed or self._refused:
            if self._refused:
                refused = DeviceRefused if self._refused in _REFUSED else DeviceError
                raise refused(f"{self._shown}: the broker refuses: {self._refused} (see place.credentials_file)")
            if time.monotonic() > until_s:
                raise DeviceTimeout(f"{self._shown}: the broker does not answer")
            self._turn(0.1)

    def _turn(self, timeout_s: float) -> None:
        client = self._client
        if client is None:
            raise DeviceError(f"{self._shown}: is closed")
        try:
            code = client.loop(timeout_s)
        except (OSError, ValueError) as error:
            raise DeviceError(f"{self._shown}: the broker is gone: {error}") from error
        if code and not self._refused:
            raise DeviceError(f"{self._shown}: the broker is gone: {code.name}")

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
        else:
            client.subscribe(self._topic, qos=0)

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._refused = f"the topic {self._topic}: {refused[0]}" if refused else ""
        self._subscribed = not refused

    def _on_message(self, _client: Client, _data: Any, message: Any) -> None:
        reading = self._codec.feed(bytes(message.payload), time.monotonic_ns(), bool(message.retain))
        if reading is not None:
            self._pending.append(reading)
