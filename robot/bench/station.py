"""What the perception benches look at: some seconds of a simulated station, recorded before anything is measured.

The station is a process of its own and is gone when the measuring begins. What only the composition root may make (devices, the
network's session) is handed in as `Parts`.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import msgspec
import numpy as np

from calibration import files
from calibration.files import Calibration
from robot import config
from robot.bench.simulators import simulated_station
from robot.config import Settings
from robot.detect import FaceSession
from robot.errors import ConfigError, DeviceError
from robot.interfaces import Camera, ThermalSensor
from robot.pipeline import Pipeline
from robot.types import F32, U8, CameraShot, ThermalFrame

_READ_S = 10.0
OPEN_S = 60.0
SETTLE_S = 8.0
"""So long before its first tick a pipeline must have been started."""


class Published(Protocol):
    """The published network at one size: onnxruntime's own `run`, or with bound memory, on all slots one after the other."""

    @property
    def inputs(self) -> F32:
        """slots × 3 × height × width."""
        ...

    def plain(self) -> object: ...

    def bound(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a bench needs of drivers/ and models/."""

    open_camera: Callable[[str, str], Camera]
    open_thermal: Callable[[str], ThermalSensor]
    session: Callable[[tuple[int, int], int], FaceSession]
    """From the network's width and height and the number of slots."""
    published: Callable[[tuple[int, int], int], Published]
    """The published file as it is, from width and height and the number of slots."""
    model: Path
    """The published file, for cv2.FaceDetectorYN."""


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """One new picture of every camera and one thermal frame."""

    shots: tuple[CameraShot, ...]
    thermal: ThermalFrame

    @property
    def now_ns(self) -> int:
        return max(self.thermal.t_mono_ns, *(shot.t_mono_ns for shot in self.shots)) + 1_000_000

    def decoded(self) -> Tick:
        """Returns the same with pictures that are decoded at full size already, whatever scale they are asked for."""
        return replace(self, shots=tuple(_decoded(shot) for shot in self.shots))


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    settings: Settings
    calibration: Calibration
    ticks: tuple[Tick, ...]
    source: str


def record(parts: Parts, scenario: str, count: int) -> Recording:
    """Returns `count` ticks of a scenario, with the settings and the calibration that the station writes; attention is off.

    Raises DeviceError if the station does not start or falls silent.
    """
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name:
        with simulated_station(scenario, Path(name)) as settings_file:
            settings = config.load(settings_file)
            ticks = _read(parts, settings, count)
        calibration = files.load(Path(settings.calibration.file))
    return Recording(looking_at_all(settings), calibration, ticks, f"scenario {scenario}")


def settle(pipeline: Pipeline, thermal: ThermalFrame, period_ns: int = 111_000_000) -> None:
    """Shows the pipeline this thermal frame for the SETTLE_S before it was taken: the sensor is warm then, the plate steady."""
    for left in range(int(SETTLE_S * 1e9) // period_ns, 0, -1):
        t_ns = thermal.t_mono_ns - left * period_ns
        pipeline.step((), [replace(thermal, t_mono_ns=t_ns, t_received_ns=t_ns)], t_ns)


def read_pictures(folder: Path) -> list[U8]:
    """Returns the folder's pictures in the order of their names; raises ConfigError if there are none."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror} (name a folder of pictures)") from error
    images = [image.astype(np.uint8, copy=False) for path in paths if (image := cv2.imread(str(path))) is not None]
    if not images:
        raise ConfigError(f"{folder}: there is no picture in it that can be read")
    return images


def with_pictures(recording: Recording, images: Sequence[U8]) -> Recording:
    """Returns the recording with these pictures, again and again, in place of the cameras' own."""
    cameras = recording.calibration.cameras
    ticks = []
    for number, tick in enumerate(recording.ticks):
        shots = []
        for index, shot in enumerate(tick.shots):
            size_px = (cameras[shot.camera].width_px, cameras[shot.camera].height_px)
            image = cv2.resize(images[(number * len(tick.shots) + index) % len(images)], size_px)
            _, jpeg = cv2.imencode(".jpg", image)
            shots.append(replace(shot, load=_loader(jpeg, size_px), jpeg=None))
        ticks.append(replace(tick, shots=tuple(shots)))
    return replace(recording, ticks=tuple(ticks), source=f"{len(images)} pictures of a folder")


def looking_at_all(settings: Settings) -> Settings:
    """Returns the settings without attention: every picture is looked at whole."""
    return msgspec.structs.replace(settings, attention=msgspec.structs.replace(settings.attention, enabled=False))


def at_size(settings: Settings, network_px: tuple[int, int]) -> Settings:
    """Returns the settings with this input for every camera."""
    cameras = [msgspec.structs.replace(camera, network_px=network_px) for camera in settings.cameras]
    return msgspec.structs.replace(settings, cameras=tuple(cameras))


def _read(parts: Parts, settings: Settings, count: int) -> tuple[Tick, ...]:
    cameras = [
        _opened(functools.partial(parts.open_camera, camera.address, camera.name)) for camera in settings.cameras
    ]
    try:
        sensor = parts.open_thermal(settings.thermal.address)
        try:
            return tuple(_tick(cameras, sensor) for _ in range(count))
        finally:
            sensor.close()
    finally:
        for camera in cameras:
            camera.close()


def _opened(opener: Callable[[], Camera]) -> Camera:
    """Returns the camera; a station on a busy machine may be late with its first pictures."""
    deadline_s = time.monotonic() + OPEN_S
    while True:
        try:
            return opener()
        except DeviceError:
            if time.monotonic() > deadline_s:
                raise


def _tick(cameras: Sequence[Camera], sensor: ThermalSensor) -> Tick:
    return Tick(tuple(camera.read(_READ_S) for camera in cameras), sensor.read(_READ_S))


def _decoded(shot: CameraShot) -> CameraShot:
    loaded = shot.load(1)
    if loaded is None:
        raise DeviceError(f"a picture of camera {shot.camera} cannot be decoded")
    return replace(shot, load=lambda _scale: loaded)


def _loader(jpeg: np.ndarray, size_px: tuple[int, int]) -> Callable[[int], tuple[U8, tuple[int, int]] | None]:
    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }

    def load(scale: int) -> tuple[U8, tuple[int, int]] | None:
        image = cv2.imdecode(jpeg, flags[scale])
        return None if image is None else (image.astype(np.uint8, copy=False), size_px)

    return load
