"""Frames that were measured in two halves: told from their digits, and faces that move put together again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from painted_face import THERMOMETER, VALID, painted, roi_at
from pipeline_run import FEBRILE_C, Run, person
from small_station import S, thermal_frame

from drivers.thermal_gymcu_codec import GymcuDecoder
from robot.face_sampling import sample_faces
from robot.halves import MEMORY_REFRESHES, HalfFrames, Halves
from robot.types import F32, NotMeasured, Reading, Reason, ThermalFrame, VerdictKind
from simulators.firmware_gymcu import GymcuFirmware
from simulators.render_thermal import ThermalRenderer
from simulators.rig import load_rig
from simulators.sub_pages import SubPages
from simulators.world import SceneState

RATE_HZ = 8.0
SHAPE = (24, 32)
WHITE = np.indices(SHAPE).sum(axis=0) % 2 == 0


def frames(count: int, *, in_halves: bool = True, dead: int = 12) -> list[ThermalFrame]:
    """Noise in steps of 0.01 °C, as the module's wire has them; some pixels never change."""
    random, pages = np.random.default_rng(1), SubPages(RATE_HZ)
    made = []
    for index in range(count):
        temp_c = np.round(random.normal(23.0, 0.15, SHAPE), 2).astype(np.float32)
        temp_c.flat[: dead * 31 : 31] = 80.0
        if in_halves:
            pages.keep(temp_c, index / RATE_HZ)
        made.append(ThermalFrame(index, round((10 + index / RATE_HZ) * S), temp_c))
    return made


def test_which_half_is_the_newer_one_is_told_by_what_has_not_changed() -> None:
    sensor = HalfFrames()
    first, *rest = [sensor.of(frame) for frame in frames(6)]
    assert first is None, "nothing to hold it against"
    for index, halves in enumerate(rest):
        assert halves is not None and halves.apart_s == pytest.approx(1 / RATE_HZ)
        np.testing.assert_array_equal(halves.newer, ~WHITE if index % 2 == 0 else WHITE)
    frame = frames(1)[0]
    assert Halves(WHITE, 0.125).dated(frame).t_mono_ns == frame.t_mono_ns - S // 16


def test_halves_are_told_of_what_the_simulated_module_sends() -> None:
    """Through its noise, its wire and the driver's decoder."""
    rig = load_rig("mlx90640", 3)
    renderer, module, decoder, sensor = (
        ThermalRenderer(rig, 3),
        GymcuFirmware(continuous=True),
        GymcuDecoder(),
        HalfFrames(),
    )
    told = []
    for index in range(6):
        t_s = index / rig.traits.rate_hz
        wire = module.frame(renderer.render(SceneState(t_s, (), 23.0, 0.5, ()), t_s))
        (sent,) = decoder.feed(wire, round(t_s * S))
        told.append(sensor.of(ThermalFrame(index, sent.t_mono_ns, sent.temp_c)))
    assert told[0] is None
    newer = [halves.newer[0, 0] for halves in told[1:] if halves is not None]
    assert newer in ([True, False] * 2 + [True], [False, True] * 2 + [False])


def test_a_sensor_that_measures_all_at_once_or_repeats_itself_has_none() -> None:
    sensor = HalfFrames()
    whole = frames(6, in_halves=False)
    assert not any(sensor.of(frame) for frame in whole)
    again = replace(whole[-1], t_mono_ns=whole[-1].t_mono_ns + S // 8)
    assert sensor.of(again) is None
    assert sensor.of(replace(again, temp_c=np.zeros((62, 80), np.float32))) is None, "another sensor"


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_over_frames_that_are_lost_turns_are_counted_and_not_for_ever(lost: int) -> None:
    sensor = HalfFrames()
    made = frames(8 + MEMORY_REFRESHES)
    told = [sensor.of(frame) for frame in made[:4]]
    after = sensor.of(made[4 + lost])
    assert told[3] is not None and after is not None
    assert (after.newer == told[3].newer).all() == (lost % 2 == 1)
    assert after.apart_s == told[3].apart_s
    assert sensor.of(replace(frames(1, in_halves=False, dead=0)[0], t_mono_ns=made[-1].t_mono_ns + 2 * S)) is None


def in_halves(newer: F32, older: F32) -> tuple[F32, Halves]:
    white = np.indices(newer.shape).sum(axis=0) % 2 == 0
    return np.where(white, newer, older), Halves(white, 0.125)


@pytest.mark.parametrize("apart_px", [(0.0, 0.0), (1.0, 0.0), (3.0, 0.0), (-5.5, 1.0), (2.0, -2.0)])
@pytest.mark.parametrize("face_px", [9.0, 22.0])
def test_a_face_that_goes_by_is_read_as_if_it_stood(apart_px: tuple[float, float], face_px: float) -> None:
    roi = roi_at(80.3, 60.2, face_px, halves_apart_px=apart_px)
    ahead, behind = (
        replace(roi, center_px=(80.3 + sign * apart_px[0] / 2, 60.2 + sign * apart_px[1] / 2)) for sign in (1, -1)
    )
    image, halves = in_halves(painted(ahead, 35.0, None), painted(behind, 35.0, None))
    still = sample_faces(ThermalFrame(0, 0, painted(roi, 35.0, None)), [roi])
    moving = sample_faces(ThermalFrame(0, 0, image), [roi], halves=halves)
    for name in still.maxima_c:
        assert moving.maxima_c[name][0] == pytest.approx(still.maxima_c[name][0], abs=0.15)
    assert moving.eyes_median_c[0] == pytest.approx(still.eyes_median_c[0], abs=0.15)
    if abs(apart_px[0]) > 0.5 * face_px:
        careless = sample_faces(ThermalFrame(0, 0, image), [roi])
        assert careless.eyes_median_c[0] < still.eyes_median_c[0] - 1.0


def test_a_face_that_went_otherwise_than_it_was_taken_to_is_not_read() -> None:
    roi = roi_at(80.3, 60.2, 12.0, halves_apart_px=(6.0, 0.0))
    ahead, behind = (painted(replace(roi, center_px=(80.3 + sign * 3.0, 60.2))) for sign in (1, -1))
    image, halves = in_halves(ahead, behind)
    for apart_x, read in ((6.0, True), (5.0, True), (0.0, False), (-6.0, False)):
        (found,) = THERMOMETER.read(
            ThermalFrame(0, 0, image), [replace(roi, halves_apart_px=(apart_x, 0.0))], VALID, halves
        )
        assert isinstance(found, Reading) == read, found
        assert read or (isinstance(found, NotMeasured) and found.reason is Reason.MOVING_BLUR)


def test_what_is_hot_or_beyond_the_picture_in_either_half_is_cut_out() -> None:
    roi = roi_at(80.0, 60.0, 22.0, halves_apart_px=(60.0, 0.0))
    image = painted(roi)
    for column in (110, 50):
        hot = image.copy()
        hot[60, column] = 90.0
        found = sample_faces(
            ThermalFrame(0, 0, hot), [roi], 1e6, Halves(np.indices(image.shape).sum(axis=0) % 2 == 0, 0.1)
        )
        assert found.hot_share[0] > 0
    beyond = replace(roi, halves_apart_px=(150.0, 0.0))
    assert sample_faces(ThermalFrame(0, 0, image), [beyond], halves=in_halves(image, image)[1]).hot_share[0] > 0


SPEED_M_S, LATE_S = 1.0, 1 / 9


def test_somebody_febrile_who_walks_past_a_sensor_that_measures_in_halves_is_alarmed_on() -> None:
    """The newer half of each frame is of its time stamp: what is learnt of that is not the halves' middle."""

    def walking(t_s: float) -> list[tuple[float, float, float, float]]:
        number, into_s = divmod(t_s - 7.0, 8.0)
        if number < 0 or into_s > 3.0:
            return []
        y_m = 1.5 - SPEED_M_S * into_s
        return [person(FEBRILE_C if number == 3 else 34.6, y_m=y_m if number % 2 else -y_m)]

    run, random, pages = Run(walking), np.random.default_rng(2), SubPages(9.0)

    def measured(frame: ThermalFrame) -> ThermalFrame:
        image = thermal_frame(frame.t_mono_ns, walking(frame.t_mono_ns / S)).temp_c
        image += random.normal(0.0, 0.08, image.shape).astype(np.float32)
        pages.keep(image, frame.t_mono_ns / S)
        return replace(frame, temp_c=image)

    run.thermal = measured
    run.run(7.0 + 4 * 8.0)
    assert run.pipeline.thermal_late_s == pytest.approx(0.0, abs=0.015)
    kinds = [placed.verdict.kind for placed in run.verdicts]
    assert kinds == [VerdictKind.NORMAL] * 3 + [VerdictKind.ELEVATED]
    assert len(run.raised) == 1
