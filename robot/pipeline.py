"""One step of the robot: new frames in, what changed out. Calls the stages in order; same input, same output.

Thermal frames go first: they complete the evidence for an alarm, and tracks are predicted to their moment. The loop in
app.py steps thermal frames by themselves and acts on the result before it steps camera frames, so a detector at work
never delays the lamp by more than its own batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from calibration.files import Calibration
from robot import rules
from robot.absence import EmptyPlaces, out_of_picture, unseen
from robot.alarm import Alarm, AlarmDesk
from robot.cohort import Usualness
from robot.colours import head_colours
from robot.config import Settings
from robot.ego_motion import EgoMotion
from robot.events import Place
from robot.front import FrontView
from robot.halves import HalfFrames
from robot.health import CALIBRATION_MISSING, NO_BASELINE, Health, HealthReport
from robot.interfaces import FaceDetector
from robot.latency import ThermalLatency
from robot.looking import Due, Looker
from robot.optics import Optic
from robot.outcome import Acknowledge, CoverageReport, Placed, Raised, StepResult, View
from robot.place import Whereabouts
from robot.reference import ReferenceState, ReferenceTracker
from robot.registration import locate_all, thermal_rois
from robot.screening import BEYOND_RANGE, Assessment, Coverage, Screener
from robot.stuck import flooded
from robot.texts import DETAILS
from robot.thermometry import Thermometer
from robot.track import Tracker
from robot.types import (
    F64,
    CameraShot,
    IndicatorSignal,
    NotMeasured,
    PlateReading,
    PositionReading,
    Reading,
    Reason,
    Screening,
    ThermalFrame,
    ThermalRoi,
    Track,
    Verdict,
    VerdictKind,
)
from robot.uniformity import Uniformity
from robot.warm import BlobFinder, WarmWatch
from robot.warm_up import WarmUp

_HEALTH_NS = 250_000_000
"""Health is evaluated four times a second: a loss shows within two seconds with room to spare."""
_PLACE_FRESH_NS = 300_000_000
_FACE_FRESH_NS = 600_000_000
"""A track seen this lately says whose a warm place is."""
_FACE_SURE_NS = 200_000_000
"""And this lately, where somebody who walks must be."""
_UNSETTLED = {
    "starting": Reason.WARMING_UP,
    "thermal_lost": Reason.NO_THERMAL,
    "thermal_invalid": Reason.NO_THERMAL,
    "reference_lost": Reason.REFERENCE_LOST,
    CALIBRATION_MISSING: Reason.CALIBRATION_EXPIRED,
    "warming_up": Reason.WARMING_UP,
    "out_of_ambient_window": Reason.OUT_OF_AMBIENT_WINDOW,
    # The camera is back, but not yet for long enough: nobody has been looked at for long.
    "no_camera": Reason.TOO_BRIEF,
    "pipeline_stalled": Reason.TOO_BRIEF,
}
"""Reasons of health, and what a face that is not read meanwhile is told."""
_STRAINED_SHARE = 0.5
"""Of the CPU share that is left for looking while the computer is too hot or slowed down."""
STRAINED = frozenset(("computer_hot", "computer_slowed"))
"""Codes of robot/vitals.py that ask for it."""
PIPELINE_HZ = 4.0
"""Declared rate of the loop itself: it turns at least this often even when no device delivers."""


class Pipeline:
    """Owns the state of all stages. `new_id` gives a name to each alarm, unique for ever. `thermal_ran_s`: see robot/warm_up.py.
    `thermal_late_s`: what robot/latency.py had learnt; None: nothing but what the settings say."""

    def __init__(
        self,
        settings: Settings,
        calibration: Calibration,
        detector: FaceDetector,
        started_ns: int,
        new_id: Callable[[], str],
        close_detector: FaceDetector | None = None,
        thermal_ran_s: float = 0.0,
        thermal_late_s: float | None = None,
    ) -> None:
        self._settings = settings
        self._new_id = new_id
        self._started_ns = started_ns
        self._thermal = Optic("thermal", calibration.thermal)
        self._cameras = {
            camera.name: Optic(camera.name, calibration.cameras[camera.name]) for camera in settings.cameras
        }
        self._reference_roi = calibration.reference.roi_px if calibration.reference else None
        conditions = rules.conditions(settings)
        self._latency = ThermalLatency(settings.thermal.latency_ms / 1e3 if thermal_late_s is None else thermal_late_s)
        self._halves = HalfFrames()
        self._uniformity = Uniformity(calibration.radiometry, self._thermal.height_px, self._thermal.width_px)
        self._thermometer = Thermometer(calibration, conditions)
        self._reference = ReferenceTracker(
            calibration.reference, calibration.radiometry, conditions.surroundings_c, rules.reference_rules(settings)
        )
        self._ego = EgoMotion()
        self._tracker = Tracker(rules.tracker_limits(settings), self._ego)
        self._limits = rules.roi_limits(settings, self._thermal.width_px)
        self._desk = AlarmDesk(rules.alarm_rules(settings))
        self._front = FrontView(self._cameras, self._thermal)
        front = self._front.cameras
        self._screener = Screener(rules.policy(settings, front))
        rates_hz = {camera.name: camera.rate_hz for camera in settings.cameras}
        self._looker = Looker(
            detector,
            {camera.name: camera.network_px for camera in settings.cameras},
            self._cameras,
            rates_hz,
            front,
            rules.attention_rules(settings),
            close_detector,
        )
        self._blobs = BlobFinder(self._thermal, self._limits.face_px_min, conditions.ambient_c, self._reference_roi)
        self._warm = WarmWatch(settings.attention.unmatched_s)
        self._empty = EmptyPlaces(conditions.ambient_c)
        streams = rates_hz | {"thermal": settings.thermal.rate_hz, "pipeline": PIPELINE_HZ}
        streams |= {"position": settings.place.rate_hz} if settings.place.source else {}
        self._health = Health(streams, cameras=front)
        self._usual = Usualness()
        self._whereabouts = Whereabouts(settings.robot, settings.place)
        self._alarm_places: dict[str, Place] = {}
        self._tracks: list[Track] = []
        self._rois: list[ThermalRoi] = []
        self._results: list[Reading | NotMeasured] = []
        self._places: dict[int, tuple[str, F64, int]] = {}
        self._reference_state = ReferenceState(False, 0.0, 0.0, "no thermal frame yet")
        self._report = self._health.evaluate(started_ns)
        self._reported: HealthReport | None = None
        self._health_due_ns = started_ns
        self._coverage_told_ns = started_ns
        self.warm_up = WarmUp(thermal_ran_s)
        self._warnings: tuple[str, ...] = ()
        self._calibrated = True

    def step(
        self,
        shots: Sequence[CameraShot],
        thermals: Sequence[ThermalFrame],
        now_ns: int,
        commands: Sequence[Acknowledge] = (),
    ) -> StepResult:
        """Returns what changed by these pictures, frames and commands; any may be empty, time still passes."""
        result = StepResult(self._signal(now_ns))
        for command in commands:
            alarm = self._desk.acknowledge(now_ns, command.alarm_id, command.by)
            if alarm is not None:
                result.acknowledged.append(alarm)
        for thermal in thermals:
            self._measure(thermal, now_ns, result)
        if shots:
            self._look(shots, now_ns)
        self._close_step(now_ns, result)
        return result

    def finish(self, now_ns: int) -> StepResult:
        """Returns the last verdicts and alarms: everybody still in view is counted before the robot stops, and no alarm is lost."""
        result = StepResult(IndicatorSignal(alarm=False, siren=False, unavailable=True))
        verdicts = self._screener.finish(now_ns)
        result.verdicts = [self._place(verdict) for verdict in verdicts]
        self._raise(now_ns, now_ns, self._desk.finish(verdicts), result)
        result.signal = replace(self._signal(now_ns), unavailable=True)
        result.coverage = self._coverage_report()
        return result

    def hear_plate(self, reading: PlateReading) -> None:
        """Takes in what the reference plate's own controller says."""
        self._reference.hear(reading)

    def hear_position(self, reading: PositionReading) -> None:
        """Takes in where the robot is, or that its source does not know."""
        self._health.beat("position", reading.t_mono_ns)
        self._whereabouts.hear(reading)
        if self._settings.tracking.ego_motion:
            self._ego.hear(reading)

    def place(self, now_ns: int) -> Place:
        """Returns where the robot is at `now_ns`, as well as is known."""
        return self._whereabouts.at(now_ns)

    def alarm_place(self, alarm_id: str) -> Place | None:
        """Returns where the robot was when it raised an alarm that is still open."""
        return self._alarm_places.get(alarm_id)

    def _look(self, shots: Sequence[CameraShot], now_ns: int) -> None:
        """Faces of new pictures move the tracks on; who is on late ones is no longer there."""
        shots = [shot for shot in shots if self._health.picture(shot.camera, shot.t_mono_ns, now_ns)]
        if shots:
            self._warm.carry(self._ego.at(shots[-1].t_mono_ns), self._thermal)
        due = Due(self._tracks, self._being_measured(), self._warm.unmatched())
        seen = self._looker.look(now_ns, shots, due)
        located = locate_all(
            [(faces, self._cameras[frame.camera].of_size(*frame.full_size_px)) for frame, faces in seen],
            head_colours(seen) if self._settings.tracking.colours else None,
        )
        for shot in shots:
            trouble = self._looker.trouble(shot.camera)
            self._health.set_valid(shot.camera, not trouble, trouble or self._looker.blemish(shot.camera))
        if not located:  # nothing deserved a look: nothing is known that was not known before
            return
        self._tracks = self._tracker.update(now_ns, located)
        self._remember_places(self._tracks, now_ns)
        self._screener.see(self._tracks)

    def _measure(self, thermal: ThermalFrame, now_ns: int, result: StepResult) -> None:
        """Faces are read in one thermal frame; verdicts and alarms follow from it."""
        self._health.beat("thermal", thermal.t_mono_ns)
        trouble = self._thermal_trouble(thermal)
        self._health.set_valid("thermal", not trouble, trouble)
        if trouble:
            return
        self.warm_up.frame(thermal.t_mono_ns)
        halves = self._halves.of(thermal)
        thermal = self._latency.dated(halves.dated(thermal) if halves else thermal)
        thermal = self._uniformity.correct(thermal)
        self._reference_state = self._reference.observe(thermal)
        tracks = self._confirmed(thermal.t_mono_ns)
        tilt_sd_rad = self._tracker.tilt_sd_rad
        apart_s = halves.apart_s if halves else 0.0
        self._rois = thermal_rois(
            tracks, thermal.t_mono_ns, self._thermal, self._limits, self._reference_roi, tilt_sd_rad, apart_s
        )
        unseen_ns = {track.track_id: thermal.t_mono_ns - track.last_seen_ns for track in tracks}
        blobs = self._blobs.find(thermal.temp_c, self._reference_state.correction_c)
        self._warm.carry(self._ego.at(thermal.t_mono_ns), self._thermal)
        self._warm.update(
            thermal.t_mono_ns, blobs, [roi for roi in self._rois if unseen_ns[roi.track_id] < _FACE_FRESH_NS]
        )
        self._latency.learn(self._rois, {key for key, ns in unseen_ns.items() if ns < _FACE_SURE_NS}, blobs)
        self._explain(tracks, thermal)
        block = self._block(thermal.t_mono_ns)
        if block is None:
            self._results = self._thermometer.read(thermal, self._rois, self._reference_state, halves)
        else:
            self._results = _blocked(self._rois, block)
        assessments, verdicts = self._screener.measure(now_ns, self._results, self._reference_state.valid)
        self._remember_places(tracks, thermal.t_mono_ns)
        self._part_strangers()
        self._conclude(now_ns, thermal.t_received_ns or thermal.t_mono_ns, assessments, verdicts, result)

    def _thermal_trouble(self, thermal: ThermalFrame) -> str:
        """Returns why a frame is of no use, in words; empty for one that is. Without a plate nothing else would tell of a flooded one."""
        if thermal.temp_c.shape != (self._thermal.height_px, self._thermal.width_px):
            size = "×".join(str(side) for side in thermal.temp_c.shape[::-1])
            return f"{DETAILS['other_sensor'].en} ({size})"
        return DETAILS["flooded"].en if flooded(thermal) else ""

    def _explain(self, tracks: Sequence[Track], thermal: ThermalFrame) -> None:
        """The tracker learns why people are not seen: their place is empty, or their heads are above every picture."""
        away = unseen(tracks)
        correction_c = self._reference_state.correction_c
        gone = self._empty.update(self._rois, away, thermal.temp_c, correction_c, self._thermal)
        if gone:
            self._tracker.vacate(thermal.t_mono_ns, gone)
        self._tracker.excuse(thermal.t_mono_ns, out_of_picture(tracks, away, self._cameras.values()))

    def _being_measured(self) -> set[int]:
        """Returns who is in measuring range and has no verdict yet."""
        return {
            roi.track_id
            for roi in self._rois
            if roi.reason not in BEYOND_RANGE and not self._screener.judged(roi.track_id)
        }

    def _conclude(
        self,
        now_ns: int,
        t_evidence_ns: int,
        assessments: Sequence[Assessment],
        verdicts: Sequence[Verdict],
        result: StepResult,
    ) -> None:
        """Verdicts reached go into the result, and the alarms that follow from them."""
        for verdict in verdicts:
            result.verdicts.append(self._place(verdict))
            self._tracker.settle(verdict.track_id, verdict.kind is VerdictKind.ELEVATED)
        self._raise(now_ns, t_evidence_ns, self._desk.assess(now_ns, assessments, verdicts), result)

    def _part_strangers(self) -> None:
        """Whoever turned out to be somebody else than the person judged before gets a number, and a verdict, of their own."""
        for track_id in self._screener.strangers():
            new_id = self._tracker.part(track_id)
            if new_id is not None:
                self._screener.part(track_id, new_id)
                if track_id in self._places:
                    self._places[new_id] = self._places[track_id]

    def _raise(self, now_ns: int, t_evidence_ns: int, due: Sequence[Verdict], result: StepResult) -> None:
        for verdict in due:
            alarm = self._desk.open(now_ns, verdict, self._new_id())
            self._alarm_places[alarm.alarm_id] = self.place(now_ns)
            result.raised.append(Raised(alarm, self._place(verdict), t_evidence_ns))

    def _remember_places(self, tracks: Sequence[Track], t_ns: int) -> None:
        """Keeps where people were while a camera saw them: a track that coasts on alone is no place to send an officer to."""
        for track in tracks:
            if t_ns - track.last_seen_ns < _PLACE_FRESH_NS:
                self._places[track.track_id] = (track.camera, track.position_m, t_ns)

    def _block(self, t_ns: int) -> Reason | None:
        """Returns why nobody can be measured at this moment, if so."""
        settings = self._settings
        if self._warming_up(t_ns):
            return Reason.WARMING_UP
        low, high = settings.screening.ambient_window_c
        if not low <= settings.measurement.ambient_c <= high:
            return Reason.OUT_OF_AMBIENT_WINDOW
        if not self._calibrated:
            return Reason.CALIBRATION_EXPIRED
        if self._needs_reference() and not self._reference_state.valid:
            return Reason.REFERENCE_LOST
        # Recovered, but not yet for long enough: while the robot says "unavailable" it judges nobody.
        return next((_UNSETTLED[reason] for reason in self._report.reasons if reason in _UNSETTLED), None)

    def _needs_reference(self) -> bool:
        return self._settings.reference.required and self._settings.screening.policy != "cohort"

    def _warming_up(self, t_ns: int) -> bool:
        return not self.warm_up.begun or self.warm_up.ran_s(t_ns) < self._settings.thermal.warm_up_s

    def _close_step(self, now_ns: int, result: StepResult) -> None:
        """What happens as time passes, frames or not: acknowledged alarms end, health and coverage are told."""
        if now_ns >= self._health_due_ns:
            self._health_due_ns = now_ns + _HEALTH_NS
            self._update_health(now_ns, result)
            self._settle(now_ns, result)
        result.cleared = self._desk.clear(now_ns)
        for alarm in result.cleared:
            self._alarm_places.pop(alarm.alarm_id, None)
        if (now_ns - self._coverage_told_ns) * 1e-9 >= self._settings.coverage.summary_s:
            result.coverage = self._coverage_report()
            self._coverage_told_ns = now_ns
        result.signal = self._signal(now_ns)

    def _settle(self, now_ns: int, result: StepResult) -> None:
        """People who left, or whose readings ran dry, get their verdict; without a thermal image the reason says so."""
        thermal = self._report.devices["thermal"]
        if not (thermal.alive and thermal.valid):
            blind = thermal_rois(self._confirmed(now_ns), now_ns, self._thermal, self._limits, self._reference_roi)
            self._screener.measure(now_ns, _blocked(blind, Reason.NO_THERMAL), self._reference_state.valid)
        self._tracks = self._tracker.update(now_ns, ())
        present = [track.track_id for track in self._tracks]
        self._conclude(now_ns, now_ns, (), self._screener.settle(now_ns, present), result)
        self._desk.depart(present)
        here = set(present) | self._desk.waiting
        self._places = {key: place for key, place in self._places.items() if key in here}

    def _confirmed(self, t_ns: int) -> list[Track]:
        return [track for track in self._tracker.predict(t_ns) if track.confirmed]

    def warn(self, codes: tuple[str, ...]) -> None:
        """Takes what is wrong although the robot works; health says it until this is called again. Under strain less is looked at.

        With CALIBRATION_MISSING among them nobody is measured: the calibration may not be gone by any more (robot/calibrated.py).
        """
        self._calibrated = CALIBRATION_MISSING not in codes
        self._warnings = tuple(code for code in codes if code != CALIBRATION_MISSING)
        self._looker.spare(_STRAINED_SHARE if STRAINED.intersection(codes) else 1.0)

    def _update_health(self, now_ns: int, result: StepResult) -> None:
        self._health.beat("pipeline", now_ns)
        low, high = self._settings.screening.ambient_window_c
        self._health.set_condition(CALIBRATION_MISSING, self._calibrated)
        self._health.set_condition("warming_up", not self.warm_up.begun or not self._warming_up(now_ns))
        self._health.set_condition("out_of_ambient_window", low <= self._settings.measurement.ambient_c <= high)
        # Measuring goes on, or the baseline would never be there.
        waiting = self._settings.screening.policy == "cohort" and self._screener.baseline_c is None
        self._health.set_condition(NO_BASELINE, not waiting)
        reference = self._reference_state
        reference_ok = not self.warm_up.begun or reference.valid or not self._needs_reference()
        self._health.set_condition("reference_lost", reference_ok, settling=reference.settling)
        if self._settings.place.source:
            trouble = self._whereabouts.trouble(now_ns)
            self._health.set_valid("position", not trouble, trouble)
        without_plate = self._reference_roi is not None and not (reference.valid or reference.settling)
        own = {
            "plate_lost": without_plate and self.warm_up.begun and not self._needs_reference(),
            "nobody_read": self._screener.reads_nobody,
            "no_faces": self._warm.shows_no_faces,
            "view_narrowed": self._front.narrowed(self._report),
            "lens_blurred": any(map(self._looker.blemish, self._front.cameras)),
        }
        # Under policy `cohort` people are compared with one another: without a plate the sensor's own error is no matter.
        judged = self._settings.screening.policy != "cohort" or reference.valid
        unusual = self._usual.look(self._screener.baseline_c if judged else None)
        shed = (f"detail_shed_{what}" for what in self._looker.shed())
        found = (*(code for code, is_so in own.items() if is_so), *((unusual,) if unusual else ()), *shed)
        self._health.set_warnings((*self._warnings, *found))
        self._report = self._health.evaluate(now_ns)
        if self._report.differs_from(self._reported):
            self._reported = result.health = self._report

    def _signal(self, now_ns: int) -> IndicatorSignal:
        alarm, siren, pre_alarm = self._desk.signals(now_ns)
        unavailable = self._report.screening is Screening.UNAVAILABLE
        return IndicatorSignal(alarm=alarm, siren=siren, unavailable=unavailable, pre_alarm=pre_alarm)

    def _place(self, verdict: Verdict) -> Placed:
        camera, position_m, t_ns = self._places.get(verdict.track_id, ("", np.zeros(3), verdict.t_mono_ns))
        return Placed(verdict, camera, position_m, t_ns)

    def _coverage_report(self) -> CoverageReport:
        in_view = sum(track.confirmed for track in self._tracks)
        return CoverageReport(self._started_ns, self._screener.coverage, in_view, self._warm.unmatched_warm)

    def charge(self, cost_ns: int) -> None:
        """Takes in the CPU time that the last step with pictures cost: attention keeps within its share."""
        self._looker.charge(cost_ns)

    @property
    def thermal_late_s(self) -> float:
        """How much older what a thermal frame shows is than its time stamp, as far as is known."""
        return self._latency.late_s

    @property
    def unmatched_warm(self) -> int:
        """People since the start who were warm, stayed, and showed no face to any camera."""
        return self._warm.unmatched_warm

    def stance(self, track_id: int) -> tuple[VerdictKind | None, Reading | None]:
        """Returns the verdict so far and the fused reading of somebody in view."""
        return self._screener.stance(track_id)

    @property
    def open_alarms(self) -> tuple[Alarm, ...]:
        """Alarms that are raised or acknowledged, oldest first."""
        return self._desk.open_alarms

    @property
    def coverage(self) -> Coverage:
        """Counts since the start."""
        return self._screener.coverage

    @property
    def optics(self) -> dict[str, Optic]:
        """Lenses and places of the cameras and of the thermal sensor, by name."""
        return {**self._cameras, "thermal": self._thermal}

    def view(self) -> View:
        """Returns what is known right now; the lists are not changed afterwards."""
        return View(
            self._tracks, self._rois, self._results, dict(self._looker.pictures), self._report, self._reference_state
        )


def _blocked(rois: Sequence[ThermalRoi], block: Reason) -> list[Reading | NotMeasured]:
    """Returns the general reason for every face that would otherwise be read; a face's own reason stays."""
    return [NotMeasured(roi.track_id, roi.t_mono_ns, roi.reason or block) for roi in rois]
