"""What one camera of the robot sees of the simulated station. Pure: the same scene gives the same picture.

Fast by design: the empty square is drawn once, with noise, in a few variants; per frame only people are drawn, each face
with one perspective warp of the fitting copy of its texture into the rectangle it covers. Of a robot that drives the square is cut out of
a panorama, the whole picture is smeared while it turns, and noise is laid on last.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators import backdrop, figure, panorama, smear
from simulators.faces import look
from simulators.faces_visible import SCALE, visible_texture
from simulators.figure import Disc, Figure, Plane
from simulators.patrol import Pose
from simulators.projection import Projector
from simulators.props import PropPose
from simulators.render_props import PlaneDrawer
from simulators.smear import EXPOSURE_S
from simulators.world import F64, Optic, SceneState

U8 = NDArray[np.uint8]
Colour = tuple[float, float, float]

_VARIANTS = 3
_NOISE_SIGMA = 2.0
_LENS_BLUR_PX = 0.6
_BACK_GREY = 96.0


class VisibleRenderer:
    """Draws scenes for one camera; keeps its backdrops and buffers (about five pictures of memory).

    What moves is smeared where it matters: calibration targets, and everything while the robot turns.
    """

    def __init__(self, optic: Optic, seed: int) -> None:
        self._projector = Projector(optic)
        self._planes = PlaneDrawer(self._projector)
        self._size = (optic.width_px, optic.height_px)
        self._seed = seed & 0xFFFFFFFF
        noise = self._noise()
        self._brighter = np.clip(noise, 0, 255).astype(np.uint8)
        self._darker = np.clip(-noise, 0, 255).astype(np.uint8)
        self._empty: list[U8] = []
        self._around: panorama.View | None = None

    def render(self, state: SceneState, noise_s: float | None = None) -> U8:
        """The camera's picture (height × width × 3, BGR) at that moment; the array is the caller's to keep.

        `noise_s` is the moment that decides on the noise, where the scene itself stands still; else the scene's own.
        """
        moment = round((state.t_s if noise_s is None else noise_s) * 1e6)
        frame = self._still(moment) if state.robot is None else self._turned(state.robot)
        drawn: list[tuple[int, int, int, int]] = []
        for thing in figure.things(state, self._projector):
            if isinstance(thing, Disc):
                _draw_disc(frame, thing)
                continue
            if isinstance(thing, Plane):
                box = self._draw_plane(frame, thing.pose)
                drawn += [box] if box is not None else []
                continue
            self._draw_figure(frame, thing, _light_gain(_lit_at(thing.pose.eyes_m, state.robot)))
            if thing.box_px[0] < thing.box_px[2] and thing.box_px[1] < thing.box_px[3]:
                drawn.append(thing.box_px)
        if state.robot is not None:
            moved_px = smear.turning_px(state.robot.turn_deg_s, float(self._projector.optic.matrix[0, 0]), EXPOSURE_S)
            if abs(moved_px) > smear.LEAST_PX:
                frame = smear.exposed(frame, moved_px)
            drawn = [(0, 0, *self._size)]
        for box in _columns(drawn):
            self._add_noise(frame, box, moment)
        return frame

    def _noise(self) -> NDArray[np.float32]:
        rng = np.random.default_rng([self._seed, 0xCA3])
        shape = (self._size[1], self._size[0], 3)
        return (rng.standard_normal(shape, dtype=np.float32) * np.float32(_NOISE_SIGMA)).round()

    def _still(self, moment: int) -> U8:
        """Returns the empty square with noise on it, as a robot that stands sees it."""
        if not self._empty:
            empty, noise = backdrop.visible(self._projector.optic, 0), self._noise()
            for k in range(_VARIANTS):
                shifted = np.roll(noise, (37 * (k + 1), 91 * (k + 1)), axis=(0, 1))
                self._empty.append(np.clip(empty + shifted, 0, 255).astype(np.uint8))
        return self._empty[moment * 7919 % 65537 % _VARIANTS].copy()

    def _turned(self, robot: Pose) -> U8:
        """Returns the empty square without noise, as a robot that drives sees it."""
        if self._around is None:
            optic = self._projector.optic
            self._around = panorama.View(panorama.visible(optic, 0), optic, 2)
        return self._around.seen(robot).copy()

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
        region = frame[top:bottom, left:right]
        colour = cv2.cvtColor(patch, cv2.COLOR_BGRA2BGR)
        open_part = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(patch, 3)), cv2.COLOR_GRAY2BGR)
        behind = cv2.multiply(region, open_part, scale=1.0 / 255.0)
        cv2.addWeighted(colour, gain, behind, 1.0, 0.0, dst=region)

    def _draw_plane(self, frame: U8, pose: PropPose) -> tuple[int, int, int, int] | None:
        """Draws a calibration target as the lens shows it; returns the rectangle drawn on."""
        moved_px = self._planes.moved_px(pose, EXPOSURE_S)
        box = self._planes.box(pose, margin_px=3 + int(np.abs(moved_px).max() / 2))
        if box is None:
            return None
        texture = pose.surface.visible()
        if not self._planes.front(pose):
            texture = np.full((8, 8, 3), _BACK_GREY, np.uint8)
        patch, cover = self._planes.warp(texture, pose, box)
        seen = np.dstack([patch * np.float32(_plane_gain(pose, self._projector.optic)), cover])
        seen = cv2.GaussianBlur(seen, (0, 0), _LENS_BLUR_PX)
        if np.hypot(*moved_px) > 1:
            seen = cv2.filter2D(seen, -1, _smear_kernel(moved_px), borderType=cv2.BORDER_REPLICATE)
        left, top, right, bottom = box
        region = frame[top:bottom, left:right]
        region[...] = np.clip(region * (1.0 - seen[..., 3:]) + seen[..., :3], 0, 255).round()
        return box

    def _add_noise(self, frame: U8, box: tuple[int, int, int, int], moment: int) -> None:
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        # Another cut-out of the same noise every time: as good as new noise, and no random numbers per frame.
        dx = (moment * 31 + left) % (self._size[0] - width + 1)
        dy = (moment * 17 + top) % (self._size[1] - height + 1)
        region = frame[top:bottom, left:right]
        cv2.add(region, self._brighter[dy : dy + height, dx : dx + width], dst=region)
        cv2.subtract(region, self._darker[dy : dy + height, dx : dx + width], dst=region)


def _columns(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Boxes that overlap from left to right joined to one, so that noise is laid on once."""
    joined: list[tuple[int, int, int, int]] = []
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


def _lit(colour: Colour, gain: float) -> Colour:
    b, g, r = (min(float(c) * gain, 255.0) for c in colour)
    return b, g, r


def _ellipse(frame: U8, head: tuple[F64, tuple[float, float], float], colour: Colour) -> None:
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


def _draw_disc(frame: U8, disc: Disc) -> None:
    kind = disc.thing.kind
    x, y, r = float(disc.center_px[0]), float(disc.center_px[1]), max(disc.radius_px, 1.0)
    if kind == "lamp":
        _ellipse(frame, (disc.center_px, (r * 1.15, r * 1.15), 0.0), (70, 72, 74))
        _ellipse(frame, (disc.center_px, (r, r), 0.0), (236, 250, 255))
    elif kind == "cup":
        points = np.array([(x - r, y - r), (x + r, y - r), (x + 0.72 * r, y + r), (x - 0.72 * r, y + r)])
        cv2.fillConvexPoly(
            frame, np.round(points * 16).astype(np.int32), (228, 232, 236), cv2.LINE_AA, figure.FIXED_BITS
        )
        _ellipse(frame, (np.array((x, y - r)), (r, 0.25 * r), 0.0), (40, 62, 96))
    elif kind == "heater":
        points = np.array([(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)])
        cv2.fillConvexPoly(frame, np.round(points * 16).astype(np.int32), (58, 60, 64), cv2.LINE_AA, figure.FIXED_BITS)
        for k in range(4):
            yk = y - r * 0.7 + k * r * 0.45
            cv2.line(
                frame, (int(x - 0.8 * r), int(yk)), (int(x + 0.8 * r), int(yk)), (40, 92, 226), max(1, int(r / 12))
            )
    else:
        _puff(frame, x, y, r)


def _puff(frame: U8, x: float, y: float, r: float) -> None:
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
    region[...] = (region * (1.0 - cover) + 235.0 * cover).astype(np.uint8)
