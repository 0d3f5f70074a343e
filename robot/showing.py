"""What people get to look at: the state of the moment and the newest pictures, kept ready for the stream's threads.

The pipeline's thread writes, the stream's threads read; everything handed over is immutable and replaced as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from robot.alarm import Alarm
from robot.config import Settings
from robot.event_data import CoverageData, device_data
from robot.events import rfc3339
from robot.live import Box, Field, LiveAlarm, LivePerson, LiveState, Preview
from robot.optics import Optic
from robot.outcome import View
from robot.pipeline import Pipeline
from robot.preview import camera_preview, missed, thermal_preview, whose
from robot.types import CameraFrame, Faces, NotMeasured, ThermalFrame, Track

_EVERY_NS = 250_000_000
_ALARMS_MOST = 50


class Showing:
    """`update` is the pipeline's side; `state` and `preview` are the stream's."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: Settings,
        unix_ns: Callable[[], int],
        last_seq: Callable[[], int],
        providers: tuple[str, ...] = (),
        carried: Callable[[], tuple[LiveAlarm, ...]] = tuple,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._unix_ns = unix_ns
        self._last_seq = last_seq
        self._providers = providers
        self._carried = carried
        self._pictures: Mapping[str, tuple[CameraFrame, Faces]] = {}
        self._thermal: ThermalFrame | None = None
        self._view = pipeline.view()
        self._due_ns = 0
        self._fields = {name: _field(optic) for name, optic in pipeline.optics.items()}
        self._began = rfc3339(unix_ns())
        self.state = self._state(0)

    @property
    def previews(self) -> tuple[str, ...]:
        """Names of the pictures there are: the cameras and `thermal`."""
        return (*(camera.name for camera in self._settings.cameras), "thermal")

    def update(self, thermals: Sequence[ThermalFrame], now_ns: int) -> None:
        """Takes over the newest thermal frame, and four times a second pictures and state.

        A camera's picture is the newest that was looked at whole: it is decoded already, and all its faces are known and can be blurred.
        """
        if thermals:
            self._thermal = thermals[-1]
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _EVERY_NS
            self.state = self._state(now_ns)
            self._pictures = self._view.pictures

    def preview(self, name: str, may_see_faces: bool) -> Preview | None:
        """Returns the newest picture of that name, or None before the first."""
        people = {one.person: _label(one) for one in self.state.people}
        if name == "thermal":
            return None if self._thermal is None else thermal_preview(self._thermal, self._view.rois, people)
        picture = self._pictures.get(name)
        if picture is None:
            return None
        frame, faces = picture
        optic = self._pipeline.optics[name].of_size(*frame.full_size_px)
        tracks = self._view.tracks
        owners = whose(faces, frame.t_mono_ns, tracks, optic)
        labels = [None if owner is None else people.get(owner) for owner in owners]
        return camera_preview(frame, faces, may_see_faces, labels, missed(owners, frame.t_mono_ns, tracks, optic))

    def _state(self, now_ns: int) -> LiveState:
        view = self._view = self._pipeline.view()
        coverage = self._pipeline.coverage
        unix_ns = self._unix_ns()
        place = self._pipeline.place(now_ns)
        carried, alarms = self._carried(), self._pipeline.open_alarms
        newest = alarms[-_ALARMS_MOST:]
        carried_shown = carried[len(newest) - _ALARMS_MOST :] if len(newest) < _ALARMS_MOST else ()
        return LiveState(
            robot=self._settings.robot.name,
            place=place.text,
            where=place.where,
            t_utc=rfc3339(unix_ns),
            t_mono_ns=now_ns,
            last_seq=self._last_seq(),
            screening=view.health.screening.value,
            reasons=view.health.reasons,
            warnings=view.health.warnings,
            people=tuple(self._person(track, view, now_ns) for track in view.tracks if track.confirmed),
            alarms=(*carried_shown, *(self._alarm(alarm, unix_ns - now_ns) for alarm in newest)),
            more_alarms=len(carried) - len(carried_shown) + len(alarms) - len(newest),
            coverage=CoverageData(
                since_utc=self._began,
                until_utc=rfc3339(unix_ns),
                seen=coverage.seen,
                measured=coverage.measured,
                elevated=coverage.elevated,
                not_measured=dict(coverage.not_measured),
                in_view_now=sum(track.confirmed for track in view.tracks),
                unmatched_warm=self._pipeline.unmatched_warm,
            ),
            devices=device_data(view.health.devices),
            fields=self._fields,
            threshold_c=self._settings.screening.threshold_c,
            providers=self._providers,
        )

    def _person(self, track: Track, view: View, now_ns: int) -> LivePerson:
        verdict, reading = self._pipeline.stance(track.track_id)
        reasons: Mapping[int, str] = {
            result.track_id: str(result.reason) for result in view.results if isinstance(result, NotMeasured)
        }
        state = "done" if verdict else "measuring" if reading else "approaching"
        seen_s = (now_ns - track.last_seen_ns) / 1e9
        x_m, y_m, z_m = (round(float(value), 2) for value in track.position_m)
        return LivePerson(
            person=track.track_id,
            position_m=(x_m, y_m, z_m),
            state="hidden" if seen_s > 0.5 else state,
            verdict=None if verdict is None else verdict.value,
            reason=reasons.get(track.track_id),
            body_c=None if reading is None else round(reading.body_c, 2),
            uncertainty_c=None if reading is None else round(reading.uncertainty_c, 2),
        )

    def _alarm(self, alarm: Alarm, unix_minus_mono_ns: int) -> LiveAlarm:
        reading = alarm.verdict.reading
        assert reading is not None, "an alarm is raised on a reading only"
        place = self._pipeline.alarm_place(alarm.alarm_id)
        return LiveAlarm(
            alarm=alarm.alarm_id,
            person=alarm.track_id,
            state="raised" if alarm.acknowledged_ns is None else "acknowledged",
            t_utc=rfc3339(alarm.raised_ns + unix_minus_mono_ns),
            body_c=round(reading.body_c, 2),
            uncertainty_c=round(reading.uncertainty_c, 2),
            distance_m=round(reading.distance_m, 1),
            by=alarm.acknowledged_by or None,
            place="" if place is None else place.text,
            place_zh="" if place is None else place.where.place_zh,
        )


def _label(person: LivePerson) -> Box:
    """Returns what pictures say of a person; the box is put in by whoever knows the picture."""
    return Box(
        box_px=(0.0, 0.0, 0.0, 0.0),
        person=person.person,
        verdict=person.verdict,
        body_c=person.body_c,
        uncertainty_c=person.uncertainty_c,
        distance_m=round(math.hypot(*person.position_m[:2]), 1),
    )


def _field(optic: Optic) -> Field:
    """Returns the field of view across the middle of the picture, from above."""
    middle = optic.height_px / 2
    edges = np.array([[0.0, middle], [optic.width_px / 2, middle], [optic.width_px - 1.0, middle]])
    left, ahead, right = np.degrees(np.arctan2(*optic.rays(edges).T[1::-1]))
    half = ((left - right) % 360) / 2
    return Field(heading_deg=round(float(ahead), 1), half_deg=round(float(half), 1))
