"""The benches in their smallest form, on a recording made by hand: right figures and keys, never a bound on time."""

from __future__ import annotations

import gc
import json
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_faces import draw_face
from small_station import SQUARE, Eyes, S, calibration, settings, thermal_frame

from calibration.files import Calibration
from models.prepare import prepared
from models.published import PublishedSession
from models.session import YuNetSession
from robot.bench import memory, perception, scale, stages
from robot.bench.perception import Agreement
from robot.bench.station import Parts, Recording, Tick, looking_at_all, read_pictures, with_pictures
from robot.detect import Detector
from robot.errors import ConfigError
from robot.optics import Optic
from robot.pipeline import Pipeline
from robot.types import F32, U8, CameraFrame, CameraShot, Faces

SIZE_PX = (320, 192)


@pytest.fixture
def parts(yunet_path: Path) -> Parts:
    def never(*_: str) -> object:
        raise AssertionError("no device is opened here")

    return Parts(
        never,  # type: ignore[arg-type]
        never,  # type: ignore[arg-type]
        lambda size_px, slots: YuNetSession(prepared(*size_px), slots=slots),
        lambda size_px, slots: PublishedSession(yunet_path, *size_px, slots=slots),
        yunet_path,
    )


def picture(faces: int) -> U8:
    image = np.full((480, 640, 3), 110, np.uint8)
    for index in range(faces):
        draw_face(image, (110.0 + 200 * index, 240.0), 110, seed=index)
    return image


def shot(t_ns: int, image: U8) -> CameraShot:
    _, jpeg = cv2.imencode(".jpg", image)
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2}

    def load(scale: int) -> tuple[U8, tuple[int, int]]:
        return cv2.imdecode(jpeg, flags[min(scale, 2)]).astype(np.uint8), (640, 480)  # type: ignore[union-attr]

    return CameraShot("front", 0, t_ns, (640, 480), load)


@pytest.fixture
def recording() -> Recording:
    ticks = [
        Tick((shot(100 * S + n * S // 9, picture(n % 3)),), thermal_frame(100 * S + n * S // 9, [])) for n in range(4)
    ]
    known: Calibration = calibration()
    return Recording(looking_at_all(settings()), known, tuple(ticks), "by hand")


def test_perception_gives_every_figure(parts: Parts, recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perception, "LEAD_IN", 1)
    figures = perception.run_bench(parts, recording, [SIZE_PX], rounds=2)
    assert json.loads(json.dumps(figures)) == figures
    assert figures["ticks"] == 6
    part = figures["320x192"]
    assert part["faces"] == part["faces_opencv"] == 2 * (1 + 2 + 0)
    assert part["same_faces"]
    for name in ("tick", "bare", "opencv", "tick_from_jpeg", "session_run_bound", "session_run_plain", "prepared"):
        assert part[f"{name}_ms"] > 0
    assert part["bare_ms"] == min(part["session_run_bound_ms"], part["session_run_plain_ms"])
    assert math.isclose(part["tick_over_prepared"], part["tick_ms"] / part["prepared_ms"], rel_tol=0.01)
    assert math.isclose(part["tick_over_bare"], part["tick_ms"] / part["bare_ms"], rel_tol=0.01)
    assert math.isclose(part["opencv_over_tick"], part["opencv_ms"] / part["tick_ms"], rel_tol=0.01)
    assert {"fit", "network", "decode", "locate", "track", "rest"} <= set(part["stages_ms"])
    assert part["tracks"] >= 1
    kept = part["tick_over_bare"] <= 1.35 and part["opencv_over_tick"] >= 2
    assert part["passed"] == kept == perception.passed(figures)


def faces(boxes: list[list[float]], scores: list[float]) -> Faces:
    places = np.array(boxes, np.float32).reshape(-1, 4)
    landmarks = np.repeat(places[:, None, :2], 5, axis=1)
    return Faces("front", 0, places, landmarks, np.array(scores, np.float32))


def rows(found: Faces) -> F32:
    half = np.float32(0.5)
    places = np.concatenate([found.boxes_px * half, found.landmarks_px.reshape(-1, 10) * half], axis=1)
    return np.concatenate([places, found.scores[:, None]], axis=1)


@pytest.mark.parametrize(
    ("ours", "same"),
    [
        (faces([[10, 10, 40, 50], [200, 20, 60, 70]], [0.9, 0.8]), True),
        (faces([[200, 20, 60, 70], [11.9, 10, 40, 50]], [0.8, 0.9]), True),
        (faces([[10, 10, 40, 50]], [0.9]), False),
        (faces([[10, 10, 40, 50], [203, 20, 60, 70]], [0.9, 0.8]), False),
        (faces([[10, 10, 40, 50], [200, 20, 60, 70]], [0.9, 0.802]), False),
    ],
)
def test_same_faces_are_those_within_a_pixel_of_the_input(recording: Recording, ours: Faces, same: bool) -> None:
    agreement = Agreement()
    tick = recording.ticks[0]
    agreement.add([ours], [rows(faces([[10, 10, 40, 50], [200, 20, 60, 70]], [0.9, 0.8]))], (320, 240), tick)
    assert agreement.same == same


def test_scale_shows_the_faces_that_were_asked_for(parts: Parts, recording: Recording) -> None:
    figures = scale.run_bench(parts, recording, cameras=[1, 2], faces=[0, 3], rounds=1, lead_in=4)
    assert json.loads(json.dumps(figures)) == figures
    found = {(row["cameras"], row["faces_shown"]): row for row in figures["rows"]}
    assert set(found) == {(1, 0), (1, 3), (2, 0), (2, 3)}
    for (_, shown), row in found.items():
        assert row["faces_found"] == shown
        assert row["tracks"] == shown
        assert row["tick_ms"] > 0
    for count in (1, 2):
        assert math.isclose(
            figures["growth"][str(count)], found[count, 3]["tick_ms"] / found[count, 0]["tick_ms"], rel_tol=0.01
        )
    assert not scale.passed(figures | {"growth": {"5": 2.1}})
    assert scale.passed(figures | {"growth": {"5": 1.9}})


def test_turned_lenses_look_around_the_robot() -> None:
    front = calibration().cameras["front"]
    left = Optic("left", scale.turned(front, math.pi / 2))
    assert left.sees(np.array([[0.0, 2.0, 1.5]])).all()
    assert not left.sees(np.array([[2.0, 0.0, 1.5]])).any()


def test_pictures_of_a_folder_take_the_place_of_the_cameras(recording: Recording, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 200, 3), 50, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((100, 200, 3), 200, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    changed = with_pictures(recording, read_pictures(tmp_path))
    means = []
    for tick in changed.ticks:
        frame = tick.shots[0].decode(2)
        assert frame is not None
        assert frame.full_size_px == (640, 480)
        assert frame.image_bgr.shape == (240, 320, 3)
        means.append(round(float(frame.image_bgr.mean()), -1))
    assert means == [50, 200, 50, 200]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="no picture"):
        read_pictures(empty)
    with pytest.raises(ConfigError, match="name a folder"):
        read_pictures(tmp_path / "nowhere")


def test_stopwatch_counts_a_stage_without_what_it_calls_and_is_gone_afterwards() -> None:
    watch = stages.Stopwatch()

    def work() -> int:
        return sum(range(200_000))

    inner = watch.timed("inner", work)
    outer = watch.timed("outer", inner)
    outer()
    taken = watch.take_ms()
    assert taken["outer"] < taken["inner"]
    assert watch.take_ms() == {}
    before = Detector.detect, stages._resolve("robot.detect:suppress")[0].suppress
    with stages.watched(watch):
        assert stages._resolve("robot.detect:suppress")[0].suppress is not before[1]
    assert (Detector.detect, stages._resolve("robot.detect:suppress")[0].suppress) == before


def growth_bytes(step: Callable[[int], object], settle: int, times: int) -> int:
    """Returns by how much Python's and NumPy's memory grows over `times` steps, after `settle` of them.

    Three spans are measured and the least is taken, three times: what grows grows in all of them, while what happens once (another test's
    thread that ends meanwhile) is no growth.
    """
    tracemalloc.start()
    try:
        for number in range(settle):
            step(number)
        grown = []
        for span in range(3):
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for number in range(settle + span * (times // 3), settle + (span + 1) * (times // 3)):
                step(number)
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
        return 3 * min(grown)
    finally:
        tracemalloc.stop()


def test_memory_tells_a_pipeline_that_keeps_from_one_that_does_not(
    parts: Parts, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = memory.run_bench(parts, recording, minutes=0.15)
    assert json.loads(json.dumps(figures)) == figures
    assert figures["steps"] >= 70  # nine ticks a second
    assert figures["minutes"] == pytest.approx(0.15, abs=0.01)
    kept: list[bytes] = []
    step = Pipeline.step

    def hoarding(*arguments: object) -> object:
        kept.append(bytes(1000))
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "step", hoarding)
    leaking = memory.run_bench(parts, recording, minutes=0.15)
    assert leaking["traced_kb_per_min"] > figures["traced_kb_per_min"] + 500  # two steps a tick, 540 ticks a minute
    assert not memory.passed(leaking)


def test_detecting_for_ever_needs_no_more_memory(yunet_path: Path) -> None:
    detector = Detector(YuNetSession(prepared(64, 64), slots=2), score_min=0.01)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, size, np.uint8) for size in ((96, 128, 3), (256, 256, 3), (40, 60, 3))]
    frames = [CameraFrame("front", 0, 0, image, image.shape[1::-1]) for image in images]
    grown = growth_bytes(lambda number: detector.detect([frames[number % 3], frames[(number + 1) % 3]]), 300, 1500)
    assert grown < 10_000  # less than seven bytes a step


def test_a_pipeline_needs_no_more_memory_the_longer_it_runs() -> None:
    people = [(1.4, 0.3 * place, 1.5, 34.5) for place in (-1, 0, 1)]
    start_ns, step_ns = 100 * S, S // 9

    def visiting(t_ns: int) -> list[tuple[float, float, float, float]]:
        """People come and go: whoever left must be forgotten."""
        return people[: (t_ns - start_ns) // (3 * S) % 4]

    thermals = [thermal_frame(0, people[:count]) for count in range(4)]
    ids = iter(range(10**6))
    pipeline = Pipeline(looking_at_all(settings()), calibration(), Eyes(visiting), start_ns, lambda: str(next(ids)))

    def step(number: int) -> None:
        t_ns = start_ns + number * step_ns
        thermal = replace(thermals[len(visiting(t_ns))], t_mono_ns=t_ns, t_received_ns=t_ns)
        pipeline.step([empty_shot(t_ns)], [thermal], t_ns + 1)

    period = 4 * 3 * 9  # steps until everybody has come and gone: both looks are at the same moment of it
    grown = growth_bytes(step, period, 3 * period)
    assert pipeline.coverage.measured >= 9
    assert grown < 40_000


def empty_shot(t_ns: int) -> CameraShot:
    return CameraShot("front", 0, t_ns, (640, 480), lambda _: (SQUARE, (640, 480)))
