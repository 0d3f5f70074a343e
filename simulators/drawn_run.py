"""Plays drawn squares: the robot's own pipeline on each, in simulated time, on as many processes as there are cores."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tomllib
from pathlib import Path

import cv2
import msgspec
import numpy as np

from robot import config
from robot.attention import CROP_PX, CROPS_MAX
from robot.corrections import Conditions
from simulators import unknowns
from simulators.drawn_score import Outcome, outcomes
from simulators.drawn_squares import Square, mislaid
from simulators.nameplate import calibration_of
from simulators.rehearsal import Rehearsal, open_detector
from simulators.rig import load_rig
from simulators.robot_config import place_toml, robot_toml
from simulators.scene import Scene


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
    if not square.plate:
        rig = dataclasses.replace(rig, reference=dataclasses.replace(rig.reference, present=False))
    calibration = calibration_of(rig, "drawn", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), scenario.physiology.sd_c)
    known = Conditions(scenario.ambient_c, scenario.ambient_c, scenario.humidity, rig.traits.emissivity_skin)
    errors = unknowns.draw(np.random.default_rng(square.lens_seed), calibration, rig, known)
    calibration = mislaid(unknowns.misjudged(calibration, errors), square.lens_seed)
    addresses = {optic.name: f"http://127.0.0.1/{optic.name}.mjpg" for optic in rig.cameras}
    air_c = scenario.ambient_c + errors.air_c
    text = robot_toml(rig, addresses, "senxor:/dev/null", air_c, round(errors.humidity, 4), 0)
    place = place_toml(scenario.patrol, "pose:/dev/null" if scenario.patrol.drives else "")
    settings = config.parse(tomllib.loads(f"{text}\n{place}"), Path.cwd())
    rig = unknowns.in_truth(rig, errors)
    return Rehearsal(
        Scene(scenario, scenario.seed, rig),
        rig,
        calibration,
        settings,
        open_detector(settings, settings.cameras[0].network_px, len(rig.cameras)),
        open_detector(settings, CROP_PX, CROPS_MAX),
    )
