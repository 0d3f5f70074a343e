"""What `patrol doctor` makes of measured values: one finding a check, good, worth a look, or bad; of what devices sent in robot/doctor/streams.py. Pure: others measure.

Limits say what they are for; where health (robot/health.py) has the same one, it is taken from there.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence

import msgspec

from calibration import files
from calibration.files import Calibration
from calibration.refused import step_named
from robot.certificates import EXPIRED, SOON, Certificate
from robot.config import Settings
from robot.texts import Text

SCHEMA = "patrol.doctor/1"

RESIDUAL_LOOK_PX, RESIDUAL_BAD_PX = 1.0, 3.0
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
    """Key of robot/doctor/texts.py."""
    device: str
    level: Level
    found: Text
    """In words and numbers, for people."""
    value: float | None = None
    unit: str = ""
    limit: float | None = None


def same(text: str) -> Text:
    """Returns what reads alike in every language: numbers, names, and errors that are not a device's, which are in English as in the log."""
    return Text(text, text)


def graded(value: float, look: float, bad: float) -> Level:
    """Returns the level of a value that is better the smaller it is; NaN is bad."""
    return Level.OK if value <= look else Level.WARN if value <= bad else Level.FAIL


def ambient(settings: Settings) -> Finding:
    """Returns whether anybody may be screened at the air temperature of the settings."""
    (low_c, high_c), here_c = settings.screening.ambient_window_c, settings.measurement.ambient_c
    level = Level.OK if low_c <= here_c <= high_c else Level.FAIL
    found = Text(
        f"{here_c:g} °C by the settings, {low_c:g} to {high_c:g} °C allowed",
        f"配置为 {here_c:g} °C，允许 {low_c:g} 至 {high_c:g} °C",
    )
    return Finding(check="ambient", device="", level=level, found=found, value=here_c, unit="°C")


def calibration_findings(calibration: Calibration, settings: Settings, now_utc: dt.datetime) -> list[Finding]:
    """Returns age, origin and registration residuals of the calibration."""
    made = dt.datetime.fromisoformat(calibration.created_utc)
    until = dt.datetime.fromisoformat(calibration.valid_until_utc)
    age_days = (now_utc - made).total_seconds() / 86400
    refused = files.expired(calibration, now_utc) and settings.calibration.expired == "refuse"
    level = Level.FAIL if refused else Level.WARN if until - now_utc < SOON else Level.OK
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


def certificate(shown: Certificate, now_utc: dt.datetime) -> Finding:
    """Returns until when a TLS certificate is valid; one that has expired is refused by all who are to hear of alarms."""
    code = shown.code(now_utc)
    level = Level.FAIL if code == EXPIRED else Level.WARN if code else Level.OK
    return Finding(check="certificate", device="", level=level, found=shown.said(now_utc))


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
