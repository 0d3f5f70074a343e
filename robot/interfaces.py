"""What the pipeline asks of devices, of the detector and of those who listen. Drivers and models fulfil it, robot/ consumes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from robot.types import (
    CameraFrame,
    CameraShot,
    DeviceInfo,
    Faces,
    IndicatorSignal,
    PlateReading,
    PositionReading,
    ThermalFrame,
)


class Camera(Protocol):
    """One open camera. Made by a driver's constructor, which raises DeviceError if it cannot be opened."""

    @property
    def info(self) -> DeviceInfo: ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts by kind (`truncated_jpeg`, `bad_part`, …) since opening; damage that only decoding shows is counted then."""
        ...

    def read(self, timeout_s: float) -> CameraShot:
        """Returns the next picture, not decoded yet; raises DeviceTimeout when none came in time, DeviceError when the device is gone."""
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


class ThermalSensor(Protocol):
    """One open thermal sensor; the same contract as a camera."""

    @property
    def info(self) -> DeviceInfo: ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts by kind (`bad_checksum`, `resync_bytes`, `bad_length`, …) since opening."""
        ...

    def read(self, timeout_s: float) -> ThermalFrame: ...

    def close(self) -> None: ...


class PlateSensor(Protocol):
    """The reference plate's own controller; the same contract as a camera."""

    @property
    def info(self) -> DeviceInfo: ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts by kind (`bad_line`, `bad_checksum`, `bad_length`) since opening."""
        ...

    def read(self, timeout_s: float) -> PlateReading: ...

    def close(self) -> None: ...


class PositionSource(Protocol):
    """A receiver, or the robot's base, that tells where the robot is; the same contract as a camera."""

    @property
    def info(self) -> DeviceInfo: ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts by kind (`bad_checksum`, `bad_line`, `bad_message`, `repeated`, …) since opening."""
        ...

    def read(self, timeout_s: float) -> PositionReading:
        """Returns the next word of it, also that it does not know; raises DeviceTimeout and DeviceError as a camera does."""
        ...

    def close(self) -> None: ...


class Indicator(Protocol):
    """Lamp and siren: off when opened, off when closed."""

    def show(self, signal: IndicatorSignal) -> None:
        """Sets lamp and siren at once; returns when the pins are set."""
        ...

    def close(self) -> None: ...


class PowerSwitch(Protocol):
    """The supply of one device: on when opened, on when closed."""

    def cut(self) -> None:
        """Takes the supply away; raises DeviceError when that cannot be done."""
        ...

    def restore(self) -> None:
        """Gives it back; raises DeviceError when that cannot be done."""
        ...

    def close(self) -> None: ...


class FaceDetector(Protocol):
    """Frames of any cameras in, faces out, one Faces for each frame in the same order."""

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]: ...


class EventSink(Protocol):
    """Receives finished events as encoded JSON, in order; must not block."""

    def publish(self, seq: int, event_json: bytes) -> None: ...
