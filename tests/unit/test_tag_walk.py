"""The walk with a tag: a place for each time it is held still, and for every other case the reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from tag_places import TAG, drawing

from calibration.board import TagSpec
from calibration.files import Calibration
from calibration.procedure import Guidance
from calibration.registration import RegistrationProcedure
from calibration.registration_solve import lens_of
from calibration.results import Say
from calibration.sighting import Sighting
from calibration.tag_walk import TagWalk
from calibration.texts import TEXTS
from robot.optics import Optic
from robot.types import F32, F64, CameraFrame, ThermalFrame

ROBOT = drawing(cameras=2, apart_deg=50.0)
BLANK = np.zeros((72, 128, 3), np.uint8)


class DrawnTag:
    """Stands in for the finder: what cameras see follows from where the tag is, without pictures."""

    def __init__(self, robot: Calibration) -> None:
        self.optics = {name: Optic(name, optic) for name, optic in robot.cameras.items()}
        self.thermal = Optic("thermal", robot.thermal)
        self.center: F64 | None = None
        self.spot_center: F64 | None = None
        self.spot_c = 60.0
        self.rise_px = 2.0
        self.hot: list[tuple[int, int]] = []
        """Dead pixels, row and column."""
        self.labels: dict[str, str] = {}
        """Under which name a camera's pictures come, where that is not its own."""
        self.diagnosis: Say | None = None

    def find(self, frame: CameraFrame) -> Sighting | Say | None:
        optic = self.optics[self.labels.get(frame.camera, frame.camera)]
        if self.center is None:
            return None
        corners = self.corners()
        if not optic.sees(corners).all():
            return None
        return Sighting((0, 1, 2, 3), optic.project(corners)[0], 60.0, self.rise_px)

    def diagnose(self, frame: CameraFrame) -> Say | None:
        return self.diagnosis

    def corners(self) -> F64:
        assert self.center is not None
        inward = self.center - np.array([0.0, 0.0, 1.0])
        inward /= np.linalg.norm(inward)
        right = np.cross([0.0, 0.0, -1.0], inward)
        right /= np.linalg.norm(right)
        corners: F64 = self.center + TAG.corners_m() @ np.stack([right, np.cross(inward, right), inward])
        return corners

    def heat(self) -> F32:
        rows, columns = np.indices((self.thermal.height_px, self.thermal.width_px))
        image = np.random.default_rng(3).normal(23.0, 0.05, rows.shape)
        where = self.spot_center if self.spot_center is not None else self.center
        if where is not None and self.thermal.sees(where[None])[0]:
            x, y = self.thermal.project(where[None])[0][0]
            image += (self.spot_c - 23.0) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 1.8**2)
        for place in self.hot:
            image[place] = 105.0
        return image.astype(np.float32)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> DrawnTag:
    return DrawnTag(ROBOT)


@pytest.fixture
def walk(drawn: DrawnTag) -> TagWalk:
    thermal = ROBOT.thermal
    cameras = {name: lens_of(optic) for name, optic in ROBOT.cameras.items()}
    made = TagWalk(TagSpec(), lens_of(thermal), (thermal.width_px, thermal.height_px), cameras, ROBOT.radiometry)
    made._finder = drawn  # type: ignore[assignment]
    return made


CLOCK = itertools.count(1)


def moments(
    drawn: DrawnTag, seconds: float, thermal: bool = True
) -> Iterator[tuple[list[CameraFrame], list[ThermalFrame]]]:
    for _ in range(round(seconds * 10)):
        now_ns = next(CLOCK) * 100_000_000
        frames = [CameraFrame(name, 1, now_ns, BLANK, (1280, 720)) for name in drawn.optics]
        yield frames, [ThermalFrame(1, now_ns, drawn.heat())] if thermal else []


def hold(walk: TagWalk, drawn: DrawnTag, seconds: float = 1.5, thermal: bool = True) -> str | None:
    """Returns the newest refusal while nothing was taken; "taken" otherwise."""
    taken, refusals = False, []
    for frames, thermals in moments(drawn, seconds, thermal):
        taken |= walk.offer(frames, thermals)
        refusals.append(walk.refusal)
    if taken:
        return "taken"
    newest = refusals[-1]
    assert newest is None or newest.key in TEXTS
    return None if newest is None else newest.key


def away(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center = None
    hold(walk, drawn)


def ahead(x: float = 0.0, y: float = 0.0, range_m: float = 1.2) -> F64:
    """A place in the thermal view; x and y as shares of it from its middle."""
    thermal = Optic("thermal", ROBOT.thermal)
    pixel = np.array([[(0.5 + x) * thermal.width_px, (0.5 + y) * thermal.height_px]])
    place: F64 = thermal.position_m + thermal.rays(pixel)[0] * range_m
    return place


def test_held_still_is_taken_once_and_averaged(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center = ahead(0.2, 0.1)
    assert hold(walk, drawn) == "taken"
    assert hold(walk, drawn) == "no.same_place"
    assert len(walk.places) == 1
    spot = walk.places[0].spot
    assert spot is not None
    true_px = drawn.thermal.project(drawn.center[None])[0][0]
    assert np.hypot(spot[0] - true_px[0], spot[1] - true_px[1]) < 0.05
    assert walk.places[0].range_m == pytest.approx(1.2, abs=0.02)


def test_hot_pixels_are_no_warm_spot(walk: TagWalk, drawn: DrawnTag) -> None:
    """One that stands alone is left out by itself; three beside each other are once the radiometry knows of them."""
    drawn.center, drawn.hot = ahead(0.1, 0.1), [(60, 92)]
    assert hold(walk, drawn) == "taken"
    true_px = drawn.thermal.project(drawn.center[None])[0][0]
    spot = walk.places[-1].spot
    assert spot is not None and np.hypot(spot[0] - true_px[0], spot[1] - true_px[1]) < 0.05
    away(walk, drawn)
    drawn.center, drawn.hot = ahead(-0.1, 0.1), [(70, 70), (70, 71), (71, 70)]
    known = msgspec.structs.replace(ROBOT.radiometry, dead_pixels=drawn.hot)
    cameras = {name: lens_of(optic) for name, optic in ROBOT.cameras.items()}
    again = TagWalk(TagSpec(), lens_of(ROBOT.thermal), (160, 120), cameras, known)
    again._finder = drawn  # type: ignore[assignment]
    assert hold(again, drawn) == "taken"
    true_px = drawn.thermal.project(drawn.center[None])[0][0]
    spot = again.places[-1].spot
    assert spot is not None and np.hypot(spot[0] - true_px[0], spot[1] - true_px[1]) < 0.05


def test_a_moving_tag_is_refused(walk: TagWalk, drawn: DrawnTag) -> None:
    for step in range(15):
        drawn.center = ahead(-0.2 + 0.025 * step)
        assert hold(walk, drawn, 0.1) != "taken"
    assert walk.refusal is not None and walk.refusal.key == "no.tag_moves"


def test_a_blurred_tag_is_refused(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center, drawn.rise_px = ahead(), 9.0
    assert hold(walk, drawn) == "no.tag_blurred"


def test_a_cold_or_covered_spot_is_refused(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center, drawn.spot_c = ahead(0.0, 0.1), 23.0
    seen_by = [optic.name for optic in drawn.optics.values() if optic.sees(drawn.corners()).all()]
    assert len(seen_by) == 1
    assert hold(walk, drawn) == "no.spot_not_seen"


def test_something_else_warm_is_refused(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center, drawn.spot_center = ahead(-0.35, 0.2), ahead(0.35, -0.3)
    assert hold(walk, drawn) == "no.spot_elsewhere"


def test_without_thermal_frames_the_sensor_is_named(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center = ahead(0.0, 0.1)
    assert hold(walk, drawn, thermal=False) == "no.no_thermal"


def test_one_camera_alone_outside_the_thermal_view_ties_nothing(walk: TagWalk, drawn: DrawnTag) -> None:
    side = drawn.optics["cam0"]
    drawn.center = side.position_m + side.rays(np.array([[1000.0, 300.0]]))[0] * 1.2
    assert not drawn.thermal.sees(drawn.center[None])[0]
    assert hold(walk, drawn) == "no.one_camera_only"


def test_swapped_cameras_are_named(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.labels = {"cam0": "cam1", "cam1": "cam0"}
    drawn.center = ahead(0.1, 0.1)
    assert hold(walk, drawn) == "no.swapped"
    assert walk.refusal is not None
    assert dict(walk.refusal.values) == {"camera": "cam0", "other": "cam1"}


def test_cameras_that_disagree_are_refused(walk: TagWalk, drawn: DrawnTag) -> None:
    one, other = drawn.optics["cam0"], drawn.optics["cam1"]
    middle = one.rotation[2] + other.rotation[2]
    drawn.center = one.position_m + middle / np.linalg.norm(middle) * 1.5
    assert all(optic.sees(drawn.corners()).all() for optic in (one, other))
    drawn.labels = {"cam0": "cam1", "cam1": "cam0"}
    assert hold(walk, drawn) == "no.cameras_disagree"


def test_a_foreign_target_is_diagnosed(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.diagnosis = Say("no.mirrored")
    keys = set()
    for frames, thermals in moments(drawn, 2.5):
        walk.offer(frames, thermals)
        keys.add(None if walk.refusal is None else walk.refusal.key)
    assert "no.mirrored" in keys


def test_memory_is_bounded(walk: TagWalk, drawn: DrawnTag) -> None:
    drawn.center = ahead()
    hold(walk, drawn, 20.0)
    assert len(walk._thermals) <= 60 and all(len(seen.sightings) <= 60 for seen in walk._seen.values())


CELL_PLACES = {
    "upper_left": (-0.3, -0.2), "upper": (0.0, -0.2), "upper_right": (0.3, -0.2),
    "lower_left": (-0.3, 0.25), "lower": (0.0, 0.25), "lower_right": (0.3, 0.25),
}  # fmt: skip


def follow(procedure: RegistrationProcedure, drawn: DrawnTag, holds: int, ties: bool = True) -> tuple[Guidance, int]:
    """Holds the tag where the tool asks for it first, or, without `ties`, elsewhere ahead where it is to be between two cameras; returns
    its last words and how often the tag was held."""
    procedure._walk._finder = drawn  # type: ignore[assignment]
    rng = np.random.default_rng(2)
    guidance = procedure.offer([], [], 0)
    for held in range(holds):
        if guidance.done:
            return guidance, held
        first = guidance.todo[0]
        assert first.key in TEXTS
        TEXTS[first.key].zh.format(**first.values)
        if first.key == "do.tag_between" and ties:
            one, other = (drawn.optics[str(first.values[name])] for name in ("one", "other"))
            middle = one.rotation[2] + other.rotation[2] + np.array([0.0, 0.0, 0.15])
            drawn.center = one.position_m + middle / np.linalg.norm(middle) * rng.uniform(1.2, 1.9)
        else:
            where = CELL_PLACES.get(first.key.removeprefix("do.tag_"), (float(rng.uniform(-0.3, 0.3)), 0.1))
            low, high = float(first.values.get("low_m", 0.5)), float(first.values.get("high_m", 2.5))
            jitter = rng.uniform(-0.05, 0.05, 2)
            drawn.center = ahead(where[0] + jitter[0], where[1] + jitter[1], 0.5 * low + 0.5 * min(high, 2.4))
        for frames, thermals in moments(drawn, 1.3):
            guidance = procedure.offer(frames, thermals, frames[0].t_mono_ns)
    return guidance, holds


def test_guidance_leads_through_the_whole_walk(drawn: DrawnTag) -> None:
    """Whoever does what is asked first is done in the end, with every cell and every camera covered."""
    procedure = RegistrationProcedure(ROBOT, "a4", 100.0)
    guidance = procedure.offer([], [], 0)
    assert not guidance.done and guidance.progress < 0.1 and guidance.todo
    assert "state.lenses" in {say.key for say in guidance.state}, "a nominal calibration: the lenses come first"
    measured = RegistrationProcedure(msgspec.structs.replace(ROBOT, nominal=["registration"]), "a4", 100.0)
    assert "state.lenses" not in {say.key for say in measured.offer([], [], 0).state}
    guidance, held = follow(procedure, drawn, 70)
    assert guidance.done and guidance.progress == 1.0 and held > 0, guidance.todo
    result = procedure.solve()
    assert result.passed and not [say for say in result.warnings if say.key == "warn.camera_unlinked"]
    assert {say.key for say in result.warnings} <= set(TEXTS)
    assert "fig.spot_photo" in [figure.title.key for figure in result.figures]
    assert sum(place.shot is not None for place in procedure._walk.places) == 3


def test_cameras_that_cannot_both_see_the_tag_are_given_up_however_much_is_held_elsewhere() -> None:
    robot = drawing(cameras=3, apart_deg=50.0)
    drawn = DrawnTag(robot)
    del drawn.optics["cam2"]
    procedure = RegistrationProcedure(robot, "a4", 100.0)
    guidance, held = follow(procedure, drawn, 120, ties=False)
    assert guidance.done and guidance.todo, "it says what is missing, and goes on without it"
    assert 60 / 1.3 < held < 90
    (said,) = (say for say in procedure.solve().warnings if say.key == "warn.camera_unlinked")
    assert said.values["camera"] == "cam2"
