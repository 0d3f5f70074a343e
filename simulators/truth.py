"""What is true of everyone at each moment, seen from every lens: the yardstick that the robot's events are held against.

A truth file is JSON lines: one header, one `person` line when somebody first appears, and one `sample` line for each
person about ten times a second. Geometry only: nothing here looks at a rendered picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from robot.errors import ConfigError
from simulators.faces import bare_forehead_radius, face_axes
from simulators.occlusion import visible_share
from simulators.rig import gate_face_px, in_picture, project
from simulators.world import F64, Optic, Person, PersonPose, Rig, SceneState

SCHEMA = "patrol.truth/1"
RATE_HZ = 10.0

FACE_TOP, FACE_BOTTOM, FACE_HALF_WIDTH = 0.47, -0.86, 0.5
"""Hairline, chin and cheekbones around the point between the eyes, in face widths: what is called the face."""

MARGIN_PX = 2.0
MAX_YAW_DEG = 35.0
MIN_VISIBLE = 0.8
BARE_PX = 5.0
"""Glasses are opaque in the long-wave infrared, so that only the forehead is left to be read. This many thermal pixels
across it must be bare for the innermost 3 × 3 (Pušnik 2021) to be free of what the point spread mixes in."""


class Header(msgspec.Struct, frozen=True, tag="header", tag_field="type"):
    """First line of a truth file; scenario time t_s happened at t0_mono_ns + t_s · 1e9 on the monotonic clock."""

    schema: str
    scenario: str
    seed: int
    rig: str
    t0_mono_ns: int
    ambient_c: float
    humidity: float
    sensor: str
    gate_face_px: float
    reflected_c: float | None = None
    """What skin and plate reflect; None in files from before it was told, where it was the air."""


class PersonLine(msgspec.Struct, frozen=True, tag="person", tag_field="type"):
    """Everything about one person that stays; field by field the scene's Person."""

    t_s: float
    person_id: int
    body_c: float
    canthi_c: float
    forehead_c: float
    febrile: bool
    masked: bool
    glasses: bool
    hat: bool
    height_m: float
    face_width_m: float
    face_seed: int


class CameraView(msgspec.Struct, frozen=True):
    """One face in one camera's picture."""

    box_px: tuple[float, float, float, float]
    """Left, top, width, height of hairline to chin, cheek to cheek; may reach beyond the picture."""
    visible: float
    """Share of the face that is inside the picture and that nobody stands in front of."""
    yaw_deg: float
    """Turn of the head away from the camera; above 90 it is the back of the head."""


class Sample(msgspec.Struct, frozen=True, tag="sample", tag_field="type"):
    """One person at one moment."""

    t_s: float
    t_mono_ns: int
    person_id: int
    eyes_m: tuple[float, float, float]
    distance_m: float
    """From the thermal sensor to the point between the eyes."""
    thermal_px: tuple[float, float] | None
    """Point between the eyes in the thermal picture: column, row; also outside of it, null behind the lens."""
    face_px: float
    """Width of the face in thermal pixels, as if it looked at the sensor."""
    yaw_deg: float
    """Turn of the head away from the line of sight of the thermal sensor, 0–180."""
    visible: float
    """Share of the face that nobody stands in front of, from the thermal sensor."""
    in_thermal_view: bool
    """The whole face lies in the thermal picture, 2 pixels from its edge at least."""
    measurable: bool
    """In thermal view, not over the reference plate, wide enough (with glasses: near enough for the bare forehead to be
    BARE_PX wide), turned less than 35°, hidden by less than a fifth."""
    cameras: dict[str, CameraView]


Line = Header | PersonLine | Sample


def _outline() -> F64:
    """The face in face widths: 16 points of its rim, then 12 within."""
    middle, half = (FACE_TOP + FACE_BOTTOM) / 2, (FACE_TOP - FACE_BOTTOM) / 2
    rings = [(1.0, 16, 0.0), (0.66, 8, 0.4), (0.3, 4, 0.0)]
    points = []
    for size, count, start in rings:
        angle = start + np.arange(count) * 2 * np.pi / count
        points.append(np.stack([size * FACE_HALF_WIDTH * np.cos(angle), middle + size * half * np.sin(angle)], axis=1))
    return np.concatenate(points)


OUTLINE = _outline()
RIM = 16


def observe(state: SceneState, rig: Rig, t0_mono_ns: int = 0) -> list[Sample]:
    """Returns one sample for each person of the state, in the state's order."""
    if not state.poses:
        return []
    faces_m = np.stack([_face_points_m(pose) for pose in state.poses])
    eyes_m = np.stack([pose.eyes_m for pose in state.poses])
    facing = np.stack([pose.facing for pose in state.poses])
    views = [_CameraViews(camera, state, faces_m, eyes_m, facing) for camera in rig.cameras]
    thermal = _ThermalViews(rig, state, faces_m, eyes_m, facing)
    samples = []
    for index, pose in enumerate(state.poses):
        cameras = {
            camera.name: view
            for camera, found in zip(rig.cameras, views, strict=True)
            if (view := found.view(index)) is not None
        }
        samples.append(thermal.sample(index, pose, state.t_s, t0_mono_ns, cameras))
    return samples


def person_line(person: Person, t_s: float) -> PersonLine:
    """Returns the line that introduces somebody."""
    return PersonLine(
        round(t_s, 3),
        person.person_id,
        round(person.body_c, 4),
        round(person.canthi_c, 4),
        round(person.forehead_c, 4),
        person.febrile,
        person.masked,
        person.glasses,
        person.hat,
        round(person.height_m, 4),
        round(person.face_width_m, 5),
        person.face_seed,
    )


def _face_points_m(pose: PersonPose) -> F64:
    axes = face_axes(pose.facing)
    points: F64 = pose.eyes_m + pose.person.face_width_m * (OUTLINE @ axes[:2])
    return points


def _yaw_deg(optic: Optic, eyes_m: F64, facing: F64) -> F64:
    """Angle on the floor plan between where each face looks and the way to the lens, 0–180."""
    to_lens = optic.position_m[:2] - eyes_m[:, :2]
    cross = facing[:, 0] * to_lens[:, 1] - facing[:, 1] * to_lens[:, 0]
    angle: F64 = np.degrees(np.abs(np.arctan2(cross, np.einsum("ij,ij->i", facing[:, :2], to_lens))))
    return angle


class _CameraViews:
    """All faces in one camera."""

    def __init__(self, optic: Optic, state: SceneState, faces_m: F64, eyes_m: F64, facing: F64) -> None:
        self._pixels, _ = project(optic, faces_m)
        self._inside = in_picture(optic, self._pixels)
        self._yaw_deg = _yaw_deg(optic, eyes_m, facing)
        which = [int(index) for index in np.flatnonzero(self._inside.any(axis=1))]
        self._visible = dict(zip(which, visible_share(optic, state.poses, state.props, faces_m, which), strict=True))

    def view(self, index: int) -> CameraView | None:
        if index not in self._visible:
            return None
        rim = self._pixels[index, :RIM]
        left, top = np.nanmin(rim, axis=0)
        right, bottom = np.nanmax(rim, axis=0)
        # The share inside the picture and the share not hidden are taken as independent: both are rarely partial.
        visible = float(self._visible[index]) * float(self._inside[index].mean())
        box = (
            round(float(left), 1),
            round(float(top), 1),
            round(float(right - left), 1),
            round(float(bottom - top), 1),
        )
        return CameraView(box, round(visible, 3), round(float(self._yaw_deg[index]), 1))


def _gate_px(rig: Rig, person: Person) -> float:
    """Returns the face width in thermal pixels from which this person shows enough bare skin to be read."""
    gate_px = gate_face_px(rig)
    if not person.glasses:
        return gate_px
    return max(gate_px, BARE_PX / 2 / max(bare_forehead_radius(person.face_seed, person.hat), 1e-3))


class _ThermalViews:
    """All faces in the thermal sensor."""

    def __init__(self, rig: Rig, state: SceneState, faces_m: F64, eyes_m: F64, facing: F64) -> None:
        optic = rig.thermal
        self._rig = rig
        self._gate_px = [_gate_px(rig, pose.person) for pose in state.poses]
        self._pixels, _ = project(optic, faces_m)
        self._eyes_px, depth = project(optic, eyes_m)
        widths = np.array([pose.person.face_width_m for pose in state.poses])
        self._face_px = np.where(depth > 0, optic.matrix[0, 0] * widths / np.maximum(depth, 0.05), 0.0)
        self._whole = np.all(in_picture(optic, self._pixels, MARGIN_PX), axis=1)
        self._distance_m = np.linalg.norm(eyes_m - optic.position_m, axis=1)
        self._yaw_deg = _yaw_deg(optic, eyes_m, facing)
        which = [int(index) for index in np.flatnonzero(in_picture(optic, self._pixels).any(axis=1))]
        self._visible = dict(zip(which, visible_share(optic, state.poses, state.props, faces_m, which), strict=True))

    def sample(
        self, index: int, pose: PersonPose, t_s: float, t0_mono_ns: int, cameras: dict[str, CameraView]
    ) -> Sample:
        x, y, z = (round(float(value), 4) for value in pose.eyes_m)
        u, v = (float(value) for value in self._eyes_px[index])
        visible = float(self._visible.get(index, 0.0))
        return Sample(
            t_s=round(t_s, 4),
            t_mono_ns=t0_mono_ns + round(t_s * 1e9),
            person_id=pose.person.person_id,
            eyes_m=(x, y, z),
            distance_m=round(float(self._distance_m[index]), 4),
            thermal_px=None if np.isnan(u) else (round(u, 2), round(v, 2)),
            face_px=round(float(self._face_px[index]), 2),
            yaw_deg=round(float(self._yaw_deg[index]), 1),
            visible=round(visible, 3),
            in_thermal_view=bool(self._whole[index]),
            measurable=bool(self._whole[index])
            and not self._over_plate(index)
            and float(self._face_px[index]) >= self._gate_px[index]
            and float(self._yaw_deg[index]) < MAX_YAW_DEG
            and visible >= MIN_VISIBLE,
            cameras=cameras,
        )

    def _over_plate(self, index: int) -> bool:
        plate = self._rig.reference
        if not plate.present:
            return False
        left, top, width, height = plate.roi_px
        rim = self._pixels[index, :RIM]
        low, high = rim.min(axis=0), rim.max(axis=0)
        return bool(high[0] >= left and low[0] <= left + width and high[1] >= top and low[1] <= top + height)


class TruthWriter:
    """Writes a truth file; not for several threads at once."""

    def __init__(self, file: BinaryIO, header: Header, rig: Rig) -> None:
        self._file = file
        self._rig = rig
        self._t0_mono_ns = header.t0_mono_ns
        self._known: set[int] = set()
        self._encoder = msgspec.json.Encoder()
        self._write([header])

    def add(self, state: SceneState, t_s: float | None = None) -> None:
        """Writes everyone's sample, and an introduction for whoever is new; before second 0 the scene stands still, so `t_s`
        then says when this was."""
        if t_s is not None:
            state = replace(state, t_s=t_s)
        fresh = [pose.person for pose in state.poses if pose.person.person_id not in self._known]
        self._known.update(person.person_id for person in fresh)
        self._write([person_line(person, state.t_s) for person in fresh])
        self._write(observe(state, self._rig, self._t0_mono_ns))
        self._file.flush()

    def _write(self, lines: Iterable[Line]) -> None:
        self._file.write(self._encoder.encode_lines(lines))


def header(scenario: str, seed: int, rig_name: str, rig: Rig, t0_mono_ns: int, state: SceneState) -> Header:
    """Returns the first line of a truth file."""
    return Header(
        SCHEMA,
        scenario,
        seed,
        rig_name,
        t0_mono_ns,
        state.ambient_c,
        state.humidity,
        rig.traits.family,
        gate_face_px(rig),
        state.surroundings_c,
    )


def read(path: Path) -> Iterator[Line]:
    """Yields the lines of a truth file; a last line cut off by a crash is left out. Raises ConfigError if it is none."""
    decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Header | PersonLine | Sample)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error} (name a file written by patrol-sim run --truth)") from error
    number = 0
    with file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n") and number > 1:
                return
            try:
                line = decoder.decode(raw)
            except msgspec.DecodeError as error:
                raise ConfigError(f"{path}: line {number} is no line of a truth file: {error}") from error
            if (number == 1) != isinstance(line, Header):
                raise ConfigError(f"{path}: line {number}: the header belongs on the first line and nowhere else")
            yield line
    if not number:
        raise ConfigError(f"{path}: is empty (name a file written by patrol-sim run --truth)")
