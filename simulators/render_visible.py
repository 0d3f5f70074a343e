"""What one camera of the robot sees of the simulated station. Pure: the same scene gives the same picture.

Fast by design: the empty square is drawn once, with noise, in a few variants; per frame only people are drawn, each face
with one perspective warp of the fitting copy of its texture into the rectangle it covers. Of a robot that drives the square is cut out of
a panorama, the whole picture is smeared while it turns, and noise is laid on last; so it is in a scenario with a light of its own, and
while something is wrong with the lens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators import backdrop, figure, panorama, smear
from simulators.faces import look
from simulators.faces_visible import SCALE, visible_texture
from simulators.figure import Disc, Figure, Plane
from simulators.lens import Lens, LensFile
from simulators.light import LightFile, dimmed
from simulators.patrol import Pose
from simulators.projection import Projector
from simulators.props import PropPose
from simulators.render_props import PlaneDrawer
from simulators.world import F64, Optic, SceneState

U8 = NDArray[np.uint8]
Colour = tuple[float, float, float, float]
"""Blue, green, red, and what a layer is covered by; a picture without layers leaves the last out."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""

_VARIANTS = 3
_SHARP_PX = 1.0
"""Who and what moves by no more than this while the shutter is open is drawn sharp."""
_LENS_BLUR_PX = 0.6
_BACK_GREY = 96.0
_PLAIN = LightFile()


class VisibleRenderer:
    """Draws scenes for one camera; keeps its backdrops and buffers (about five pictures of memory).

    What moves is smeared where it matters: calibration targets, everything while the robot turns, and people where the exposure is said.
    """

    def __init__(self, optic: Optic, seed: int, light: LightFile = _PLAIN, lenses: Sequence[LensFile] = ()) -> None:
        self._projector = Projector(optic)
        self._planes = PlaneDrawer(self._projector)
        self._size = (optic.width_px, optic.height_px)
        self._seed = seed & 0xFFFFFFFF
        self._light = light
        self._lens = Lens(lenses, optic.name, self._size, light.level)
        noise = self._noise()
        self._brighter = np.clip(noise, 0, 255).astype(np.uint8)
        self._darker = np.clip(-noise, 0, 255).astype(np.uint8)
        self._empty: list[U8] = []
        self._bare: U8 | None = None
        self._layer: U8 | None = None
        self._around: panorama.View | None = None

    def render(self, state: SceneState, noise_s: float | None = None) -> U8:
        """The camera's picture (height × width × 3, BGR) at that moment; the array is the caller's to keep.

        `noise_s` is the moment that decides on noise and lens, where the scene itself stands still; else the scene's own.
        """
        seen_s = state.t_s if noise_s is None else noise_s
        moment = round(seen_s * 1e6)
        noise_last = state.robot is not None or self._light != _PLAIN or not self._lens.clear(seen_s)
        frame = self._around_robot(state.robot) if noise_last else self._still(moment)
        level, front = self._light.level, self._light.level * self._light.front
        drawn: list[Box] = []
        for thing in figure.things(state, self._projector):
            if isinstance(thing, Disc):
                _draw_disc(frame, thing, level if thing.thing.carried_by is None else front)
                continue
            if isinstance(thing, Plane):
                box = self._draw_plane(frame, thing.pose, front)
                drawn += [box] if box is not None else []
                continue
            gain = front * _light_gain(_lit_at(thing.pose.eyes_m, state.robot))
            kernel = self._smear_of(thing, state.robot)
            if kernel is None:
                self._draw_figure(frame, thing, gain)
            else:
                self._draw_smeared(frame, thing, gain, kernel)
            if thing.box_px[0] < thing.box_px[2] and thing.box_px[1] < thing.box_px[3]:
                drawn.append(thing.box_px)
        if state.robot is not None:
            focal_px = float(self._projector.optic.matrix[0, 0])
            moved_px = smear.turning_px(state.robot.turn_deg_s, focal_px, self._light.shutter_s)
            if abs(moved_px) > smear.LEAST_PX:
                frame = smear.exposed(frame, moved_px)
        frame = self._lens.seen(frame, seen_s)
        for box in _quarters(self._size, moment) if noise_last else _columns(drawn):
            self._add_noise(frame, box, moment)
        return frame

    def _noise(self) -> NDArray[np.float32]:
        rng = np.random.default_rng([self._seed, 0xCA3])
        shape = (self._size[1], self._size[0], 3)
        return (rng.standard_normal(shape, dtype=np.float32) * np.float32(self._light.noise)).round()

    def _still(self, moment: int) -> U8:
        """Returns the empty square with noise on it, as a robot that stands sees it."""
        if not self._empty:
            empty, noise = backdrop.visible(self._projector.optic, 0), self._noise()
            for k in range(_VARIANTS):
                shifted = np.roll(noise, (37 * (k + 1), 91 * (k + 1)), axis=(0, 1))
                self._empty.append(np.clip(empty + shifted, 0, 255).astype(np.uint8))
        return self._empty[moment * 7919 % 65537 % _VARIANTS].copy()

    def _around_robot(self, robot: Pose | None) -> U8:
        """Returns the empty square without noise, as a robot that drives or (None) stands sees it."""
        optic = self._projector.optic
        if robot is None:
            if self._bare is None:
                self._bare = dimmed(backdrop.visible(optic, 0), self._light.level)
            return self._bare.copy()
        if self._around is None:
            self._around = panorama.View(panorama.visible(optic, 0), optic, 2)
        return dimmed(self._around.seen(robot), self._light.level)

    def _smear_of(self, seen: Figure, robot: Pose | None) -> NDArray[np.float32] | None:
        """Returns what the shutter makes of a point of somebody who goes by; None where that is a point."""
        if self._light.exposure_s is None:
            return None
        moved_px = figure.moved_px(seen.pose, robot, self._projector, self._light.exposure_s)
        return _trimmed(_smear_kernel(np.array(moved_px))) if math.hypot(*moved_px) > _SHARP_PX else None

    def _draw_smeared(self, frame: U8, seen: Figure, gain: float, kernel: NDArray[np.float32]) -> None:
        """Draws somebody apart, and lays what the shutter makes of that over what is behind, which stands still."""
        left, top, right, bottom = self._reached(seen, kernel.shape)
        if left >= right or top >= bottom:
            return
        if self._layer is None:
            self._layer = np.zeros((self._size[1], self._size[0], 4), np.uint8)
        self._draw_figure(self._layer, seen, gain)
        drawn = self._layer[top:bottom, left:right]
        _lay(frame[top:bottom, left:right], cv2.filter2D(drawn, -1, kernel, borderType=cv2.BORDER_REPLICATE), 1.0)
        drawn[...] = 0

    def _reached(self, seen: Figure, kernel_shape: tuple[int, ...]) -> Box:
        """Returns all that somebody who is smeared by a kernel of that shape is drawn on."""
        boxes = [seen.box_px]
        if seen.head_px is not None:
            (x, y), axes, _ = seen.head_px
            reach = max(axes) + 2
            boxes.append((int(x - reach), int(y - reach), int(x + reach) + 1, int(y + reach) + 1))
        if seen.face is not None:
            extent = visible_texture(seen.pose.person, seen.pose.mouth_open).extent
            boxes.append(figure.patch_box(seen.face, extent, *self._size) or seen.box_px)
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        rows, columns = (size // 2 for size in kernel_shape)
        return (
            max(min(lefts) - columns, 0),
            max(min(tops) - rows, 0),
            min(max(rights) + columns, self._size[0]),
            min(max(bottoms) + rows, self._size[1]),
        )

    def _draw_figure(self, frame: U8, seen: Figure, gain: float) -> None:
        of = look(seen.pose.person.face_seed)
        skin = _lit(of.skin_bgr, gain * 0.72)
        hair = skin if of.hair_style == "bald" else _lit(of.hair_bgr, gain * 0.8)
        if seen.pose.person.hat:
            hair = _lit(of.trousers_bgr, gain * 0.9)
        shirt, trousers = _lit(of.shirt_bgr, gain), _lit(of.trousers_bgr, gain)
        colours: dict[int, Colour] = {
            figure.LEG_RIGHT: _lit(trousers, 0.86),
            figure.LEG_LEFT: trousers,
            figure.TORSO: shirt,
            figure.SHADE: _lit(shirt, 0.88),
            figure.ARM_RIGHT: _lit(shirt, 0.8),
            figure.ARM_LEFT: _lit(shirt, 0.8),
            figure.BACK_NECK: skin,
        }
        for part in figure.DRAW_ORDER:
            polygon = seen.parts[part]
            if polygon is not None:
                cv2.fillConvexPoly(frame, polygon, colours[part], cv2.LINE_8, figure.FIXED_BITS)
        if seen.head_px is not None:
            _ellipse(frame, seen.head_px, hair)
        if seen.face is not None:
            self._draw_face(frame, seen, seen.face, gain)

    def _draw_face(self, frame: U8, seen: Figure, face: F64, gain: float) -> None:
        texture = visible_texture(seen.pose.person, seen.pose.mouth_open)
        box = figure.patch_box(face, texture.extent, *self._size)
        if box is None:
            return
        level = 0
        while level + 1 < len(texture.levels) and SCALE / 2 ** (level + 1) >= seen.scale_px:
            level += 1
        left, top, right, bottom = box
        move = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        matrix = move @ face @ figure.texel_matrix(SCALE / 2**level)
        patch = cv2.warpPerspective(texture.levels[level], matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
        _lay(frame[top:bottom, left:right], patch, gain)

    def _draw_plane(self, frame: U8, pose: PropPose, front: float) -> Box | None:
        """Draws a calibration target as the lens shows it; returns the rectangle drawn on."""
        moved_px = self._planes.moved_px(pose, self._light.shutter_s)
        box = self._planes.box(pose, margin_px=3 + int(np.abs(moved_px).max() / 2))
        if box is None:
            return None
        texture = pose.surface.visible()
        if not self._planes.front(pose):
            texture = np.full((8, 8, 3), _BACK_GREY, np.uint8)
        patch, cover = self._planes.warp(texture, pose, box)
        seen = np.dstack([patch * np.float32(front * _plane_gain(pose, self._projector.optic)), cover])
        seen = cv2.GaussianBlur(seen, (0, 0), _LENS_BLUR_PX)
        if np.hypot(*moved_px) > _SHARP_PX:
            seen = cv2.filter2D(seen, -1, _smear_kernel(moved_px), borderType=cv2.BORDER_REPLICATE)
        left, top, right, bottom = box
        region = frame[top:bottom, left:right]
        region[...] = np.clip(region * (1.0 - seen[..., 3:]) + seen[..., :3], 0, 255).round()
        return box

    def _add_noise(self, frame: U8, box: Box, moment: int) -> None:
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        # Another cut-out of the same noise every time: as good as new noise, and no random numbers per frame.
        dx = (moment * 31 + left) % (self._size[0] - width + 1)
        dy = (moment * 17 + top) % (self._size[1] - height + 1)
        region = frame[top:bottom, left:right]
        cv2.add(region, self._brighter[dy : dy + height, dx : dx + width], dst=region)
        cv2.subtract(region, self._darker[dy : dy + height, dx : dx + width], dst=region)


def _quarters(size_px: tuple[int, int], moment: int) -> list[Box]:
    """Returns the whole picture in four parts, cut elsewhere at every moment: there is no other cut-out of the noise for a whole one."""
    (width, height), spread = size_px, moment * 7919 % 65537 / 65537
    x, y = int(width * (0.3 + 0.4 * spread)), int(height * (0.7 - 0.4 * spread))
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


def _columns(boxes: list[Box]) -> list[Box]:
    """Boxes that overlap from left to right joined to one, so that noise is laid on once."""
    joined: list[Box] = []
    for box in sorted(boxes):
        if joined and box[0] < joined[-1][2]:
            left, top, right, bottom = joined[-1]
            joined[-1] = (left, min(top, box[1]), max(right, box[2]), max(bottom, box[3]))
        else:
            joined.append(box)
    return joined


def _lit_at(eyes_m: F64, robot: Pose | None) -> F64:
    """Returns where light falls on somebody: on the map, where the robot drives."""
    return eyes_m if robot is None else robot.place_m + robot.rotation @ eyes_m


def _light_gain(eyes_m: F64) -> float:
    """Gentle light and shade over the square, between 0.84 and 1.08."""
    return float(0.96 + 0.12 * np.sin(0.55 * eyes_m[0] + 0.8) * np.cos(0.45 * eyes_m[1]))


def _plane_gain(pose: PropPose, optic: Optic) -> float:
    """Light on a flat target: the place's, less where it is turned away from the front."""
    sight = pose.center_m - optic.position_m
    turned = abs(float(pose.rotation[:, 2] @ sight)) / max(float(np.linalg.norm(sight)), 1e-9)
    return _light_gain(pose.center_m) * (0.7 + 0.3 * turned)


def _smear_kernel(moved_px: F64) -> NDArray[np.float32]:
    """What a movement of that many pixels during the exposure does to a point."""
    half = int(np.abs(moved_px).max() / 2) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 4 * half + 1):
        x, y = np.round(half + share * moved_px).astype(int)
        kernel[y, x] += 1
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _lit(colour: tuple[float, ...], gain: float) -> Colour:
    b, g, r = (min(float(c) * gain, 255.0) for c in colour[:3])
    return b, g, r, 255.0


def _lay(region: U8, patch: U8, gain: float) -> None:
    """Lays a patch (BGRA, multiplied by its cover) over a part of a picture, or of a layer, with its colours multiplied by `gain`."""
    depth = region.shape[2]
    open_part = cv2.merge([cv2.bitwise_not(cv2.extractChannel(patch, 3))] * depth)
    behind = cv2.multiply(region, open_part, scale=1.0 / 255.0)
    if depth == 3:
        cv2.addWeighted(cv2.cvtColor(patch, cv2.COLOR_BGRA2BGR), gain, behind, 1.0, 0.0, dst=region)
    else:
        cv2.add(cv2.multiply(patch, (gain, gain, gain, 1.0)), behind, dst=region)


def _trimmed(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the kernel without the rows and columns around it in which nothing is: whole ones of a fast walker take ten times as long."""
    half = len(kernel) // 2
    y, x = (int(np.abs(used - half).max()) for used in np.nonzero(kernel))
    return kernel[half - y : half + y + 1, half - x : half + x + 1]


def _ellipse(frame: U8, head: tuple[F64, tuple[float, float], float], colour: tuple[float, ...]) -> None:
    centre, (rx, ry), tilt = head
    fixed = 1 << figure.FIXED_BITS
    cv2.ellipse(
        frame,
        (round(float(centre[0]) * fixed), round(float(centre[1]) * fixed)),
        (round(rx * fixed), round(ry * fixed)),
        tilt,
        0,
        360,
        colour,
        -1,
        cv2.LINE_AA,
        figure.FIXED_BITS,
    )


def _draw_disc(frame: U8, disc: Disc, gain: float) -> None:
    """Draws something warm; of a lamp and a heater, what glows is as bright in the dark."""
    kind = disc.thing.kind
    x, y, r = float(disc.center_px[0]), float(disc.center_px[1]), max(disc.radius_px, 1.0)
    if kind == "lamp":
        _ellipse(frame, (disc.center_px, (r * 1.15, r * 1.15), 0.0), _lit((70, 72, 74), gain))
        _ellipse(frame, (disc.center_px, (r, r), 0.0), (236, 250, 255))
    elif kind == "cup":
        points = np.array([(x - r, y - r), (x + r, y - r), (x + 0.72 * r, y + r), (x - 0.72 * r, y + r)])
        cv2.fillConvexPoly(
            frame, np.round(points * 16).astype(np.int32), _lit((228, 232, 236), gain), cv2.LINE_AA, figure.FIXED_BITS
        )
        _ellipse(frame, (np.array((x, y - r)), (r, 0.25 * r), 0.0), _lit((40, 62, 96), gain))
    elif kind == "heater":
        points = np.array([(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)])
        cv2.fillConvexPoly(
            frame, np.round(points * 16).astype(np.int32), _lit((58, 60, 64), gain), cv2.LINE_AA, figure.FIXED_BITS
        )
        for k in range(4):
            yk = y - r * 0.7 + k * r * 0.45
            cv2.line(
                frame, (int(x - 0.8 * r), int(yk)), (int(x + 0.8 * r), int(yk)), (40, 92, 226), max(1, int(r / 12))
            )
    else:
        _puff(frame, x, y, r, gain)


def _puff(frame: U8, x: float, y: float, r: float, gain: float) -> None:
    """Vapour: a pale cloud that half hides what is behind."""
    height, width = frame.shape[:2]
    left, top, right, bottom = (
        max(int(x - r), 0),
        max(int(y - r), 0),
        min(int(x + r) + 1, width),
        min(int(y + r) + 1, height),
    )
    if right <= left or bottom <= top:
        return
    columns, rows = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    cover = 0.45 * np.clip(1.0 - ((columns - x) ** 2 + (rows - y) ** 2) / (r * r), 0.0, 1.0)[..., None]
    region = frame[top:bottom, left:right]
    region[...] = (region * (1.0 - cover) + 235.0 * gain * cover).astype(np.uint8)
