"""[B] `patrol doctor`: opens every device for some seconds and has what it saw judged by robot/doctor.py.

While the robot itself runs its devices are its own: then what it says of them at /healthz is taken in place of a look.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from calibration.files import Calibration
from robot import calibrated, computer, credentials, doctor
from robot.config import Settings
from robot.credentials import Credentials
from robot.detect import Detector, FaceSession
from robot.doctor import Finding, Level, Stream, same
from robot.errors import DeviceError, DeviceTimeout, ModelError, PatrolError
from robot.interfaces import Camera, Indicator, PlateSensor, PositionSource, PowerSwitch, ThermalSensor
from robot.optics import Optic
from robot.place import Whereabouts
from robot.registration import FACE_WIDTH_M, locate
from robot.texts import UNAVAILABLE, WARNINGS, Text
from robot.types import U8, CameraShot, NoPosition, PlateReading, ThermalFrame
from robot.uniformity import Uniformity
from robot.warm import WARM_C

SECONDS = 6.0
"""Long enough for the plate to count as steady and for every rate to be told within a tenth."""
_PICTURES = 4
"""Of each camera, to see whether its pictures change."""
_RUNS = 5
_CPU = ("CPUExecutionProvider",)
_HEALTH_S = 2.0
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


def examine(
    settings: Settings, calibration: Calibration, openers: Openers, seconds: float, say: Callable[[str], None]
) -> tuple[list[Finding], bool]:
    """Returns every finding, and whether a running robot was asked in place of the devices; `say` hears what is being done."""
    findings = doctor.calibration_findings(calibration, settings, dt.datetime.now(dt.UTC))
    health = ask_robot(settings)
    findings += _model(settings, openers, health, say)
    if health is None:
        say(f"opening {len(settings.cameras) + 1} devices for {seconds:g} s")
        findings += _devices(settings, calibration, openers, seconds)
        findings.append(_indicator(settings, openers))
        findings += _supplies(settings, openers)
        findings += _place(settings, openers, seconds)
    else:
        findings += _said(health)
    findings += _usb(settings, openers)
    say("looking at disk, clock and computer")
    findings += _computer(settings)
    return findings, health is not None


def ask_robot(settings: Settings) -> dict[str, Any] | None:
    """Returns what this robot answers at /healthz, or None where it does not run (or somebody else answers)."""
    stream = settings.stream
    if not stream.port:
        return None
    host = "127.0.0.1" if stream.host in ("0.0.0.0", "::", "") else stream.host
    host = f"[{host}]" if ":" in host else host
    # The certificate names the robot as others know it, not the loopback; nothing secret is sent.
    context = ssl._create_unverified_context() if stream.tls_cert else None
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    url = f"{'https' if context else 'http'}://{host}:{stream.port}/healthz"
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=_HEALTH_S) as answer:
            body = answer.read(1_000_000)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(1_000_000)
    except (OSError, ValueError):
        return None
    with contextlib.suppress(ValueError):
        said = json.loads(body)
        if isinstance(said, dict) and said.get("robot") == settings.robot.name:
            return said
    return None


def _said(health: Mapping[str, Any]) -> list[Finding]:
    available = health.get("screening") == "available"
    why = "; ".join(health.get("explained") or health.get("reasons") or ())
    level = Level.OK if available else Level.FAIL
    codes = health.get("reasons") or ()
    why_zh = "；".join(UNAVAILABLE[code].zh for code in codes if code in UNAVAILABLE)
    found = Text(f"screening unavailable: {why}", f"筛查不可用：{why_zh}")
    if available:
        found = Text("screening available", "筛查可用")
    findings = [Finding(check="service", device="", level=level, found=found)]
    for code in health.get("warnings") or ():
        words = WARNINGS.get(code) or same(str(code))
        findings.append(Finding(check="warning", device="", level=Level.WARN, found=words))
    devices: Mapping[str, Mapping[str, Any]] = health.get("devices") or {}
    for name, said in devices.items():
        good = bool(said.get("alive")) and bool(said.get("valid"))
        plain = Text("sends usable frames", "数据正常") if good else Text("silent", "无数据")
        words = same(str(said["detail"])) if said.get("detail") else plain
        if name == "position":  # the robot screens without
            findings.append(Finding(check="place", device=name, level=Level.OK if good else Level.WARN, found=words))
            continue
        findings.append(Finding(check="open", device=name, level=Level.OK if good else Level.FAIL, found=words))
        if said.get("alive") and said.get("declared_hz"):
            findings.append(doctor.rate(name, float(said.get("rate_hz", 0.0)), float(said["declared_hz"])))
    return findings


def _model(
    settings: Settings, openers: Openers, health: Mapping[str, Any] | None, say: Callable[[str], None]
) -> list[Finding]:
    size_px, wanted = settings.cameras[0].network_px, settings.detection.providers
    say(f"face detector at {size_px[0]}×{size_px[1]}")
    try:
        # An accelerator may have memory for one program only, and builds engines for minutes: a running robot says what it uses.
        session = openers.session(size_px, wanted if health is None else _CPU)
    except ModelError as error:
        return [Finding(check="model", device="", level=Level.FAIL, found=same(str(error)))]
    spent_ms = []
    for _ in range(_RUNS):
        begin_ns = time.monotonic_ns()
        session.run(1)
        spent_ms.append((time.monotonic_ns() - begin_ns) / 1e6)
    digest = f"sha256 {session.model_sha256[:16]}…"
    return [
        Finding(check="model", device="", level=Level.OK, found=Text(f"{digest} as published", f"{digest} 与发布一致")),
        *_provider(settings, session.providers, session.provider_notes, health),
        doctor.inference(float(np.median(spent_ms))),
    ]


def _provider(
    settings: Settings, used: Sequence[str], notes: Sequence[str], health: Mapping[str, Any] | None
) -> list[Finding]:
    if health is not None:
        used, notes = health.get("providers") or (), ()
    if not used:
        return []
    wanted = settings.detection.providers[0] if settings.detection.providers else used[0]
    if used[0] == wanted and not notes:
        return [Finding(check="provider", device="", level=Level.OK, found=same(used[0]))]
    why = f": {'; '.join(notes)}" if notes else ""
    found = Text(f"{used[0]} in place of {wanted}{why}", f"{used[0]}，而非 {wanted}{why}")
    if used[0] == wanted:
        found = same(f"{used[0]}{why}")
    return [Finding(check="provider", device="", level=Level.WARN, found=found)]


def _devices(settings: Settings, calibration: Calibration, openers: Openers, seconds: float) -> list[Finding]:
    seen = _watched(settings, calibration, openers, seconds)
    findings: list[Finding] = []
    for camera in settings.cameras:
        optic, one = calibration.cameras[camera.name], _stream(camera.name, camera.rate_hz, seen[camera.name], seconds)
        findings += doctor.stream(one)
        if one.t_mono_ns:
            findings += [doctor.size(one, optic), *doctor.pictures(replace(one, grey=_grey(seen[camera.name].shots)))]
    if settings.reference.readback:
        findings += doctor.plate(seen["plate"].readings, seen["plate"].error)
    one = _stream("thermal", settings.thermal.rate_hz, seen["thermal"], seconds)
    findings += doctor.stream(one)
    if not one.t_mono_ns:
        return findings
    size = doctor.size(one, calibration.thermal)
    findings.append(size)
    if size.level is Level.FAIL:
        return findings
    frames = seen["thermal"].frames
    findings.append(doctor.noise([frame.temp_c for frame in frames], calibration))
    uniformity = Uniformity(calibration.radiometry, calibration.thermal.height_px, calibration.thermal.width_px)
    # What the correction hands out is good until the next call only.
    corrected = [replace(even, temp_c=even.temp_c.copy()) for even in map(uniformity.correct, frames)]
    findings.append(doctor.reference(corrected, calibration, settings))
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
    except PatrolError as error:
        seen.error = str(error)
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
            seen.error = "opened, but it sends nothing"
    except DeviceError as error:
        seen.error = str(error)
    finally:
        seen.faults = dict(device.faults)
        device.close()


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


def _grey(shots: Sequence[CameraShot]) -> list[U8]:
    """Returns pictures reduced to an eighth, grey; damaged ones are left out."""
    frames = [frame for shot in shots if (frame := shot.decode(8)) is not None]
    return [frame.image_bgr.mean(axis=2).astype(np.uint8) for frame in frames]


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
            openers.session(camera.network_px, _CPU), score_min=detection.score_min, nms_iou=detection.nms_iou
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


def _place(settings: Settings, openers: Openers, seconds: float) -> list[Finding]:
    """Returns the finding about the source of positions: a warning at most, as the robot screens without."""
    place = settings.place
    if not place.source:
        return []
    whereabouts, until_s = Whereabouts(settings.robot, place), time.monotonic() + max(seconds, 3.0 / place.rate_hz)
    level, found, source = Level.WARN, Text("says nothing", "无数据"), None
    try:
        source = openers.position(place.source, credentials.read(place.credentials_file))
        while level is Level.WARN and (left_s := until_s - time.monotonic()) > 0:
            reading = source.read(left_s)
            whereabouts.hear(reading)
            if isinstance(reading.position, NoPosition):
                found = same(reading.position.why)
                continue
            here = whereabouts.at(reading.t_mono_ns)
            level, found = Level.OK, Text(here.text, here.where.place_zh or here.text)
    except DeviceTimeout:
        pass
    except DeviceError as error:
        found = same(str(error))
    finally:
        if source is not None:
            source.close()
    return [Finding(check="place", device="position", level=level, found=found)]


def _indicator(settings: Settings, openers: Openers) -> Finding:
    address = settings.indicator.address
    if not address:
        return Finding(check="indicator", device="", level=Level.WARN, found=Text("none configured", "未配置"))
    problem = _pins_problem(lambda: openers.indicator(address))
    if problem:
        return Finding(check="indicator", device="", level=Level.FAIL, found=same(problem))
    opens = Text("opens, and is off", "可打开，处于关闭状态")
    return Finding(check="indicator", device="", level=Level.OK, found=opens)


def _supplies(settings: Settings, openers: Openers) -> list[Finding]:
    addresses = {camera.name: camera.power for camera in settings.cameras} | {"thermal": settings.thermal.power}
    found: list[Finding] = []
    for name, address in addresses.items():
        if address:
            problem = _pins_problem(lambda address=address: openers.supply(address))  # type: ignore[misc]
            level = Level.WARN if problem else Level.OK  # the robot works without
            words = same(problem) if problem else Text("can be cut, and is on", "可断电，当前通电")
            found.append(Finding(check="supply", device=name, level=level, found=words))
    return found


def _pins_problem(opener: Callable[[], Indicator | PowerSwitch]) -> str:
    """Returns why these pins cannot be opened; empty if they can. They are closed again."""
    try:
        with warnings.catch_warnings():
            # Libraries that are tried in turn complain of each; the finding says what is wrong.
            warnings.simplefilter("ignore")
            opener().close()
    except PatrolError as error:
        return str(error)
    return ""


def _usb(settings: Settings, openers: Openers) -> list[Finding]:
    addresses = [(camera.name, camera.address, "camera") for camera in settings.cameras]
    addresses.append(("thermal", settings.thermal.address, "thermal"))
    found = []
    for name, address, kind in addresses:
        file = openers.device_file(address)
        mbit = computer.usb_mbit(file) if file else None
        if mbit is not None:
            found.append(doctor.usb(name, mbit, kind))
    return found


def _computer(settings: Settings) -> list[Finding]:
    disk = computer.disk(Path(settings.store.path).parent)
    return [
        doctor.disk(disk.free_bytes, disk.share),
        doctor.disk_write(disk.write_s, disk.problem),
        doctor.clock(*computer.clock()),
        doctor.temperature(computer.hottest_c()),
        doctor.power(computer.throttled_flags()),
    ]
