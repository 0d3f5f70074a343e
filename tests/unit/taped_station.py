"""A robot whose tape is recorded, for tests of recordings."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from small_station import Eyes, calibration, settings, thermal_frame

from calibration import files
from calibration.files import Calibration
from drivers.jpeg_image import decode as decode_jpeg
from robot.config import RecordSettings, Settings, ZoneSettings
from robot.outcome import StepResult
from robot.record import Recorder
from robot.record_files import Run
from robot.replay import Parts, Replayed, replay
from robot.tape import Acted, Ids, TapedPipeline
from robot.types import CameraShot, MapPosition, NoPosition, PlateReading, PositionReading

TENTH_NS = 100_000_000
RUNS = (f"{number:08}" for number in itertools.count())
PEOPLE = [(1.2, 0.0, 1.6, 38.0)]


def picture(seed: int) -> bytes:
    image = np.random.default_rng(seed).integers(0, 255, (72, 128, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def shot(seq: int, t_ns: int) -> CameraShot:
    jpeg = picture(seq)
    return CameraShot("front", seq, t_ns, (128, 72), lambda scale: decode_jpeg(jpeg, scale), jpeg)


HALL = ZoneSettings(name="hall", name_zh="大厅", corners_m=((0, -9), (9, -9), (9, 9), (0, 9)))


def position_at(index: int) -> MapPosition | NoPosition | None:
    """A base that moves, is silent for a while, and loses itself at the end."""
    return NoPosition("lost") if index > 50 else None if 10 < index < 45 else MapPosition(0.2 * index, 1.0)


class Station:
    """A taped pipeline that is stepped as the program does it."""

    def __init__(
        self, folder: Path, known: Settings | None = None, measured: Calibration | None = None, **values: Any
    ) -> None:
        self.settings, self.calibration = known or settings(), measured or calibration()
        folder.mkdir(exist_ok=True)
        file = folder / "calibration.json"
        files.save(self.calibration, file)
        self.calibration = files.load(file)
        run = Run(
            next(RUNS), "r1", TENTH_NS, 7, {"software": "1"}, msgspec.json.encode(self.settings), file.read_bytes()
        )
        self.folder = folder / "rec"
        options = RecordSettings(**{"mode": "continuous", "folder": str(self.folder), **values})
        self.recorder = Recorder(options, run, self.calibration)
        self.ids = Ids(run.run, "alarm"), Ids(run.run, "event")
        self.pipeline = TapedPipeline(
            self.settings, self.calibration, Eyes(lambda _: PEOPLE), TENTH_NS, self.ids[0], None, self.recorder
        )

    def run(self, steps: int, then: Callable[[], None] = lambda: None) -> None:
        from robot import events
        from robot.report import step_data

        factory = events.EventFactory(self.settings.robot.name, self.settings.robot.place, 7, self.ids[1])

        def acted(result: StepResult, now_ns: int) -> None:
            made = [
                events.encode(
                    factory.make(
                        data, t_unix_ns=now_ns + 3, t_mono_ns=now_ns + 2, place=self.pipeline.place(now_ns + 2)
                    )
                )
                for data in step_data(result, self.calibration.id, now_ns + 2, now_ns + 2, now_ns + 3)
            ]
            given = factory.next_seq, self.ids[0].used, self.ids[1].used
            self.recorder.tell(Acted(now_ns + 2, now_ns + 3, *given), made)

        self.pipeline.warn(("calibration_nominal",))
        for index in range(1, steps + 1):
            now_ns = (index + 1) * TENTH_NS
            if self.settings.place.source and (position := position_at(index)) is not None:
                self.pipeline.hear_position(PositionReading(index, now_ns - 3, position))
            acted(self.pipeline.step([], [thermal_frame(now_ns - 5, PEOPLE)], now_ns), now_ns)
            acted(self.pipeline.step([shot(index, now_ns)], [], now_ns + 10), now_ns + 10)
            self.pipeline.charge(1000 * index)
            self.pipeline.hear_plate(PlateReading(index, now_ns, 35.0, True))
        then()
        acted(self.pipeline.finish((steps + 3) * TENTH_NS), (steps + 3) * TENTH_NS)
        self.recorder.close()
        assert not self.recorder.problem

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.mcap"))


def parts() -> Parts:
    return Parts(decode_jpeg, lambda _settings: (Eyes(lambda _: PEOPLE), None), lambda *_: {"software": "1"})  # type: ignore[arg-type,return-value]


def played(station: Station, **values: Any) -> Replayed:
    return replay(station.files, parts(), **values)
