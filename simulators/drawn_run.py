"""Plays drawn squares: the robot's own pipeline on each, in simulated time, on as many processes as there are cores."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import cv2
import msgspec
import numpy as np

from calibration.files import Calibration
from robot.corrections import Conditions
from simulators import unknowns
from simulators.drawn_robots import at_site, started_anew
from simulators.drawn_score import Outcome, outcomes
from simulators.drawn_squares import Square, mislaid
from simulators.nameplate import calibration_of
from simulators.rehearsal import Rehearsal, open_detectors, settings_of
from simulators.rig import load_rig
from simulators.scene import Scene
from simulators.world import Rig


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One square, so many seconds of it, and where truth, events and people's outcomes are kept (None: nowhere)."""

    square: Square
    duration_s: float
    keep: Path | None = None


def play(job: Job) -> list[Outcome]:
    """Returns what became of everybody on one square."""
    cv2.setNumThreads(1)
    made = prepare(job.square)
    truth, events = made.run(job.duration_s)
    found = outcomes(job.square, truth, [msgspec.json.decode(event) for event in events])
    if job.keep is not None:
        encode = msgspec.json.Encoder().encode_lines
        for name, lines in (
            ("truth", encode(truth)),
            ("events", b"\n".join(events) + b"\n"),
            ("people", encode(found)),
        ):
            (job.keep / f"{made.scene.scenario.name}.{name}.jsonl").write_bytes(lines)
    return found


def prepare(square: Square) -> Rehearsal:
    """Returns the rehearsal of a square: the robot believes one thing of it, and another is true."""
    scenario = square.scenario
    rig = load_rig(scenario.rig, scenario.seed)
    if square.robot is not None:
        rig = started_anew(square.robot.rig, rig.traits.offset_c)
    if not square.plate:
        rig = dataclasses.replace(rig, reference=dataclasses.replace(rig.reference, present=False))
    calibration = _calibration(square, rig)
    known = Conditions(scenario.ambient_c, None, scenario.humidity, rig.traits.emissivity_skin)
    errors = unknowns.draw(np.random.default_rng(square.error_seed), calibration, rig, known)
    calibration = unknowns.misjudged(calibration, errors)
    air_c, humidity = scenario.ambient_c + errors.air_c, round(errors.humidity, 4)
    settings = settings_of(rig, scenario, air_c, humidity, square.told_reflected_c, square.reflected_sd_c)
    rig = unknowns.in_truth(rig, errors)
    return Rehearsal(Scene(scenario, scenario.seed, rig), rig, calibration, settings, *open_detectors(settings))


def _calibration(square: Square, rig: Rig) -> Calibration:
    """Returns what the robot goes by: its own calibration, or one made up of the rig, with lenses that are not quite where it has them."""
    sd_c = square.scenario.physiology.sd_c
    if square.robot is None:
        whole = calibration_of(rig, "drawn", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), sd_c)
        return mislaid(whole, square.error_seed)
    own = at_site(square.robot.calibration, sd_c)
    return own if square.plate else msgspec.structs.replace(own, reference=None)
