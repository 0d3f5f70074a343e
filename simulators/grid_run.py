"""Runs the grid: the robot's own pipeline on every cell, in simulated time, on as many processes as there are cores.

Only the cameras that see what the thermal sensor sees take part: nobody in the grid stands anywhere else.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from functools import cache

import cv2
import msgspec

from models.prepare import prepared
from models.session import YuNetSession
from robot.detect import Detector
from robot.front import overlapping_cameras
from robot.optics import Optic as CalibratedOptic
from simulators.grid import DURATION_S, Cell, stage
from simulators.grid_score import Outcome, outcomes
from simulators.nameplate import calibration_of
from simulators.rehearsal import Rehearsal, settings_of
from simulators.rig import load_rig
from simulators.scene import Scene

RIGS = ("mi1602", "mlx90640")
"""One of each sensor family: SenXor, and the GY-MCU90640 with its MLX90640."""


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One cell with one sensor, with its reference plate in use or not."""

    cell: Cell
    rig: str
    reference: bool
    seed: int


def jobs(cells: Sequence[Cell], rigs: Sequence[str], seed: int, repeats: int) -> list[Job]:
    """Returns every run of the grid; each repeat draws other people and another sensor offset."""
    return [
        Job(cell, rig, reference, seed + repeat)
        for repeat in range(repeats)
        for rig in rigs
        for reference in (True, False)
        for cell in cells
    ]


def play(job: Job) -> list[Outcome]:
    """Returns what became of a cell's subjects in one run."""
    cv2.setNumThreads(1)
    rig = load_rig(job.rig, job.seed)
    staged = stage(job.cell, rig, job.seed)
    scenario = staged.scenario
    calibration = calibration_of(rig, "grid", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), scenario.physiology.sd_c)
    lenses = {name: CalibratedOptic(name, optic) for name, optic in calibration.cameras.items()}
    front = overlapping_cameras(lenses, CalibratedOptic("thermal", calibration.thermal))
    rig = dataclasses.replace(rig, cameras=tuple(optic for optic in rig.cameras if optic.name in front))
    settings = settings_of(rig, scenario, scenario.ambient_c, scenario.humidity)
    if not job.reference:
        calibration = msgspec.structs.replace(calibration, reference=None)
        settings = msgspec.structs.replace(
            settings, reference=msgspec.structs.replace(settings.reference, required=False)
        )
    detection = settings.detection
    detector = Detector(
        _session(settings.cameras[0].network_px), score_min=detection.score_min, nms_iou=detection.nms_iou
    )
    scene = Scene(scenario, scenario.seed)
    truth, events = Rehearsal(scene, rig, calibration, settings, detector).run(DURATION_S)
    return outcomes(staged, job.rig, job.reference, truth, _decoded(events))


def _decoded(events: Iterable[bytes]) -> list[dict[str, object]]:
    return [msgspec.json.decode(event, type=dict[str, object]) for event in events]


@cache
def _session(network_px: tuple[int, int]) -> YuNetSession:
    return YuNetSession(prepared(*network_px), slots=1)
