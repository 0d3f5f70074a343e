"""Who holds which calibration target where: [[prop]] of a scenario becomes a target with a pose at every second. Pure.

A path is given place by place, or as a tour: a technician who holds the target still at places spread over the views of the
named lenses and over ranges, then carries it to the next. Tours follow the rig, so that one scenario serves all rigs.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from calibration.board import PAPERS, dictionary
from robot.errors import CalibrationError
from simulators.projection import Projector
from simulators.props import BlackbodySurface, CharucoSurface, FlatSurface, PropPose, Surface, TagSurface, facing
from simulators.rig import in_picture
from simulators.world import F64, Optic, Rig

ALL, THERMAL = "all", "thermal"
"""Names of views beside the cameras': every lens of the rig, and the thermal sensor."""
FLOOR_M = 0.1
_VELOCITY_STEP_S = 0.01
_INSETS = (1.0, 0.6, 1.5, 0.3)
"""Times the tour's own: how near to the edge of the view the target is held each time the tour is walked."""
_TREMOR_HZ = (1.3, 3.1, 7.7)

Seconds = Annotated[float, Meta(ge=0)]
Metres = Annotated[float, Meta(gt=0, le=20)]
Coordinate = Annotated[float, Meta(ge=-100, le=100)]
TempC = Annotated[float, Meta(ge=-30, le=400)]
Angle = Annotated[float, Meta(ge=-180, le=180)]
WidthPx = Annotated[float, Meta(ge=1, le=2000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=12)]


class TourFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Places spread over the views of lenses."""

    views: tuple[str, ...] = (ALL,)
    """Cameras' names, "thermal", or "all" of them; one after the other."""
    ranges_m: tuple[Metres, ...] = (0.6, 1.2, 2.2)
    columns: Count = 4
    rows: Count = 3
    inset: Annotated[float, Meta(ge=0, le=2)] = 1.0
    """How much of the target's half diagonal stays inside the view at its edges; less than 1 lets parts of it leave."""
    between: Annotated[int, Meta(ge=0, le=12)] = 0
    """So many places where two neighbouring lenses of `views` see the target at once."""
    hold_s: Annotated[float, Meta(gt=0, le=60)] = 1.6
    move_s: Annotated[float, Meta(gt=0, le=60)] = 0.8
    tilt_deg: Annotated[float, Meta(ge=0, le=60)] = 25.0
    """The target is turned this far from facing the lens, another way at each place."""
    reach_m: Metres = 2.2
    """Higher than this nobody holds a target."""
    start_s: Seconds = 1.0


class PropFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One calibration target."""

    kind: Literal["charuco", "tag", "blackbody", "flat"]
    """`flat`: an even plate; held close before a lens a flat field, a warm one passed by it a hand."""
    paper: Literal["a4", "a3"] = "a4"
    """Sheet that board or tag was printed on, as `patrol-calibrate board` prints it."""
    path: tuple[tuple[Seconds, Coordinate, Coordinate, Coordinate], ...] = ()
    """[t_s, x_m, y_m, z_m] of the target's middle; straight lines between; not there before or after."""
    before: str = ""
    """A lens: then x, y, z of `path` are to its right, below it and away from it, instead of the robot's frame."""
    widths: tuple[tuple[Seconds, WidthPx, Share], ...] = ()
    """Instead of `path`, for a blackbody before a lens, near its axis: [t_s, how wide its opening looks in pixels, and at least
    as a share of the picture's height], so that one scenario serves all sensors."""
    turn_deg: tuple[Angle, Angle, Angle] = (0.0, 0.0, 0.0)
    """From facing the robot: about its own axes down, right and inwards."""
    tour: TourFile | None = None
    """Instead of `path`."""
    tremor_m: Annotated[float, Meta(ge=0, le=0.05)] = 0.001
    """Of the hand, standard deviation along each axis; 0 for a target on a stand."""
    mirrored: bool = False
    print_scale: Annotated[float, Meta(gt=0.5, lt=2)] = 1.0
    dictionary: str | None = None
    squares: tuple[Annotated[int, Meta(ge=3, le=20)], Annotated[int, Meta(ge=3, le=20)]] | None = None
    spot_c: Annotated[float, Meta(ge=-20, le=150)] = 60.0
    """Of the tag's heated disc."""
    aperture_m: Annotated[float, Meta(gt=0, le=0.5)] = 0.06
    temp_c: tuple[tuple[Seconds, TempC], ...] = ((0.0, 35.0),)
    """Of a blackbody or a flat plate: [t_s, °C], straight lines between."""
    size_m: tuple[Metres, Metres] = (0.6, 0.6)
    """Of a flat plate."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stop:
    """A place where the target is held from `begin_s` to `end_s`."""

    begin_s: float
    end_s: float
    center_m: F64
    towards_m: F64
    turn_deg: F64


class Held:
    """One target and its way; `at` may be asked in any order."""

    def __init__(self, file: PropFile, name: str, rig: Rig, seed: int) -> None:
        self.name, self.surface = name, surface(file)
        rng = np.random.default_rng([seed, 0x9C0])
        self._tremor_m = file.tremor_m
        self._phases = rng.uniform(0, 2 * np.pi, (3, len(_TREMOR_HZ)))
        if file.tour is not None:
            self._rounds = [_tour(file.tour, self.surface, rig, rng, number) for number in range(len(_INSETS))]
        else:
            self._rounds = [_path(file, rig)]

    @property
    def end_s(self) -> float:
        """When the target is put away; 0 if the rig has none of the lenses it is meant for."""
        return self._rounds[0][-1].end_s if self._rounds[0] else 0.0

    def at(self, t_s: float, again: int = 0) -> PropPose | None:
        """Returns the target at that second; None before and after its way. Who has to walk a tour `again` does not hold the
        target at the very same places."""
        stops = self._rounds[again % len(self._rounds)]
        if not stops or not stops[0].begin_s <= t_s <= min(stops[-1].end_s, self.end_s):
            return None
        center, towards, turn = self._place(stops, t_s)
        later, _, _ = self._place(stops, min(t_s + _VELOCITY_STEP_S, stops[-1].end_s))
        yaw, pitch, roll = (float(value) for value in turn)
        rotation = facing(center, towards, (yaw, pitch, roll))
        return PropPose(self.name, self.surface, center, rotation, (later - center) / _VELOCITY_STEP_S)

    def _place(self, stops: Sequence[_Stop], t_s: float) -> tuple[F64, F64, F64]:
        index = max(bisect.bisect_right(stops, t_s, key=lambda stop: stop.begin_s) - 1, 0)
        here = stops[index]
        there = stops[min(index + 1, len(stops) - 1)]
        share = 0.0
        if t_s > here.end_s and there is not here:
            share = (t_s - here.end_s) / (there.begin_s - here.end_s)
            # Hands start and stop gently; a path of straight lines has no stops to be gentle at.
            if here.end_s > here.begin_s:
                share = share * share * (3.0 - 2.0 * share)
        center = here.center_m + (there.center_m - here.center_m) * share
        towards = here.towards_m + (there.towards_m - here.towards_m) * share
        turn = here.turn_deg + (there.turn_deg - here.turn_deg) * share
        return center + self._tremor(t_s), towards, turn

    def _tremor(self, t_s: float) -> F64:
        waves = np.sin(2 * np.pi * np.array(_TREMOR_HZ) * t_s + self._phases)
        return np.asarray(waves @ np.array([0.8, 0.5, 0.2]) * self._tremor_m, dtype=np.float64)


def surface(file: PropFile) -> Surface:
    """Returns what the target looks like."""
    paper = PAPERS[file.paper]
    if file.kind == "blackbody":
        return BlackbodySurface(file.aperture_m, file.temp_c)
    if file.kind == "flat":
        return FlatSurface(file.size_m, file.temp_c)
    if file.kind == "tag":
        tag = msgspec.structs.replace(paper.tag, edge_m=paper.tag.edge_m * file.print_scale)
        if file.dictionary is not None:
            tag = msgspec.structs.replace(tag, dictionary=file.dictionary)
        return TagSurface(tag, spot_c=file.spot_c, mirrored=file.mirrored)
    board = msgspec.structs.replace(paper.board, square_m=paper.board.square_m * file.print_scale)
    if file.dictionary is not None:
        board = msgspec.structs.replace(board, dictionary=file.dictionary)
    if file.squares is not None:
        board = msgspec.structs.replace(board, squares_x=file.squares[0], squares_y=file.squares[1])
    return CharucoSurface(board, mirrored=file.mirrored)


def problems(props: Sequence[PropFile]) -> list[str]:
    """Returns what cannot go together, as `path: what (what to do)`."""
    found = []
    for index, prop in enumerate(props):
        times = [point[0] for point in prop.path or prop.widths]
        if [prop.tour is None, not prop.path, not prop.widths].count(False) != 1:
            found.append(f"prop[{index}]: needs one of path, widths and tour (give one of them)")
        elif prop.widths and (prop.kind != "blackbody" or not prop.before):
            found.append(f"prop[{index}].widths: is for a blackbody before a lens (give kind and before, or a path)")
        elif times and (len(times) < 2 or any(a >= b for a, b in itertools.pairwise(times))):
            found.append(
                f"prop[{index}].{'path' if prop.path else 'widths'}: needs two or more lines with times that grow"
            )
        if prop.dictionary is not None:
            try:
                dictionary(prop.dictionary)
            except CalibrationError as error:
                found.append(f"prop[{index}].dictionary: {error}")
        if any(a[0] >= b[0] for a, b in itertools.pairwise(prop.temp_c)) or not prop.temp_c:
            found.append(f"prop[{index}].temp_c: needs [t_s, °C] with times that grow")
    return found


def _path(file: PropFile, rig: Rig) -> list[_Stop]:
    turn = np.array(file.turn_deg)
    lens = next((optic for optic in (*rig.cameras, rig.thermal) if optic.name == file.before), None)
    stops = []
    for t_s, *place in file.path or _ranges(file, lens):
        center, towards = np.array(place), np.array([0.0, 0.0, place[2]])
        if lens is not None:
            center, towards = lens.position_m + center @ lens.rotation, lens.position_m
        stops.append(_Stop(t_s, t_s, center, towards, turn))
    return stops


def _ranges(file: PropFile, lens: Optic | None) -> list[tuple[float, float, float, float]]:
    """Returns the path on which the opening looks as wide as wanted: a little beside the axis, never in line with a row."""
    if lens is None:
        return []
    focal_px = float(lens.matrix[0, 0])
    ranges_m = [
        (t_s, focal_px * file.aperture_m / max(least_px, share * lens.height_px))
        for t_s, least_px, share in file.widths
    ]
    return [(t_s, 0.02 * range_m, -0.03 * range_m, range_m) for t_s, range_m in ranges_m]


def _tour(file: TourFile, held: Surface, rig: Rig, rng: np.random.Generator, again: int) -> list[_Stop]:
    file = msgspec.structs.replace(file, inset=file.inset * _INSETS[again])
    lenses = {optic.name: optic for optic in rig.cameras} | {THERMAL: rig.thermal}
    names = [name for view in file.views for name in (lenses if view == ALL else (view,)) if name in lenses]
    half_m = float(np.hypot(*held.size_m)) / 2
    places: list[tuple[F64, F64]] = []
    for name in names:
        for range_m in file.ranges_m:
            places += _spread(lenses[name], range_m, file, held, rig, rng)
    if file.between:
        for one, other in itertools.combinations([lenses[name] for name in names], 2):
            places += _shared(one, other, file, half_m, again)
    if again and places:
        # Several technicians who all begin where they began before would be in each other's pictures at the same places again.
        first = int(rng.integers(len(places)))
        places = (places[first:] + places[:first])[:: 1 if again % 2 == 0 else -1]
    stops, t_s = [], file.start_s
    for number, (center, towards) in enumerate(places):
        # Another way at each place, all ways alike: the golden angle. Every fourth is held straight.
        angle = number * 2.399963
        tilt = 0.0 if number % 4 == 0 else file.tilt_deg * float(rng.uniform(0.6, 1.0))
        turn = np.array([tilt * np.cos(angle), tilt * np.sin(angle), rng.uniform(-12, 12)])
        stops.append(_Stop(t_s, t_s + file.hold_s, center, towards, turn))
        t_s += file.hold_s + file.move_s
    return stops


def _spread(
    optic: Optic, range_m: float, file: TourFile, held: Surface, rig: Rig, rng: np.random.Generator
) -> list[tuple[F64, F64]]:
    """Places on a grid over the view, so far from its edge that the whole target is in view."""
    half_m = float(np.hypot(*held.size_m)) / 2
    margin_px = file.inset * half_m / range_m * float(optic.matrix[0, 0]) + 0.01 * optic.width_px
    places = []
    for row in range(file.rows):
        columns = range(file.columns) if row % 2 == 0 else range(file.columns - 1, -1, -1)
        for column in columns:
            x = _along(column, file.columns, optic.width_px, margin_px) + rng.uniform(-0.02, 0.02) * optic.width_px
            y = _along(row, file.rows, optic.height_px, margin_px) + rng.uniform(-0.02, 0.02) * optic.height_px
            away_m = range_m * rng.uniform(0.93, 1.07)
            center = optic.position_m + _direction(optic, x, y) * away_m
            if optic.name == THERMAL:
                center = _brought_in(center, optic, away_m, held, rig)
            if FLOOR_M + half_m <= center[2] <= file.reach_m:
                places.append((center, optic.position_m))
    return places


def _brought_in(center: F64, optic: Optic, away_m: float, held: Surface, rig: Rig) -> F64:
    """Returns the place nearest to this one, on the way to the middle of the view, where some camera sees the whole target: who
    is told that no camera sees it brings it in. Where none does, the place as it was."""
    middle = _direction(optic, (optic.width_px - 1) / 2, (optic.height_px - 1) / 2)
    outer = (center - optic.position_m) / away_m
    for share in np.linspace(0.0, 0.8, 9):
        sight = (1 - share) * outer + share * middle
        place = np.asarray(optic.position_m + sight / np.linalg.norm(sight) * away_m, dtype=np.float64)
        corners = place + _rim(held) @ facing(place, optic.position_m).T
        if any(_whole(camera, corners) for camera in rig.cameras):
            return place
    return center


def _rim(held: Surface) -> F64:
    """Corners of the target about its middle."""
    width_m, height_m = held.size_m
    return np.array([(x * width_m, y * height_m, 0.0) for x in (-0.5, 0.5) for y in (-0.5, 0.5)])


def _along(index: int, count: int, size_px: int, margin_px: float) -> float:
    low = min(margin_px, size_px / 2)
    return low + (size_px - 1 - 2 * low) * (0.5 if count == 1 else index / (count - 1))


def _shared(one: Optic, other: Optic, file: TourFile, half_m: float, again: int) -> list[tuple[F64, F64]]:
    """Places spread over what both lenses see, at the ranges of the tour."""
    found = []
    towards = (one.position_m + other.position_m) / 2
    rim = np.array([(x, y, 0.0) for x in (-1, 1) for y in (-1, 1)]) * half_m / np.sqrt(2.0)
    x, y = np.meshgrid(np.linspace(0, one.width_px - 1, 81), np.linspace(0, one.height_px - 1, 31))
    sight = np.stack([_direction(one, a, b) for a, b in zip(x.ravel(), y.ravel(), strict=True)])
    for range_m in file.ranges_m:
        centers = one.position_m + sight * range_m
        pixels, depth = Projector(other).project(centers)
        near = (depth > FLOOR_M) & in_picture(other, pixels) & (centers[:, 2] <= file.reach_m)
        for center in centers[near & (centers[:, 2] >= FLOOR_M + half_m)]:
            corners = center + rim @ facing(center, towards).T
            if all(_whole(lens, corners) for lens in (one, other)):
                found.append(center)
    return [(center, towards) for center in _far_apart(found, file.between, again)]


def _whole(lens: Optic, corners_m: F64) -> bool:
    pixels, depth = Projector(lens).project(corners_m)
    return bool((depth > FLOOR_M).all() and in_picture(lens, pixels, 0.015 * lens.width_px).all())


def _far_apart(points: list[F64], count: int, again: int) -> list[F64]:
    """Chooses points far from each other, one after the other; others each time."""
    if not points:
        return []
    every = np.stack(points)
    chosen = [again * len(points) // len(_INSETS)]
    while len(chosen) < min(count, len(points)):
        apart = np.linalg.norm(every[:, None] - every[chosen][None], axis=2).min(axis=1)
        chosen.append(int(apart.argmax()))
    return [points[index] for index in chosen]


def _direction(optic: Optic, x_px: float, y_px: float) -> F64:
    """Unit vector, robot frame, towards a pixel; without distortion, which for a place to stand does not matter."""
    local = np.array(
        [(x_px - optic.matrix[0, 2]) / optic.matrix[0, 0], (y_px - optic.matrix[1, 2]) / optic.matrix[1, 1], 1.0]
    )
    return np.asarray(local @ optic.rotation / np.linalg.norm(local), dtype=np.float64)
