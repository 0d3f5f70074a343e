"""What `patrol doctor` makes of what devices sent while they were watched: rates, time stamps, pictures, noise, the plate. Pure: others measure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from calibration.files import Calibration, OpticCalibration
from robot import device_texts
from robot.config import Settings
from robot.doctor.checks import Finding, Level, graded, same
from robot.health import RATE_SHARE
from robot.reference import ReferenceRules, ReferenceTracker
from robot.rules import conditions
from robot.sharpness import BLURRED_AT, LOST_AT
from robot.stuck import ThermalStuck
from robot.texts import DETAILS, Text
from robot.types import (
    F32,
    U8,
    PlateReading,
    ThermalFrame,
)

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
    spread: float | None = None
    """By how much the sharpest of these spreads a point, share of its width; None where too few edges tell."""


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
    """Returns exposure and sharpness of a camera, and whether its picture changes."""
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
    found_so_far = [exposure] if one.blind else [exposure, _sharpness(one)]
    if len(one.grey) < 2:
        return found_so_far
    moved = max(_apart(before, after) for before, after in itertools.pairwise(one.grey))
    # A lens sees noise at least: two pictures that are the same to the last bit come from a buffer, not from light.
    level = Level.OK if moved > 0 else Level.WARN
    return [
        *found_so_far,
        Finding(
            check="alive",
            device=one.name,
            level=level,
            found=Text(f"differs by {moved:.2f} of 255", f"相邻画面相差 {moved:.2f}/255"),
            value=moved,
        ),
    ]


def _sharpness(one: Stream) -> Finding:
    if one.spread is None:
        found = Text("too few edges in the picture to tell", "画面中边缘过少，无法判断")
        return Finding(check="sharpness", device=one.name, level=Level.SKIP, found=found)
    share = f"{100 * one.spread:.2f} %"
    found = Text(f"spread {share} of the width", f"模糊宽度为画面宽度的 {share}")
    if one.spread > BLURRED_AT:
        found = DETAILS["blurred"]
    level = graded(one.spread, BLURRED_AT, LOST_AT)
    return Finding(check="sharpness", device=one.name, level=level, found=found, value=one.spread, limit=BLURRED_AT)


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
    """Returns the sensor's temporal noise beside the calibrated one: of the changes over two frames, over √2 (two frames' noise). From one
    frame to the next half the pixels of an MLX90640 are the same."""
    expected_c = calibration.radiometry.netd_c
    if len(frames) < 4:
        found = Text(f"{len(frames)} frames are too few", f"仅 {len(frames)} 帧，不足以判断")
        return Finding(check="noise", device="thermal", level=Level.SKIP, found=found)
    stack = np.stack(frames)
    changes = stack[2:] - stack[:-2]
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
    tracker = ReferenceTracker(
        calibration.reference,
        calibration.radiometry,
        conditions(settings).surroundings_c,
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
