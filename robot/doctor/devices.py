"""[B] The doctor's look at cameras, thermal sensor and plate: all opened and watched at once, and what they sent handed to robot/doctor/streams.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from calibration.files import Calibration
from robot import calibrated
from robot.blind import shows_nothing
from robot.config import Settings
from robot.credentials import Credentials
from robot.detect import Detector, FaceSession, decode_scale
from robot.doctor import streams
from robot.doctor.checks import Finding, Level
from robot.doctor.streams import Stream
from robot.errors import DeviceTimeout, PatrolError
from robot.interfaces import Camera, Indicator, PlateSensor, PositionSource, PowerSwitch, ThermalSensor
from robot.optics import Optic
from robot.registration import FACE_WIDTH_M, locate
from robot.sharpness import spread_of
from robot.texts import DETAILS, Text
from robot.types import U8, CameraShot, PlateReading, ThermalFrame
from robot.uniformity import Uniformity
from robot.warm import WARM_C

_PICTURES = 4
"""Of each camera, to see whether its pictures change."""
CPU = ("CPUExecutionProvider",)
_SAME_TIME_NS = 150_000_000
"""A picture and a thermal frame this close in time show people in the same place."""


class Session(FaceSession, Protocol):
    """A face detector's session that tells what it runs on."""

    @property
    def providers(self) -> tuple[str, ...]: ...

    @property
    def provider_notes(self) -> tuple[str, ...]: ...

    @property
    def model_sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Openers:
    """How devices and the detector are opened; the caller knows drivers and models. All raise PatrolError."""

    camera: Callable[[str, str], Camera]
    """From an address and a name."""
    thermal: Callable[[str], ThermalSensor]
    indicator: Callable[[str], Indicator]
    supply: Callable[[str], PowerSwitch]
    plate: Callable[[str], PlateSensor]
    session: Callable[[tuple[int, int], Sequence[str]], Session]
    """For an input size and preferred execution providers."""
    device_file: Callable[[str], str | None]
    """From an address to the file in /dev behind it, if there is one."""
    position: Callable[[str, Credentials | None], PositionSource]


@dataclass(slots=True)
class _Seen:
    """What one device sent while it was watched."""

    size_px: tuple[int, int] = (0, 0)
    t_mono_ns: list[int] = field(default_factory=list)
    t_arrived_ns: list[int] = field(default_factory=list)
    faults: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    model: str = ""
    shots: list[CameraShot] = field(default_factory=list)
    frames: list[ThermalFrame] = field(default_factory=list)
    readings: list[PlateReading] = field(default_factory=list)


def device_findings(settings: Settings, calibration: Calibration, openers: Openers, seconds: float) -> list[Finding]:
    seen = _watched(settings, calibration, openers, seconds)
    findings: list[Finding] = []
    for camera in settings.cameras:
        optic, one = calibration.cameras[camera.name], _stream(camera.name, camera.rate_hz, seen[camera.name], seconds)
        findings += streams.stream(one)
        if one.t_mono_ns:
            pictures = _pictures(seen[camera.name].shots)
            blind = bool(pictures) and all(map(shows_nothing, pictures))
            spread = _spread(seen[camera.name].shots, camera.network_px)
            one = replace(one, grey=[_grey(picture) for picture in pictures], blind=blind, spread=spread)
            findings += [streams.size(one, optic), *streams.pictures(one)]
    if settings.reference.readback:
        findings += streams.plate(seen["plate"].readings, seen["plate"].error)
    one = _stream("thermal", settings.thermal.rate_hz, seen["thermal"], seconds)
    findings += streams.stream(one)
    if not one.t_mono_ns:
        return findings
    size = streams.size(one, calibration.thermal)
    findings.append(size)
    if size.level is Level.FAIL:
        return findings
    frames = seen["thermal"].frames
    findings.append(streams.moves(frames))
    findings.append(streams.noise([frame.temp_c for frame in frames], calibration))
    uniformity = Uniformity(calibration.radiometry, calibration.thermal.height_px, calibration.thermal.width_px)
    # What the correction hands out is good until the next call only.
    corrected = [replace(even, temp_c=even.temp_c.copy()) for even in map(uniformity.correct, frames)]
    findings.append(streams.reference(corrected, calibration, settings))
    findings.append(_faces(settings, calibration, openers, seen, corrected))
    return findings


def _watched(settings: Settings, calibration: Calibration, openers: Openers, seconds: float) -> dict[str, _Seen]:
    """Returns what every device sent, all watched at once, as they share buses and processors when the robot runs."""
    seen = {name: _Seen() for name in (*(camera.name for camera in settings.cameras), "thermal", "plate")}
    until_s = time.monotonic() + seconds
    threads = []
    for camera in settings.cameras:
        threads.append(
            threading.Thread(
                target=_watch_camera,
                args=(camera.address, camera.name, calibration, openers, until_s, seen[camera.name]),
            )
        )
    threads.append(
        threading.Thread(
            target=_watch_thermal, args=(settings.thermal.address, calibration, openers, until_s, seen["thermal"])
        )
    )
    if address := settings.reference.readback:
        plate = seen["plate"]
        arguments = (partial(openers.plate, address), "plate", None, until_s, plate, plate.readings.append)
        threads.append(threading.Thread(target=_watch, args=arguments))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _watch_camera(
    address: str, name: str, calibration: Calibration, openers: Openers, until_s: float, seen: _Seen
) -> None:
    def take(shot: CameraShot) -> None:
        # The first ones and the newest: pictures are large.
        if len(seen.shots) == _PICTURES:
            seen.shots.pop()
        seen.shots.append(shot)
        seen.size_px = shot.full_size_px

    _watch(lambda: openers.camera(address, name), name, calibration.cameras[name], until_s, seen, take)


def _watch_thermal(address: str, calibration: Calibration, openers: Openers, until_s: float, seen: _Seen) -> None:
    def take(frame: ThermalFrame) -> None:
        seen.frames.append(replace(frame, temp_c=frame.temp_c.copy()))
        seen.size_px = (frame.temp_c.shape[1], frame.temp_c.shape[0])

    _watch(lambda: openers.thermal(address), "thermal", calibration.thermal, until_s, seen, take)


def _watch(
    opened: Callable[[], Any], name: str, optic: Any, until_s: float, seen: _Seen, take: Callable[[Any], None]
) -> None:
    try:
        device = opened()
    except Exception as error:
        seen.error = _why(error)
        return
    try:
        seen.model = device.info.model
        if optic is not None:
            calibrated.check_device(name, optic, device.info)
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                frame = device.read(min(left_s, 1.0))
            except DeviceTimeout:
                continue
            seen.t_arrived_ns.append(getattr(frame, "t_received_ns", 0) or time.monotonic_ns())
            seen.t_mono_ns.append(frame.t_mono_ns)
            take(frame)
        if not seen.t_mono_ns:
            seen.error = DETAILS["silent"].en
    except Exception as error:
        seen.error = _why(error)
    finally:
        seen.faults = dict(device.faults)
        device.close()


def _why(error: Exception) -> str:
    """Returns an error in words; a driver's bug costs its own device only, the others are looked at all the same."""
    return str(error) if isinstance(error, PatrolError) else f"bug: {error!r}"


def _stream(name: str, declared_hz: float, seen: _Seen, seconds: float) -> Stream:
    return Stream(
        name,
        declared_hz,
        seen.t_mono_ns,
        seen.t_arrived_ns,
        seconds,
        seen.size_px,
        seen.faults,
        seen.error,
        seen.model,
    )


def _pictures(shots: Sequence[CameraShot]) -> list[U8]:
    """Returns pictures reduced to an eighth; damaged ones are left out."""
    return [frame.image_bgr for shot in shots if (frame := shot.decode(8)) is not None]


def _spread(shots: Sequence[CameraShot], network_px: tuple[int, int]) -> float | None:
    """Returns by how much the sharpest of these spreads a point (share of its width), as large as the robot looks at them; None where too few edges tell."""
    frames = [shot.decode(decode_scale(shot.full_size_px, network_px)) for shot in shots]
    spreads = [spread_of(frame.image_bgr) for frame in frames if frame is not None]
    return min((spread for spread in spreads if spread is not None), default=None)


def _grey(image_bgr: U8) -> U8:
    return np.asarray(image_bgr.mean(axis=2), dtype=np.uint8)


def _faces(
    settings: Settings,
    calibration: Calibration,
    openers: Openers,
    seen: Mapping[str, _Seen],
    corrected: Sequence[ThermalFrame],
) -> Finding:
    """Returns whether something warm is where the cameras see faces: the registration, as far as people are about."""
    thermal = Optic("thermal", calibration.thermal)
    faces = warm = 0
    for camera in settings.cameras:
        optic = Optic(camera.name, calibration.cameras[camera.name])
        shots = [shot for shot in seen[camera.name].shots if _nearest(corrected, shot.t_mono_ns) is not None]
        frame = shots[-1].decode(1) if shots else None
        if frame is None:
            continue
        detection = settings.detection
        detector = Detector(
            openers.session(camera.network_px, CPU), score_min=detection.score_min, nms_iou=detection.nms_iou
        )
        located = locate(detector.detect([frame])[0], optic.of_size(*frame.full_size_px))
        pixels, depths = thermal.project(located.positions_m)
        shown = _nearest(corrected, frame.t_mono_ns)
        for pixel, depth in zip(pixels, depths, strict=True):
            radius_px = thermal.focal_px * FACE_WIDTH_M / 2 / max(float(depth), 0.1)
            hottest_c = _hottest_c(shown, pixel, radius_px)
            faces += hottest_c is not None
            warm += hottest_c is not None and hottest_c >= WARM_C[0]
    if not faces:
        found = Text("nobody in the thermal view", "热成像视野内无人")
        return Finding(check="faces", device="", level=Level.SKIP, found=found)
    level = Level.OK if 2 * warm >= faces else Level.WARN
    found = Text(f"{warm} of {faces} faces are warm in the thermal image", f"{faces} 张人脸中 {warm} 张在热图中发热")
    return Finding(check="faces", device="", level=level, found=found, value=warm / faces)


def _nearest(frames: Sequence[ThermalFrame], t_ns: int) -> ThermalFrame | None:
    best = min(frames, key=lambda frame: abs(frame.t_mono_ns - t_ns), default=None)
    return best if best is not None and abs(best.t_mono_ns - t_ns) <= _SAME_TIME_NS else None


def _hottest_c(frame: ThermalFrame | None, pixel: Any, radius_px: float) -> float | None:
    """Returns the highest temperature of a face's square; None where it is not wholly in the thermal picture."""
    if frame is None or not np.isfinite(pixel).all():
        return None
    rows, columns = frame.temp_c.shape
    left, top = (int(value) for value in np.floor(pixel - radius_px))
    right, bottom = (int(value) for value in np.ceil(pixel + radius_px))
    if left < 0 or top < 0 or right >= columns or bottom >= rows:
        return None
    return float(np.nanmax(frame.temp_c[top : bottom + 1, left : right + 1]))
