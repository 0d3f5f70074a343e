"""Gathers what a tag with a warm spot shows while it is carried from place to place: one Place for each time it is held still. Pure.

Camera and thermal sensor never look at the same instant, so a moving tag would be in two places at once. It has to be held
still for a moment; corners and thermal frames of that moment are averaged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import msgspec
import numpy as np

from calibration import shots, warm_spot
from calibration.board import TagSpec
from calibration.bundle import Lens, tag_pose
from calibration.files import RadiometryCalibration
from calibration.results import Say
from calibration.shots import Shot
from calibration.sighting import Sighting, TagFinder
from calibration.warm_spot import WarmSpot
from robot.types import F32, F64, CameraFrame, ThermalFrame
from robot.uniformity import Uniformity

HOLD_S = 0.8
"""The tag must be still for so long."""
LATE_S = 0.35
"""A thermal frame arrives later than the picture of the same moment; longer than this nobody waits."""
STILL_SHARE = 0.06
"""Largest way of the tag's middle during HOLD_S, as a share of its edge: a hand trembles by a millimetre or two."""
MIN_PICTURES, MIN_THERMALS = 3, 3
APART_SHARE = 0.05
"""Places nearer to each other than this share of the range are one."""
GATE_SHARE = 0.15
"""How far from where the present calibration has it the spot is looked for, as a share of the thermal width: mounts are a few
degrees off. Further away it is believed only where nothing else could be the tag."""
HAND_SD_M = 0.0003
"""What is left of a hand's trembling between two means that are not of the same instants; at near range it outweighs all else."""
DISAGREE_SHARE = 0.35
"""Cameras that place the same tag further apart than this share of its range are not the ones they are taken for."""
_DIAGNOSE_S = 2.0
"""Why nothing is seen is asked of one camera at a time, and only while none sees the tag: it costs as much as ten looks."""
_BLANK_S = 0.35
"""A camera without the tag is searched this often, so that the one with the tag is searched in every picture."""
_MAX_PLACES = 300


class Place(msgspec.Struct, frozen=True):
    """The tag, held still once."""

    corners_px: dict[str, list[tuple[float, float]]]
    """By camera: the four corners, full-size pixels."""
    range_m: float
    """From the thermal sensor, by the calibration at that time."""
    spot: tuple[float, float, float, float] | None = None
    """Column, row, standard uncertainty (thermal pixels), contrast (°C); None where the thermal sensor did not see it."""
    shot: Shot | None = None
    """Of the thermal sensor for the report, at a few places."""


@dataclass(slots=True)
class _Seen:
    """What one camera saw lately."""

    sightings: deque[tuple[int, Sighting]] = field(default_factory=lambda: deque(maxlen=60))
    blank_since_ns: int | None = None
    looked_ns: int = 0


class TagWalk:
    """`offer` frames; accepted places collect in `places`, and the last call's refusal says why nothing was taken."""

    def __init__(
        self,
        tag: TagSpec,
        thermal: Lens,
        thermal_size_px: tuple[int, int],
        cameras: Mapping[str, Lens],
        radiometry: RadiometryCalibration,
        plate_px: tuple[int, int, int, int] | None = None,
    ) -> None:
        """`radiometry`: what is known of dead pixels and offsets; a hot pixel would be taken for the spot."""
        self.places: list[Place] = []
        self.refusal: Say | None = None
        self.spot: WarmSpot | None = None
        """Newest that was found, for the picture."""
        self._tag, self._thermal, self._size_px, self._cameras = tag, thermal, thermal_size_px, dict(cameras)
        self._plate_px = plate_px
        self._uniformity = Uniformity(radiometry, thermal_size_px[1], thermal_size_px[0])
        self._finder = TagFinder(tag)
        self._seen = {name: _Seen() for name in cameras}
        self._thermals: deque[ThermalFrame] = deque(maxlen=60)
        self._centers_m: list[F64] = []
        self._diagnosed_ns = 0
        self._diagnosed: deque[str] = deque(cameras)
        """Whose turn it is comes first."""

    def restore(self, places: Sequence[Place]) -> None:
        """Takes up earlier places."""
        self.places = list(places)
        self._centers_m = [self._center_m(place.corners_px) for place in places]

    def latest(self, camera: str) -> Sighting | None:
        """Returns the tag as that camera saw it last, for the picture; None when it does not see it now."""
        seen = self._seen.get(camera)
        return seen.sightings[-1][1] if seen and seen.sightings and seen.blank_since_ns is None else None

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame]) -> bool:
        """Returns whether a place was taken."""
        self._thermals.extend(
            # The corrected frame's array is used again for the next one.
            replace(frame, temp_c=self._uniformity.correct(frame).temp_c.copy())
            for frame in thermals
            if frame.temp_c.shape == self._size_px[::-1]
        )
        refusals = [said for frame in frames if (said := self._look(frame)) is not None]
        if frames:
            self.refusal = refusals[0] if refusals else None
        taken = self._take()
        if isinstance(taken, Say):
            self.refusal = taken
        if isinstance(taken, Place):
            self.places.append(taken)
            self._centers_m.append(self._center_m(taken.corners_px))
            self.refusal = None
            return True
        return False

    def _look(self, frame: CameraFrame) -> Say | None:
        seen = self._seen.get(frame.camera)
        if seen is None:
            return None
        if seen.blank_since_ns is not None and frame.t_mono_ns - seen.looked_ns < _BLANK_S * 1e9:
            return None
        seen.looked_ns = frame.t_mono_ns
        found = self._finder.find(frame)
        if isinstance(found, Sighting):
            seen.blank_since_ns = None
            seen.sightings.append((frame.t_mono_ns, found))
            return Say("no.tag_blurred", {"camera": frame.camera}) if found.blurred else None
        if seen.blank_since_ns is None:
            seen.blank_since_ns = frame.t_mono_ns
        return self._diagnose(frame) if found is None else found

    def _diagnose(self, frame: CameraFrame) -> Say | None:
        t_ns = frame.t_mono_ns
        lately = any(seen.sightings and t_ns - seen.sightings[-1][0] < 1e9 for seen in self._seen.values())
        if lately or frame.camera != self._diagnosed[0] or t_ns - self._diagnosed_ns < _DIAGNOSE_S * 1e9:
            return None
        self._diagnosed_ns = t_ns
        self._diagnosed.rotate(-1)
        return self._finder.diagnose(frame)

    def _take(self) -> Place | Say | None:
        """Returns a new place, why there is none, or None while there is nothing to say."""
        newest = max((seen.sightings[-1][0] for seen in self._seen.values() if seen.sightings), default=None)
        if newest is None or len(self.places) >= _MAX_PLACES:
            return None
        since = newest - round(HOLD_S * 1e9)
        held: dict[str, list[Sighting]] = {}
        for name, seen in self._seen.items():
            recent = [(t_ns, sighting) for t_ns, sighting in seen.sightings if t_ns >= since]
            if not recent:
                continue
            if len(recent) >= 2 and _moves([sighting for _, sighting in recent]):
                return Say("no.tag_moves", {"camera": name})
            whole = recent[-1][0] - recent[0][0] >= 0.6 * HOLD_S * 1e9 and len(recent) >= MIN_PICTURES
            if whole and not any(sighting.blurred for _, sighting in recent):
                held[name] = [sighting for _, sighting in recent]
        if not held:
            return None
        corners = {name: np.mean([s.corners_px for s in seen], axis=0) for name, seen in held.items()}
        as_lists = {name: [(float(x), float(y)) for x, y in four] for name, four in corners.items()}
        centers = {name: self._placed_by(name, four) for name, four in corners.items()}
        disagreement = self._disagreement(centers)
        if disagreement is not None:
            return disagreement
        center = self._center_m(as_lists)
        range_m = float(np.linalg.norm(center - self._thermal.position_m))
        if self._known(center, range_m):
            return Say("no.same_place")
        spot = self._spot(since, newest, centers, range_m)
        if isinstance(spot, WarmSpot):
            hand_px = HAND_SD_M / range_m * float(self._thermal.focal_px[0])
            sd_px = float(np.hypot(spot.sd_px, hand_px))
            new = shots.wanted(range_m, [place.shot.range_m for place in self.places if place.shot])
            shot = shots.of_thermal(_mean(self._between(since, newest)), range_m) if new else None
            return Place(as_lists, range_m, (spot.x_px, spot.y_px, sd_px, spot.contrast_c), shot)
        if spot is not None and spot.key == "wait":
            return None
        if spot is not None and (len(held) < 2 or spot.key in ("no.swapped", "no.spot_elsewhere")):
            return spot
        return Place(as_lists, range_m) if len(held) >= 2 else Say("no.one_camera_only")

    def _spot(self, since_ns: int, until_ns: int, centers: Mapping[str, F64], range_m: float) -> WarmSpot | Say | None:
        """Returns the warm spot of the moment, why there is none, or None where the tag is not in the thermal view."""
        predicted = {name: self._thermal_px(center) for name, center in centers.items()}
        inside = [pixel for pixel in predicted.values() if pixel is not None]
        frames = self._between(since_ns, until_ns)
        newest = self._thermals[-1].t_mono_ns if self._thermals else None
        if newest is not None and newest < until_ns - 0.25e9 and until_ns - newest < 2e9:
            return Say("wait")
        if len(frames) < MIN_THERMALS:
            return Say("no.no_thermal") if inside else None
        mean = _mean(frames)
        diameter_px = self._tag.spot_m / range_m * float(self._thermal.focal_px[0])
        gate_px = GATE_SHARE * self._size_px[0]
        found: WarmSpot | Say | None = None
        for pixel in inside:
            found = warm_spot.find(mean, diameter_px, pixel, gate_px, self._plate_px)
            if isinstance(found, WarmSpot):
                self.spot = found
                return found
        anywhere = warm_spot.find(mean, diameter_px, plate_px=self._plate_px)
        if not isinstance(anywhere, WarmSpot):
            return found
        swapped = self._taken_for(anywhere, centers, gate_px)
        if swapped is not None:
            return swapped
        return Say("no.spot_elsewhere") if inside else None

    def _between(self, since_ns: int, until_ns: int) -> list[ThermalFrame]:
        """Returns the thermal frames of that time."""
        return [frame for frame in self._thermals if since_ns <= frame.t_mono_ns <= until_ns]

    def _taken_for(self, spot: WarmSpot, centers: Mapping[str, F64], gate_px: float) -> Say | None:
        """Returns the camera that would explain the spot if it were the one that saw the tag."""
        for name, center in centers.items():
            lens = self._cameras[name]
            local = (center - lens.position_m) @ lens.rotation.T
            for other, mount in self._cameras.items():
                if other == name:
                    continue
                pixel = self._thermal_px(mount.position_m + local @ mount.rotation)
                if pixel is not None and np.hypot(pixel[0] - spot.x_px, pixel[1] - spot.y_px) < gate_px:
                    return Say("no.swapped", {"camera": name, "other": other})
        return None

    def _thermal_px(self, center_m: F64) -> tuple[float, float] | None:
        """Returns where the thermal sensor should see a point of the robot's frame; None well outside its view."""
        local = (center_m - self._thermal.position_m) @ self._thermal.rotation.T
        if local[2] < 0.1 or np.hypot(local[0], local[1]) > 1.4 * local[2]:
            return None
        x, y = self._thermal.project(center_m[None])[0]
        width, height = self._size_px
        margin = GATE_SHARE * width
        inside = -margin <= x <= width - 1 + margin and -margin <= y <= height - 1 + margin
        return (float(x), float(y)) if inside else None

    def _disagreement(self, centers: Mapping[str, F64]) -> Say | None:
        names = list(centers)
        for index, one in enumerate(names):
            for other in names[index + 1 :]:
                apart = float(np.linalg.norm(centers[one] - centers[other]))
                if apart > DISAGREE_SHARE * float(np.linalg.norm(centers[one] - self._thermal.position_m)):
                    return Say("no.cameras_disagree", {"one": one, "other": other})
        return None

    def _placed_by(self, camera: str, corners_px: F64) -> F64:
        lens = self._cameras[camera]
        _, center = tag_pose(lens, self._tag.corners_m(), corners_px)
        return np.asarray(lens.position_m + center @ lens.rotation, dtype=np.float64)

    def _center_m(self, corners_px: Mapping[str, Sequence[tuple[float, float]]]) -> F64:
        places = [self._placed_by(name, np.array(four)) for name, four in corners_px.items() if name in self._cameras]
        center: F64 = np.mean(places, axis=0)
        return center

    def _known(self, center_m: F64, range_m: float) -> bool:
        least = APART_SHARE * max(range_m, 0.4)
        return any(float(np.linalg.norm(center_m - old)) < least for old in self._centers_m)


def _moves(seen: Sequence[Sighting]) -> bool:
    middles = np.stack([sighting.middle_px for sighting in seen])
    way = float(np.linalg.norm(middles.max(axis=0) - middles.min(axis=0)))
    return way > max(STILL_SHARE * seen[-1].edge_px, 1.0)


def draw_tag(image_bgr: np.ndarray, sighting: Sighting, scale: float) -> None:
    """Draws a sighting into a picture that is `scale` times the full size: green when sharp."""
    color = (0, 120, 255) if sighting.blurred else (60, 220, 60)
    points = np.round(((sighting.corners_px + 0.5) * scale - 0.5) * 16).astype(np.int32)
    cv2.polylines(image_bgr, [points.reshape(-1, 1, 2)], True, color, 2, cv2.LINE_AA, 4)
    x, y = ((sighting.middle_px + 0.5) * scale - 0.5).round().astype(int).tolist()
    cv2.drawMarker(image_bgr, (x, y), color, cv2.MARKER_CROSS, 12, 1, cv2.LINE_AA)


def _mean(frames: Sequence[ThermalFrame]) -> F32:
    """Returns the mean picture of at least one frame (rows × columns, °C)."""
    mean: F32 = np.mean([frame.temp_c for frame in frames], axis=0, dtype=np.float32)
    return mean
