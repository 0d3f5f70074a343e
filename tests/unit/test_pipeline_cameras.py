"""What the pipeline says of cameras that are lost, late, blind or out of focus, and which of them count."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import msgspec
import numpy as np
from pipeline_run import FEBRILE_C, NOBODY, TICK, Run, person, ready
from small_station import PLATE_C, Eyes, S, calibration, camera_shot, settings, thermal_frame

from calibration.files import Calibration
from robot.config import CameraSettings
from robot.front import overlapping_cameras
from robot.health import ALIVE_FLOOR_S, LATE_S, RECOVERY_S
from robot.optics import Optic
from robot.pipeline import Pipeline
from robot.texts import DETAILS
from robot.types import Screening, VerdictKind


def test_lost_cameras_are_loud() -> None:
    run = ready()
    for _ in range(round(18 * (ALIVE_FLOOR_S + 1.0))):
        run.step((), [thermal_frame(run.now_ns, NOBODY)])
        run.tick += 1
    assert run.reasons == ("no_camera",)


def test_a_camera_that_sees_nothing_is_loud() -> None:
    """A covered lens shows nobody, and must not look like an empty square."""
    run = ready()
    black, began_s = np.zeros((12, 16, 3), np.uint8), run.now_ns / S
    said_s = None
    for _ in range(9 * 4):
        shots = [camera_shot(run.now_ns, image=black)] if run.tick % 2 == 0 else []
        run.step(shots, [thermal_frame(run.now_ns, [person(FEBRILE_C)])])
        run.tick += 1
        if said_s is None and run.reasons == ("no_camera",):
            said_s = run.now_ns / S - began_s
    assert said_s is not None and said_s < 2.5
    assert "nothing" in run.pipeline.view().health.devices["front"].detail
    run.people = lambda t_s: NOBODY
    run.run(RECOVERY_S + 1.0)
    assert run.reasons == ()


def out_of_focus(run: Run, blur_px: float, seconds: float) -> float | None:
    """The front camera shows squares through such a lens; returns after how many seconds something was said of it."""
    squares = np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.ones((80, 80)))[..., None].repeat(3, axis=2)
    dull = cv2.GaussianBlur((60 + 120 * squares).astype(np.uint8), (0, 0), blur_px)
    began_s, said_s = run.now_ns / S, None
    for _ in range(round(18 * seconds)):
        shots = [camera_shot(run.now_ns, image=dull)] if run.tick % 2 == 0 else []
        run.step(shots, [thermal_frame(run.now_ns, NOBODY)])
        run.tick += 1
        if said_s is None and run.pipeline.view().health.devices["front"].detail == DETAILS["blurred"].en:
            said_s = run.now_ns / S - began_s
    return said_s


def test_a_camera_out_of_focus_is_loud() -> None:
    """Hardly anybody is found in its pictures, and must not look like hardly anybody being there."""
    run = ready()
    said_s = out_of_focus(run, 8.0, 10.0)
    assert said_s is not None and 3.0 < said_s < 9.0 and run.reasons == ("no_camera",)


def test_a_camera_somewhat_out_of_focus_is_said_while_screening_goes_on() -> None:
    run = ready()
    said_s = out_of_focus(run, 3.0, 10.0)
    assert said_s is not None and 3.0 < said_s < 9.0
    health = run.pipeline.view().health
    assert (health.reasons, health.warnings) == ((), ("lens_blurred",)) and health.devices["front"].valid
    assert out_of_focus(run, 0.5, 5.0) is not None, "it takes three seconds"
    assert run.pipeline.view().health.warnings == () and not run.pipeline.view().health.devices["front"].detail


def test_pictures_whose_times_do_not_rise_disturb_nobody() -> None:
    """A sender's clock that is set takes its pictures back by some tenths of a second, again and again."""
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    for number in range(round(4.0 * 9)):
        taken_ns = run.now_ns - round((0.6 if number % 3 == 2 else 0.0) * S)
        run.step([camera_shot(taken_ns)], [thermal_frame(run.now_ns, [person(FEBRILE_C)])])
        run.tick += 2
    assert run.reasons == () and len(run.raised) == 1 and len(run.verdicts) == 1


def test_late_pictures_are_not_looked_at_and_said_to_be_late() -> None:
    """They show somebody who has left; whoever stands there now must not be read under their face."""
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    looked_ns = [frame.t_mono_ns for frame, _ in run.pipeline.view().pictures.values()]

    def run_late(seconds: float, late_s: float) -> None:
        for _ in range(round(seconds * 9)):
            run.step([camera_shot(run.now_ns - round(late_s * S))], [thermal_frame(run.now_ns, [person(FEBRILE_C)])])
            run.tick += 2

    run_late(3.0, LATE_S + 0.5)
    health = run.pipeline.view().health
    (camera,) = (state for name, state in health.devices.items() if name not in ("thermal", "pipeline"))
    assert health.reasons == ("no_camera",) and not camera.valid and "late" in camera.detail
    assert [frame.t_mono_ns for frame, _ in run.pipeline.view().pictures.values()] == looked_ns
    assert not run.verdicts and not run.raised
    run.people = lambda t_s: NOBODY
    run.run(RECOVERY_S + 1.0)
    assert run.reasons == () and not run.verdicts


def test_who_comes_while_a_camera_recovers_is_judged_once_it_has() -> None:
    run = ready()
    for _ in range(3 * 18):  # thermal frames alone
        thermals = [thermal_frame(run.now_ns, (), plate_c=PLATE_C, known=run.known)] if run.tick % 2 == 0 else []
        run.step((), thermals)
        run.tick += 1
    assert run.reasons == ("no_camera",)
    back_s = run.now_ns / S
    run.people = lambda t_s: [person()]
    run.run(RECOVERY_S + 3.0)
    available_s = next(t_s for t_s, screening, _ in run.health if t_s > back_s and screening is Screening.AVAILABLE)
    judged = [t_s for t_s, result in run.results if result.verdicts]
    assert available_s >= back_s + RECOVERY_S, "it was said to be unavailable for a while"
    assert judged and judged[0] > available_s, "nobody is judged while it says so"
    assert run.verdicts[0].verdict.kind is VerdictKind.NORMAL


def test_a_camera_that_looks_elsewhere_is_said_once_nobody_shows_a_face() -> None:
    """It sends sharp pictures of the ceiling: nobody is seen, and the light would be green for ever."""
    run = ready()
    run.people = lambda t_s: [person(y_m=0.7 - 0.5 * (t_s % 3.0))] if t_s % 3.0 < 2.0 else NOBODY
    run.seen = lambda t_s: NOBODY
    run.run(50.0)
    assert run.pipeline.coverage.seen == 0 and run.pipeline.unmatched_warm >= 12
    assert run.pipeline.view().health.warnings == ("no_faces",)
    run.seen = None
    run.run(6.0)
    assert run.pipeline.view().health.warnings == () and run.pipeline.coverage.seen > 0


def test_only_cameras_that_see_what_the_thermal_sensor_sees_count_for_health() -> None:
    known = calibration()
    optics = {name: Optic(name, lens) for name, lens in known.cameras.items()}
    assert overlapping_cameras(optics, Optic("thermal", known.thermal)) == ["front"]


def test_a_neighbour_that_sees_a_corner_does_not_stand_in_for_the_camera_in_front() -> None:
    known = calibration()
    front = known.cameras["front"]
    beside = msgspec.structs.replace(front, cx_px=front.cx_px - 450.0)  # its picture begins far to the right
    optics = {name: Optic(name, lens) for name, lens in (("front", front), ("beside", beside))}
    thermal = Optic("thermal", known.thermal)
    assert optics["beside"].sees(thermal.grid_points_m(1.5)).any()
    assert overlapping_cameras(optics, thermal) == ["front"]
    assert overlapping_cameras({"beside": optics["beside"]}, thermal) == ["beside"], "better than nothing"
    assert overlapping_cameras(optics | {"spare": Optic("spare", front)}, thermal) == ["front", "spare"]


def test_of_two_cameras_in_front_a_lost_one_is_said_unless_the_other_sees_as_much() -> None:
    front = calibration().cameras["front"]
    left = msgspec.structs.replace(front, cx_px=front.cx_px + 300.0)
    right = msgspec.structs.replace(front, cx_px=front.cx_px - 300.0)
    for cameras, warnings in (
        ({"left": left, "right": right}, ("view_narrowed",)),
        ({"left": front, "right": front}, ()),
    ):
        known = calibration(cameras=cameras)
        made = msgspec.structs.replace(
            settings(), cameras=tuple(CameraSettings(name, f"v4l2:/dev/{name}") for name in cameras)
        )
        pipeline = Pipeline(made, known, Eyes(lambda t_ns: NOBODY, known), 0, lambda: "a")

        def run(names: Sequence[str], ticks: range, pipeline: Pipeline = pipeline, known: Calibration = known) -> None:
            for tick in ticks:
                now_ns = tick * TICK
                pipeline.step([], [thermal_frame(now_ns, NOBODY, known=known)], now_ns)
                pipeline.step([camera_shot(now_ns, name) for name in names], [], now_ns + 10)

        run(["left", "right"], range(18 * 6))
        health = pipeline.view().health
        assert (health.screening, health.warnings) == (Screening.AVAILABLE, ())
        run(["left"], range(18 * 6, 18 * 9))
        health = pipeline.view().health
        assert (health.screening, health.warnings) == (Screening.AVAILABLE, warnings)
