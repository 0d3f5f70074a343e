"""What `patrol doctor` makes of measured values: one finding a check, good, worth a look, or bad. Pure: others measure.

Limits say what they are for; where health (robot/health.py) has the same one, it is taken from there.
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from calibration import files
from calibration.files import Calibration, OpticCalibration
from calibration.refused import step_named
from robot import device_texts
from robot.config import Settings
from robot.health import RATE_SHARE
from robot.reference import ReferenceRules, ReferenceTracker
from robot.stuck import ThermalStuck
from robot.texts import DETAILS, Text
from robot.types import (
    F32,
    U8,
    PlateReading,
    ThermalFrame,
)

SCHEMA = "patrol.doctor/1"

RATE_GOOD = 0.9
"""Below this share of the declared rate somebody should look, below health's share it is bad."""
AGE_MAX_S = 0.5
"""A picture this old when it arrives tells of a queue somewhere; people move half a metre meanwhile."""
GAP_PERIODS = 4.0
DARK_LEVEL, LIGHT_LEVEL = 35.0, 220.0
"""Mean grey value (0 to 255) outside of which YuNet's scores fall."""
CLIPPED_SHARE = 0.25
NOISE_LOOK, NOISE_BAD = 1.5, 3.0
"""Times the calibrated NETD; at three times a reading's random part is no longer the smaller one."""
RESIDUAL_LOOK_PX, RESIDUAL_BAD_PX = 1.0, 3.0
EXPIRES_SOON_DAYS = 14
FREE_LOOK_BYTES, FREE_BAD_BYTES = 1_000_000_000, 100_000_000
"""A month of events is some hundred megabytes."""
WRITE_LOOK_S, WRITE_BAD_S = 0.1, 1.0
"""A commit that takes as long as a thermal frame's period delays the next one."""
INFERENCE_LOOK_MS, INFERENCE_BAD_MS = 100.0, 400.0
HOT_LOOK_C, HOT_BAD_C = 75.0, 84.0
"""A Raspberry Pi slows down from 80 °C on and more so at 85 °C."""
CLOCK_LOOK_S = 1.0
USB_HIGH_MBIT = 480.0
UNTOLD = Text("this computer does not tell", "本机不提供")


class Level(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """Could not be looked at now; says nothing about fitness."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check and what came of it."""

    check: str
    """Key of robot/doctor_texts.py."""
    device: str
    level: Level
    found: Text
    """In words and numbers, for people."""
    value: float | None = None
    unit: str = ""
    limit: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What a device sent while it was watched."""

    name: str
    declared_hz: float
    t_mono_ns: Sequence[int]
    """Of each frame, in the order in which they came."""
    t_arrived_ns: Sequence[int]
    seconds: float
    size_px: tuple[int, int]
    faults: Mapping[str, int]
    error: str = ""
    """Why it could not be opened, or stopped."""
    model: str = ""
    """What the device calls itself."""
    grey: Sequence[U8] = ()
    """Some pictures, reduced, grey; cameras only."""
    blind: bool = False
    """All of these show nothing, as the robot sees it."""


def same(text: str) -> Text:
    """Returns what reads alike in every language: numbers, names, and errors that are not a device's, which are in English as in the log."""
    return Text(text, text)


def graded(value: float, look: float, bad: float) -> Level:
    """Returns the level of a value that is better the smaller it is; NaN is bad."""
    return Level.OK if value <= look else Level.WARN if value <= bad else Level.FAIL


def stream(one: Stream) -> list[Finding]:
    """Returns opening, rate, time stamps and faults of a device."""
    if one.error and not one.t_mono_ns:
        return [Finding(check="open", device=one.name, level=Level.FAIL, found=device_texts.said(one.error))]
    sends = same(f"{one.model}, {one.size_px[0]}×{one.size_px[1]}".lstrip(", "))
    opened = Finding(check="open", device=one.name, level=Level.OK, found=sends)
    if one.error:
        opened = msgspec.structs.replace(opened, level=Level.FAIL, found=device_texts.said(one.error))
    return [opened, _rate(one), _timestamps(one), _faults(one)]


def _rate(one: Stream) -> Finding:
    times = one.t_arrived_ns
    span_s = (times[-1] - times[0]) / 1e9 if len(times) > 1 else 0.0
    rate_hz = (len(times) - 1) / span_s if span_s > 0 else len(times) / one.seconds
    return rate(one.name, rate_hz, one.declared_hz)


def rate(device: str, rate_hz: float, declared_hz: float) -> Finding:
    """Returns the finding about a frame rate."""
    share = rate_hz / declared_hz
    level = Level.OK if share >= RATE_GOOD else Level.WARN if share >= RATE_SHARE else Level.FAIL
    found = Text(f"{rate_hz:.1f} Hz of {declared_hz:g} Hz", f"{rate_hz:.1f} Hz（应为 {declared_hz:g} Hz）")
    limit_hz = RATE_SHARE * declared_hz
    return Finding(check="rate", device=device, level=level, found=found, value=rate_hz, unit="Hz", limit=limit_hz)


def _timestamps(one: Stream) -> Finding:
    # A server may begin with the picture that it has had since somebody looked last: it says nothing of cable or processor.
    begin = 1 if len(one.t_mono_ns) > 2 else 0
    times, arrived = np.asarray(one.t_mono_ns[begin:]), np.asarray(one.t_arrived_ns[begin:])
    steps_s = np.diff(times) / 1e9
    ages_s = (arrived - times) / 1e9
    worst_s, gap_s = float(ages_s.max()), float(steps_s.max()) if len(steps_s) else 0.0
    age_ms, pause_ms = f"{1000 * float(np.median(ages_s)):.0f} ms", f"{1000 * gap_s:.0f} ms"
    found = Text(f"age {age_ms}, longest pause {pause_ms}", f"延迟 {age_ms}，最长间隔 {pause_ms}")
    level = Level.OK
    if gap_s > GAP_PERIODS / one.declared_hz or worst_s > AGE_MAX_S:
        level = Level.WARN
    if bool((steps_s <= 0).any()) or float(ages_s.min()) < 0 or float(np.median(ages_s)) > AGE_MAX_S:
        level = Level.FAIL
        found = Text(f"{found.en}; not rising, in the future or too old", f"{found.zh}；未递增、超前或过旧")
    return Finding(
        check="timestamps", device=one.name, level=level, found=found, value=worst_s, unit="s", limit=AGE_MAX_S
    )


def _faults(one: Stream) -> Finding:
    counted = {kind: count for kind, count in one.faults.items() if count}
    total, frames = sum(counted.values()), len(one.t_mono_ns)
    level = graded(total / max(frames, 1), 0.0, 0.05)
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(counted.items()))
    found = same(counts) if counts else Text(f"none in {frames} frames", f"{frames} 帧中无错误")
    return Finding(check="faults", device=one.name, level=level, found=found, value=float(total))


def size(one: Stream, optic: OpticCalibration) -> Finding:
    """Returns whether a device sends pictures of the calibrated size (or, for a camera, of its proportions)."""
    wanted = (optic.width_px, optic.height_px)
    good = one.size_px == wanted
    sent, calibrated = f"{one.size_px[0]}×{one.size_px[1]}", f"{wanted[0]}×{wanted[1]}"
    found = same(sent) if good else Text(f"{sent}, calibrated {calibrated}", f"{sent}，标定时为 {calibrated}")
    return Finding(check="size", device=one.name, level=Level.OK if good else Level.FAIL, found=found)


def pictures(one: Stream) -> list[Finding]:
    """Returns exposure, and whether the picture changes, of a camera."""
    if not one.grey:
        found = Text("no picture can be decoded", "画面无法解码")
        return [Finding(check="exposure", device=one.name, level=Level.FAIL, found=found)]
    last = one.grey[-1]
    mean = float(last.mean())
    clipped = float(np.mean((last >= 252) | (last <= 3)))
    good = DARK_LEVEL <= mean <= LIGHT_LEVEL and clipped <= CLIPPED_SHARE
    found = Text(
        f"mean {mean:.0f} of 255, {100 * clipped:.0f} % black or white",
        f"平均亮度 {mean:.0f}/255，{100 * clipped:.0f} % 过暗或过曝",
    )
    level = Level.OK if good else Level.WARN
    if one.blind:  # the robot takes such a camera for none
        level, found = Level.FAIL, DETAILS["blind"]
    exposure = Finding(check="exposure", device=one.name, level=level, found=found, value=mean, limit=DARK_LEVEL)
    if len(one.grey) < 2:
        return [exposure]
    moved = max(_apart(before, after) for before, after in itertools.pairwise(one.grey))
    # A lens sees noise at least: two pictures that are the same to the last bit come from a buffer, not from light.
    level = Level.OK if moved > 0 else Level.WARN
    return [
        exposure,
        Finding(
            check="alive",
            device=one.name,
            level=level,
            found=Text(f"differs by {moved:.2f} of 255", f"相邻画面相差 {moved:.2f}/255"),
            value=moved,
        ),
    ]


def moves(frames: Sequence[ThermalFrame]) -> Finding:
    """Returns whether the thermal sensor's frames change and can be, as the robot judges it: what repeats itself is quiet, and not well."""
    watch, said = ThermalStuck(flooded=True), ""
    for frame in frames:
        said = watch.look(frame, frame.t_mono_ns / 1e9)
    found = (
        device_texts.said(f"thermal: {said}")
        if said
        else Text(f"none of {len(frames)} repeats", f"{len(frames)} 帧无重复")
    )
    return Finding(check="alive", device="thermal", level=Level.FAIL if said else Level.OK, found=found)


def _apart(before: U8, after: U8) -> float:
    return float(np.abs(before.astype(np.int16) - after).mean()) if before.shape == after.shape else 255.0


def noise(frames: Sequence[F32], calibration: Calibration) -> Finding:
    """Returns the sensor's temporal noise beside the calibrated one: of the changes from frame to frame, over √2 (two frames' noise)."""
    expected_c = calibration.radiometry.netd_c
    if len(frames) < 4:
        found = Text(f"{len(frames)} frames are too few", f"仅 {len(frames)} 帧，不足以判断")
        return Finding(check="noise", device="thermal", level=Level.SKIP, found=found)
    changes = np.diff(np.stack(frames), axis=0)
    measured_c = _unmoved_sd(changes, calibration.radiometry.quantum_c) / math.sqrt(2)
    # What the wire rounds to is noise too, of a uniform distribution.
    floor_c = math.hypot(expected_c, calibration.radiometry.quantum_c / math.sqrt(12))
    level = graded(measured_c, NOISE_LOOK * floor_c, NOISE_BAD * floor_c)
    found = Text(
        f"{1000 * measured_c:.0f} mK, calibrated {1000 * expected_c:.0f} mK",
        f"{1000 * measured_c:.0f} mK，标定值 {1000 * expected_c:.0f} mK",
    )
    return Finding(
        check="noise",
        device="thermal",
        level=level,
        found=found,
        value=measured_c,
        unit="°C",
        limit=NOISE_BAD * floor_c,
    )


def _unmoved_sd(changes: F32, quantum_c: float) -> float:
    """Returns the standard deviation of what changed without anybody moving: people who pass close by cross most of the picture, but in
    any one frame they change fewer than half of its pixels, and by much more. Clipped at four standard deviations, first told by the
    median deviation, which a step of the wire's figures is too coarse for.
    """
    known = changes[np.isfinite(changes)]
    if known.size == 0:
        return math.inf
    least = max(quantum_c, 1e-3)
    spread = 1.4826 * float(np.median(np.abs(known)))
    for _ in range(3):
        spread = float(known[np.abs(known) <= 4 * max(spread, least)].std())
    return spread


def reference(frames: Sequence[ThermalFrame], calibration: Calibration, settings: Settings) -> Finding:
    """Returns what the reference plate says in corrected frames, by the robot's own tracker."""
    rules = settings.reference
    needed = rules.required and settings.screening.policy != "cohort"
    if calibration.reference is None:
        level = Level.FAIL if needed else Level.SKIP
        found = Text("no plate in the calibration", "标定中没有温度参考源")
        return Finding(check="reference", device="thermal", level=level, found=found)
    reflected_c = settings.measurement.reflected_c
    tracker = ReferenceTracker(
        calibration.reference,
        calibration.radiometry,
        settings.measurement.ambient_c if reflected_c is None else reflected_c,
        ReferenceRules(rules.smoothing_s, rules.tolerance_c, rules.spread_c),
    )
    state = None
    for frame in frames:
        state = tracker.observe(frame)
    if state is None or not state.valid:
        level = Level.FAIL if needed else Level.WARN
        found = same(state.detail) if state else Text("no frames", "无数据帧")
        return Finding(check="reference", device="thermal", level=level, found=found)
    correction = f"{state.correction_c:+.2f} ± {2 * state.uncertainty_c:.2f} °C"
    found = Text(f"correction {correction}", f"修正 {correction}")
    level = graded(abs(state.correction_c), rules.tolerance_c / 2, rules.tolerance_c)
    return Finding(
        check="reference",
        device="thermal",
        level=level,
        found=found,
        value=state.correction_c,
        unit="°C",
        limit=rules.tolerance_c,
    )


def ambient(settings: Settings) -> Finding:
    """Returns whether anybody may be screened at the air temperature of the settings."""
    (low_c, high_c), here_c = settings.screening.ambient_window_c, settings.measurement.ambient_c
    level = Level.OK if low_c <= here_c <= high_c else Level.FAIL
    found = Text(
        f"{here_c:g} °C by the settings, {low_c:g} to {high_c:g} °C allowed",
        f"配置为 {here_c:g} °C，允许 {low_c:g} 至 {high_c:g} °C",
    )
    return Finding(check="ambient", device="", level=level, found=found, value=here_c, unit="°C")


def plate(readings: Sequence[PlateReading], error: str) -> list[Finding]:
    """Returns what the reference plate's own controller says."""
    if error and not readings:
        return [Finding(check="open", device="plate", level=Level.FAIL, found=device_texts.said(error))]
    said = readings[-1]
    found = Text(
        f"{said.temp_c:.2f} °C, {'steady' if said.steady else 'not steady'}",
        f"{said.temp_c:.2f} °C，{'稳定' if said.steady else '未稳定'}",
    )
    level = Level.OK if said.steady else Level.WARN
    return [Finding(check="plate", device="plate", level=level, found=found, value=said.temp_c, unit="°C")]


def calibration_findings(calibration: Calibration, settings: Settings, now_utc: dt.datetime) -> list[Finding]:
    """Returns age, origin and registration residuals of the calibration."""
    made = dt.datetime.fromisoformat(calibration.created_utc)
    until = dt.datetime.fromisoformat(calibration.valid_until_utc)
    age_days, left_days = (now_utc - made).total_seconds() / 86400, (until - now_utc).total_seconds() / 86400
    refused = files.expired(calibration, now_utc) and settings.calibration.expired == "refuse"
    level = Level.FAIL if refused else Level.WARN if left_days < EXPIRES_SOON_DAYS else Level.OK
    found = Text(
        f"{calibration.id}: {age_days:.0f} days old, valid until {until.date()}",
        f"{calibration.id}：已 {age_days:.0f} 天，有效至 {until.date()}",
    )
    parts = ", ".join(calibration.nominal)
    parts_zh = "、".join(step_named(part, "zh") for part in calibration.nominal)
    findings = [
        Finding(check="calibration_age", device="", level=level, found=found, value=age_days, unit="days"),
        Finding(
            check="calibration_nominal",
            device="",
            level=Level.WARN if calibration.nominal else Level.OK,
            found=Text(f"from datasheets: {parts}", f"标称值：{parts_zh}") if parts else Text("measured", "实测"),
        ),
    ]
    optics = {
        name: calibration.cameras[name]
        for name in (camera.name for camera in settings.cameras)
        if name in calibration.cameras
    }
    for name, optic in (optics | {"thermal": calibration.thermal}).items():
        level = graded(optic.residual_px, RESIDUAL_LOOK_PX, RESIDUAL_BAD_PX)
        found = Text(f"residual {optic.residual_px:.2f} px when it was made", f"标定时残差 {optic.residual_px:.2f} px")
        findings.append(
            Finding(
                check="registration",
                device=name,
                level=level,
                found=found,
                value=optic.residual_px,
                unit="px",
                limit=RESIDUAL_BAD_PX,
            )
        )
    return findings


def inference(ms: float) -> Finding:
    """Returns the finding about one picture's time in the network."""
    level = graded(ms, INFERENCE_LOOK_MS, INFERENCE_BAD_MS)
    return Finding(
        check="inference",
        device="",
        level=level,
        found=Text(f"{ms:.1f} ms a picture", f"每幅 {ms:.1f} ms"),
        value=ms,
        unit="ms",
        limit=INFERENCE_BAD_MS,
    )


def disk(free_bytes: int, share: float) -> Finding:
    """Returns the finding about the room that is left where the events are."""
    level = graded(-free_bytes, -FREE_LOOK_BYTES, -FREE_BAD_BYTES)
    room = f"{free_bytes / 1e9:.1f} GB"
    found = Text(f"{room} free ({100 * share:.0f} %)", f"剩余 {room} ({100 * share:.0f} %)")
    return Finding(check="disk", device="", level=level, found=found, value=free_bytes, unit="B", limit=FREE_BAD_BYTES)


def disk_write(seconds: float | None, problem: Text | None) -> Finding:
    """Returns the finding about a small file's way to the disk, or why there is none."""
    if seconds is None:
        return Finding(check="disk_write", device="", level=Level.FAIL, found=problem or UNTOLD)
    level = graded(seconds, WRITE_LOOK_S, WRITE_BAD_S)
    found = Text(f"{1000 * seconds:.1f} ms for a durable write", f"落盘写入 {1000 * seconds:.1f} ms")
    return Finding(check="disk_write", device="", level=level, found=found, value=seconds, unit="s", limit=WRITE_BAD_S)


def evidence(problem: Text | None) -> Finding:
    """Returns whether what an alarm leaves behind could be kept. The robot screens and alarms without that."""
    level = Level.WARN if problem else Level.OK
    return Finding(check="evidence", device="", level=level, found=problem or Text("can be written", "可写入"))


def clock(synchronised: bool | None, error_s: float) -> Finding:
    """Returns whether the kernel's clock is disciplined (events carry its time)."""
    if synchronised is None:
        return Finding(check="clock", device="", level=Level.SKIP, found=UNTOLD)
    good = synchronised and error_s <= CLOCK_LOOK_S
    found = Text("not synchronised", "未同步")
    if synchronised:
        found = Text(f"at most {error_s:.2g} s off", f"误差不超过 {error_s:.2g} 秒")
    return Finding(
        check="clock", device="", level=Level.OK if good else Level.WARN, found=found, value=error_s, unit="s"
    )


def temperature(hottest_c: float | None) -> Finding:
    """Returns the finding about the computer's hottest sensor."""
    if hottest_c is None:
        return Finding(check="temperature", device="", level=Level.SKIP, found=UNTOLD)
    level = graded(hottest_c, HOT_LOOK_C, HOT_BAD_C)
    return Finding(
        check="temperature",
        device="",
        level=level,
        found=same(f"{hottest_c:.0f} °C"),
        value=hottest_c,
        unit="°C",
        limit=HOT_BAD_C,
    )


def power(flags: int | None) -> Finding:
    """Returns the finding about the Pi's throttling flags (bit 0 under-voltage now, 16 since the start; 2 and 18 throttled)."""
    if flags is None:
        return Finding(check="power", device="", level=Level.SKIP, found=UNTOLD)
    words = {
        0: Text("under-voltage now", "当前欠压"),
        2: Text("slowed down now", "当前已降频"),
        16: Text("under-voltage since the start", "开机后曾欠压"),
        18: Text("slowed down before", "曾降频"),
    }
    told = [text for bit, text in words.items() if flags >> bit & 1]
    level = Level.FAIL if flags & 0b101 else Level.WARN if told else Level.OK
    found = (
        Text(", ".join(one.en for one in told), "，".join(one.zh for one in told)) if told else Text("steady", "稳定")
    )
    return Finding(check="power", device="", level=level, found=found, value=float(flags))


def usb(device: str, mbit: float, kind: str) -> Finding:
    """Returns the finding about a device's USB speed; a camera needs the fast one, a thermal sensor sends 0.4 MB a second."""
    slow = kind == "camera" and mbit < USB_HIGH_MBIT
    limit = USB_HIGH_MBIT if kind == "camera" else None
    level = Level.FAIL if slow else Level.OK
    return Finding(
        check="usb", device=device, level=level, found=same(f"{mbit:g} Mbit/s"), value=mbit, unit="Mbit/s", limit=limit
    )


def account(service: str, *, is_root: bool) -> list[Finding]:
    """Returns under whose rights was looked: `service` is the account of the service, empty if it was that of whoever asks."""
    if service:
        found = Text(f"looked at as {service}, as the service runs", f"以服务账户 {service} 检查")
        return [Finding(check="account", device="", level=Level.OK, found=found)]
    if not is_root:
        return []
    found = Text(
        "looked at as root, who may open everything: whether the robot's own account may is not known; ask as that account "
        "(sudo -u ACCOUNT patrol doctor …)",
        "以 root 检查，root 可打开一切：机器人账户是否有权限未知；请以该账户检查 (sudo -u 账户 patrol doctor …)",
    )
    return [Finding(check="account", device="", level=Level.SKIP, found=found)]


def fit(findings: Sequence[Finding]) -> bool:
    """True when nothing is bad."""
    return all(finding.level is not Level.FAIL for finding in findings)
