"""[B] `patrol doctor`: opens every device for some seconds and has what it saw judged by robot/doctor/checks.py.

While the robot itself runs its devices are its own: then what it says of them at /healthz is taken in place of a look.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import ssl
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calibration.files import Calibration
from robot import computer, credentials, device_texts, texts, tls
from robot.config import Settings
from robot.doctor import checks, streams
from robot.doctor.checks import Finding, Level, same
from robot.doctor.devices import CPU, Openers, device_findings
from robot.ego_motion import GAP_S
from robot.errors import DeviceError, DeviceTimeout, ModelError, PatrolError
from robot.health import NO_BASELINE
from robot.interfaces import Indicator, PowerSwitch
from robot.place import Whereabouts
from robot.texts import UNAVAILABLE, WARNINGS, Text
from robot.types import MapPosition, NoPosition, PositionReading

SECONDS = 6.0
"""Long enough for the plate to count as steady and for every rate to be told within a tenth."""
_RUNS = 5
_HEALTH_S = 2.0
_POSES_S = 1.5
"""For so long the poses of a base are counted."""


def examine(
    settings: Settings, calibration: Calibration, openers: Openers, seconds: float, say: Callable[[Text], None]
) -> tuple[list[Finding], bool]:
    """Returns every finding, and whether a running robot was asked in place of the devices; `say` hears what is being done."""
    now_utc = dt.datetime.now(dt.UTC)
    findings = checks.calibration_findings(calibration, settings, now_utc)
    findings += [checks.certificate(one, now_utc) for one in tls.shown(settings)]
    health = ask_robot(settings)
    findings += _model(settings, openers, health, say)
    if health is None:
        count = len(settings.cameras) + 1
        say(Text(f"opening {count} devices for {seconds:g} s", f"打开 {count} 个设备，{seconds:g} 秒"))
        findings += device_findings(settings, calibration, openers, seconds)
        findings.append(checks.ambient(settings))
        findings.append(_indicator(settings, openers))
        findings += _supplies(settings, openers)
        findings += _place(settings, openers, seconds)
    else:
        findings += from_health(health)
    findings += _usb(settings, openers)
    say(Text("looking at disk, clock and computer", "检查磁盘、时钟与主机"))
    findings += _computer(settings)
    return findings, health is not None


def ask_robot(settings: Settings) -> dict[str, Any] | None:
    """Returns what this robot answers at /healthz, or None where it does not run (or somebody else answers)."""
    stream = settings.stream
    if not stream.port:
        return None
    # A port opened on "::" answers IPv6 alone.
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(stream.host, stream.host)
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


def from_health(health: Mapping[str, Any]) -> list[Finding]:
    """Returns the findings about screening, warnings and devices, from what a robot answers at /healthz."""
    available = health.get("screening") == "available"
    why = "; ".join(health.get("explained") or health.get("reasons") or ())
    codes = health.get("reasons") or ()
    # A cohort that is still to come is nothing to mend, and no reason to take a new version back.
    level = Level.OK if available else Level.WARN if list(codes) == [NO_BASELINE] else Level.FAIL
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
        words = texts.detail(str(said["detail"])) if said.get("detail") else plain
        if name == "position":  # the robot screens without
            findings.append(Finding(check="place", device=name, level=Level.OK if good else Level.WARN, found=words))
            continue
        check = "valid" if said.get("alive") and not good else "open"
        findings.append(Finding(check=check, device=name, level=Level.OK if good else Level.FAIL, found=words))
        if said.get("alive") and said.get("declared_hz"):
            findings.append(streams.rate(name, float(said.get("rate_hz", 0.0)), float(said["declared_hz"])))
    return findings


def _model(
    settings: Settings, openers: Openers, health: Mapping[str, Any] | None, say: Callable[[Text], None]
) -> list[Finding]:
    size_px, wanted = settings.cameras[0].network_px, settings.detection.providers
    size = f"{size_px[0]}×{size_px[1]}"
    say(Text(f"face detector at {size}", f"人脸检测 {size}"))
    try:
        # An accelerator may have memory for one program only, and builds engines for minutes: a running robot says what it uses.
        session = openers.session(size_px, wanted if health is None else CPU)
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
        checks.inference(float(np.median(spent_ms))),
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


def _place(settings: Settings, openers: Openers, seconds: float) -> list[Finding]:
    """Returns the findings about the source of positions: warnings at most, as the robot screens without."""
    place = settings.place
    if not place.source:
        return []
    whereabouts, until_s = Whereabouts(settings.robot, place), time.monotonic() + max(seconds, 3.0 / place.rate_hz)
    level, found, source = Level.WARN, Text("says nothing", "无数据"), None
    poses: list[PositionReading] = []
    try:
        source = openers.position(place.source, credentials.read(place.credentials_file))
        while level is Level.WARN and (left_s := until_s - time.monotonic()) > 0:
            reading = source.read(left_s)
            whereabouts.hear(reading)
            if isinstance(reading.position, NoPosition):
                found = texts.detail(reading.position.why)
                continue
            here = whereabouts.at(reading.t_mono_ns)
            level, found = Level.OK, Text(here.text, here.where.place_zh or here.text)
            poses.append(reading)
        while poses and isinstance(poses[0].position, MapPosition) and _seconds(poses) < _POSES_S:
            poses.append(source.read(_POSES_S))
    except DeviceTimeout:
        pass
    except DeviceError as error:
        found = device_texts.said(str(error))
    finally:
        if source is not None:
            source.close()
    turns = _turns(poses) if settings.tracking.ego_motion else []
    return [Finding(check="place", device="position", level=level, found=found), *turns]


def _turns(poses: Sequence[PositionReading]) -> list[Finding]:
    """Returns whether poses of a base tell how the robot turns; nothing where what tells the place is no base."""
    if not poses or not isinstance(poses[0].position, MapPosition):
        return []
    told = [one for one in poses if isinstance(one.position, MapPosition) and one.position.heading_deg is not None]
    if not told:
        found = Text("poses without heading_deg", "位姿无 heading_deg")
    else:
        hz, least_hz = (len(told) - 1) / max(_seconds(told), 1e-3), 1 / GAP_S
        found = Text(f"{hz:.1f} poses a second", f"每秒 {hz:.1f} 个位姿")
        if len(told) > 1 and hz > least_hz:
            return [Finding(check="turns", device="position", level=Level.OK, found=found)]
    return [Finding(check="turns", device="position", level=Level.WARN, found=found)]


def _seconds(readings: Sequence[PositionReading]) -> float:
    """Returns the time between the first reading and the last."""
    return (readings[-1].t_mono_ns - readings[0].t_mono_ns) * 1e-9


def _indicator(settings: Settings, openers: Openers) -> Finding:
    address = settings.indicator.address
    if not address:
        return Finding(check="indicator", device="", level=Level.WARN, found=Text("none configured", "未配置"))
    problem = _pins_problem(lambda: openers.indicator(address))
    if problem:
        return Finding(check="indicator", device="", level=Level.FAIL, found=device_texts.said(problem))
    opens = Text("opens, and is off", "可打开，处于关闭状态")
    return Finding(check="indicator", device="", level=Level.OK, found=opens)


def _supplies(settings: Settings, openers: Openers) -> list[Finding]:
    addresses = {camera.name: camera.power for camera in settings.cameras} | {"thermal": settings.thermal.power}
    found: list[Finding] = []
    for name, address in addresses.items():
        if address:
            problem = _pins_problem(lambda address=address: openers.supply(address))  # type: ignore[misc]
            level = Level.WARN if problem else Level.OK  # the robot works without
            words = device_texts.said(problem) if problem else Text("can be cut, and is on", "可断电，当前通电")
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
            found.append(checks.usb(name, mbit, kind))
    return found


def _computer(settings: Settings) -> list[Finding]:
    disk, root = computer.disk(Path(settings.store.path).parent), Path(settings.computer.root)
    return [
        checks.disk(disk.free_bytes, disk.share),
        checks.disk_write(disk.write_s, disk.problem),
        checks.evidence(computer.disk(Path(settings.evidence.folder)).problem),
        checks.clock(*computer.clock()),
        checks.temperature(computer.hottest_c(root)),
        checks.power(computer.throttled_flags(root)),
    ]
