"""The soak in simulated time: one pipeline and one store through many hours in a process, with faults as the drivers would let them through.

The same pipeline, events and store as on the robot; thermal frames are rendered, faces are the truth as wrong as the detector was measured
to be (simulators/week_run.py). Memory is that of a process which also holds the simulation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import platform
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soak_people
import soak_plan
import soak_verdict
from soak_plan import Planned

from robot.ending import Ending
from robot.events import Event, EventFactory, encode
from robot.outcome import Acknowledge, StepResult
from robot.pipeline import Pipeline
from robot.report import step_data
from robot.store import Store
from robot.types import U8, CameraFrame, Faces, PlateReading, ThermalFrame
from simulators.faces_thermal import _texture as drawn_faces
from simulators.faults import FaultPlan
from simulators.people import plans
from simulators.rehearsal import at_ns
from simulators.scenario import CrowdFile, Scenario
from simulators.score import score
from simulators.truth import Line, observe, person_line
from simulators.week_plan import Air, Day, Sensor, day
from simulators.week_run import World, equipment, schedule

SCENE_S = 600.0
"""A scene lasts so long, then another crowd comes: the simulation forgets the old one."""
KINDS = (
    *(kind for kind in (*soak_plan.THERMAL, *soak_plan.CAMERAS) if kind.device != "left"),
    soak_plan.Kind("plate_cold", "", loud=True),
)
GONE = ("stall", "unplug")
SILENT = ("torn", "flipped_bit", "lost_byte", "bad_checksum")
"""Frames that such faults strike never leave the driver."""
COLD_C = 24.0


class _Eyes:
    """Faces of the scene that is on."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.offset_ns = 0
        self.blind = False

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]:
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame: CameraFrame) -> Faces:
        if self.blind or self.world is None:
            empty = np.zeros((0, 4), np.float32)
            return Faces(frame.camera, frame.t_mono_ns, empty, np.zeros((0, 5, 2), np.float32), empty[:, 0])
        found = self.world.faces(frame.t_mono_ns - self.offset_ns)
        return dataclasses.replace(found, t_mono_ns=frame.t_mono_ns)


class FastSoak:
    """`run` plays the hours; samples are taken every `sample_s` simulated seconds."""

    def __init__(
        self,
        folder: Path,
        seconds: float,
        plan: Sequence[Planned],
        seed: int,
        sample_s: float,
        process_row: Callable[[int], Any],
    ) -> None:
        self.folder, self.seconds, self.plan, self.seed, self.sample_s = folder, seconds, tuple(plan), seed, sample_s
        self._process_row = process_row
        self._chance = random.Random(seed)
        self._images = FaultPlan.from_dicts(
            [
                {"kind": one.kind.name, "at_s": one.at_s, "for_s": one.for_s}
                for one in self.plan
                if one.kind.device == "thermal" and one.kind.name in ("flooded", "wrong_variant", "step")
            ],
            seed,
        )
        self.rows: list[dict[str, float]] = []
        self._interrupted = False
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._false_alarms = self._in_range = self._measured = 0

    def run(self, show: Callable[[str], None], ending: Ending | None = None) -> dict[str, Any]:
        """Returns everything that was found, also where `ending` came in the middle of it; raises KeyboardInterrupt if that was nothing."""
        ending = ending or Ending(KeyboardInterrupt)
        first = _day(self.seed, 0)
        rig, true_rig, calibration, settings = equipment(first)
        eyes = _Eyes()
        ids = (f"id-{number}" for number in itertools.count())
        pipeline = Pipeline(settings, calibration, eyes, at_ns(0.0), lambda: next(ids))
        factory = EventFactory("soak", "", 1, lambda: next(ids))
        states: list[tuple[float, bool]] = []
        answers: list[tuple[int, str]] = []
        told: list[bytes] = []
        last_seq = 0
        next_s = 0.0
        with (
            contextlib.suppress(KeyboardInterrupt),
            Store(self.folder / "events.sqlite3", outbox=False) as store,
            ending.held(),
        ):

            def note(result: StepResult, now_ns: int) -> None:
                nonlocal last_seq
                answers.extend((now_ns + 3_000_000_000, raised.alarm.alarm_id) for raised in result.raised)
                made: list[Event] = [
                    factory.make(data, t_unix_ns=now_ns, t_mono_ns=now_ns)
                    for data in step_data(result, calibration.id, now_ns, now_ns, now_ns)
                ]
                if not made:
                    return
                store.append(made)
                last_seq = made[-1].seq
                told.extend(encode(event) for event in made)
                if result.health is not None:
                    states.append(((now_ns - at_ns(0.0)) / 1e9, str(result.health.screening) == "available"))

            for number in range(math.ceil(self.seconds / SCENE_S)):
                begin_s = number * SCENE_S
                length_s = min(SCENE_S, self.seconds - begin_s)
                world = World(_day(self.seed, number), rig, true_rig)
                eyes.world, eyes.offset_ns = world, round(begin_s * 1e9)
                lines: list[Line] = []
                known: set[int] = set()
                told.clear()
                drawn_faces.cache_clear()
                for seq, (arrives_s, taken_s, device) in enumerate(schedule(rig, length_s), start=1):
                    if ending.came:
                        break
                    t_s, now_ns = begin_s + taken_s, at_ns(begin_s + arrives_s)
                    one = soak_plan.active(self.plan, t_s)
                    due = [Acknowledge(alarm_id, "soak") for t_ns, alarm_id in answers if t_ns <= now_ns]
                    answers[:] = [answer for answer in answers if answer[0] > now_ns]
                    if device == "camera":
                        lost, eyes.blind, black = _camera(one)
                        shot = dataclasses.replace(world.shot(seq, taken_s), t_mono_ns=at_ns(t_s))
                        shots = [] if lost else [dataclasses.replace(shot, load=_black) if black else shot]
                        self._timed("camera", partial(pipeline.step, shots, (), now_ns, due), now_ns, note)
                    elif device == "plate":
                        cold = one is not None and one.kind.name == "plate_cold"
                        pipeline.hear_plate(
                            PlateReading(seq, at_ns(t_s), COLD_C if cold else rig.reference.temp_c, True)
                        )
                    else:
                        state = world.at(taken_s)
                        frames = self._frames(one, world.thermal(seq, state, taken_s), t_s)
                        self._timed("thermal", partial(pipeline.step, (), frames, now_ns, due), now_ns, note)
                        if device == "truth":
                            for pose in state.poses:
                                if pose.person.person_id not in known:
                                    known.add(pose.person.person_id)
                                    lines.append(person_line(pose.person, t_s))
                            lines += observe(state, rig, at_ns(begin_s))
                    if t_s >= next_s:
                        next_s += self.sample_s
                        self._sample(t_s, last_seq)
                self._judge(lines, told)
                if ending.came:
                    break
                if number % 6 == 5:
                    show(f"{(number + 1) / 6:g} h: rss {self.rows[-1]['rss_mb']:g} MB, {last_seq} events")
        if ending.came:
            if not self.rows:
                raise KeyboardInterrupt
            self._interrupted, self.seconds = True, self.rows[-1]["t_s"]
            show(f"interrupted after {self.seconds:.0f} s of the robot's time; what was found until then:")
        return self._found(states, last_seq)

    def _timed(
        self, kind: str, step: Callable[[], StepResult], now_ns: int, note: Callable[[StepResult, int], None]
    ) -> None:
        begin_s = time.perf_counter()
        result = step()
        self._spent[f"{kind}_s"] += time.perf_counter() - begin_s
        self._spent[f"{kind}_n"] += 1
        note(result, now_ns)

    def _frames(self, one: Planned | None, frame: ThermalFrame, t_s: float) -> list[ThermalFrame]:
        """What of a frame leaves the driver."""
        frame = dataclasses.replace(frame, t_mono_ns=at_ns(t_s), t_received_ns=at_ns(t_s) + 45_000_000)
        if one is not None and one.kind.device == "thermal":
            share = float(one.kind.values.get("probability", 1.0))
            if one.kind.name in GONE or (one.kind.name in SILENT and self._chance.random() < share):
                return []
        temp_c = self._images.image(t_s, frame.temp_c)
        return [frame if temp_c is frame.temp_c else dataclasses.replace(frame, temp_c=temp_c.astype(np.float32))]

    def _sample(self, t_s: float, last_seq: int) -> None:
        row = self._process_row(os.getpid()) | {"t_s": round(t_s, 2), "drops": 0.0, "events": float(last_seq)}
        for kind in ("thermal", "camera"):
            row[f"{kind}_ms"] = round(1e3 * self._spent[f"{kind}_s"] / max(self._spent[f"{kind}_n"], 1), 3)
        self._spent.clear()
        row["store_mb"] = round(sum(path.stat().st_size for path in self.folder.glob("events.sqlite3*")) / 1e6, 3)
        self.rows.append(row)

    def _judge(self, lines: Sequence[Line], told: Sequence[bytes]) -> None:
        result = score(lines, [msgspec.json.decode(event) for event in told])
        self._false_alarms += result.false_alarms
        self._in_range += result.in_range
        self._measured += result.measured

    def _found(self, states: Sequence[tuple[float, bool]], last_seq: int) -> dict[str, Any]:
        stored = list(_stored(self.folder))
        came = soak_verdict.judge_all(self.plan, states, self.seconds, self._interrupted)
        samples = {name: [row[name] for row in self.rows] for name in soak_verdict.COLUMNS}
        quiet = [soak_plan.active(self.plan, t_s, 12.0) is None for t_s in samples["t_s"]]
        counts = {
            "false alarms": self._false_alarms,
            "missing numbers in the store": last_seq
            - len(stored)
            + sum(b["seq"] != a["seq"] + 1 for a, b in itertools.pairwise(stored)),
            "readings taken while not screening": soak_people.read_while_unavailable(stored),
        }
        return {
            "mode": "accelerated",
            "interrupted": self._interrupted,
            "hours": round(self.seconds / 3600, 4),
            "seed": self.seed,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **soak_verdict.verdict(samples, quiet, came, counts),
            **{name.replace(" ", "_"): value for name, value in counts.items()},
            "faults": len(came),
            "said_unavailable": sum(one.detect_s is not None for one in came),
            "recover_s_max": max((one.recover_s for one in came if one.recover_s is not None), default=None),
            "people_in_range": self._in_range,
            "measured": self._measured,
            "by_fault": soak_verdict.by_kind(came),
            "samples": samples,
            "came": [dataclasses.asdict(one) for one in came],
        }


def _camera(one: Planned | None) -> tuple[bool, bool, bool]:
    """Returns whether no picture comes, whether nobody new is in it, and whether it is black."""
    if one is None or one.kind.device not in ("front", "cameras"):
        return False, False, False
    name = one.kind.name
    return name in ("stop", "truncated_jpeg"), name in ("freeze", "black"), name == "black"


def _black(scale: int) -> tuple[U8, tuple[int, int]]:
    return np.zeros((9, 16, 3), np.uint8), (16, 9)


def _day(seed: int, number: int) -> Day:
    """Returns ten minutes with people all the while, the air as the robot believes it to be."""
    crowd = CrowdFile(
        people_per_minute=6.0, square_radius_m=5.0, front_share=0.9, approach_share=0.85, febrile_share=0.1
    )
    planned = day(number, 1, seed)
    air = Air(planned.air.believed_c, 0.0, 0.0, 0.5)
    one_seed = seed * 1000 + number
    scene = Scenario("soak", ambient_c=air.believed_c, crowd=crowd)
    comers = itertools.takewhile(lambda plan: plan.arrives_s < SCENE_S - 15.0, plans(scene, one_seed))
    sensor = Sensor(0.3, 0.0, 0.2, 0.5, 0.0)
    return Day(number, one_seed, air, sensor, (), ((0.0, SCENE_S),), (0.0,), tuple(comers))


def _stored(folder: Path) -> Iterator[dict[str, Any]]:
    from robot.store_reader import StoreReader

    reader = StoreReader(folder / "events.sqlite3")
    try:
        seq = 0
        while batch := reader.since(seq):
            seq = batch[-1].seq
            yield from (json.loads(event.json) for event in batch)
    finally:
        reader.close()
