"""What the simulated thermal sensor reports of the station, °C per pixel. Pure: the same scene and moment give the same frame.

Rendered in band radiance on a canvas four times finer than the sensor, then what a real sensor adds, in the order in which it
happens: atmosphere, point spread, veiling glare, averaging over each pixel, smear while the robot turns, reference plate, firmware's conversion to °C
(emissivity 1), gain error, fixed pattern, common offset with drift, temporal noise, dead pixels. Quantisation happens where
the frame is encoded. Only a slow pixel and a sensor that measures in halves remember: the frame before.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators import backdrop, figure, panorama, radiance, smear
from simulators.dead_pixels import DeadPixels
from simulators.faces import look
from simulators.faces_thermal import SCALE, thermal_texture
from simulators.figure import Disc, Figure, Plane
from simulators.patrol import Pose
from simulators.projection import Projector
from simulators.props import PropPose
from simulators.render_props import PlaneDrawer
from simulators.sub_pages import SubPages
from simulators.world import F64, Optic, Rig, SceneState

F32 = NDArray[np.float32]

FINE = 4
"""Canvas pixels per sensor pixel, along each axis."""
_BLUR_AT = 2
_STILL_PX = 0.15 * FINE
"""Who goes by less than this in a time constant is drawn as if standing."""
_CLOTHES_EMISSIVITY = 0.95
_HOT_EMISSIVITY = 0.95
_VAPOUR_COVER = 0.5
PLATE_DISTANCE_M = 0.2
"""Of the reference plate from the lens: what is nearer hides it."""


class _Around(NamedTuple):
    """What lies between a surface and the sensor, and what the surface reflects."""

    air_c: float
    reflected_c: float


class ThermalRenderer:
    """Draws scenes for the thermal sensor of a rig; fixed pattern, drift and noise follow from the seed."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self._rig = rig
        self._seed = seed & 0xFFFFFFFF
        self._optic = _finer(rig.thermal, FINE)
        self._projector = Projector(self._optic)
        self._planes = PlaneDrawer(self._projector)
        rng = np.random.default_rng([self._seed, 0xF1ED])
        shape = (rig.thermal.height_px, rig.thermal.width_px)
        self._pattern = (rng.standard_normal(shape) * rig.traits.fixed_pattern_c).astype(np.float32)
        # The pattern is the deviation from the common offset, which is a trait of its own.
        self._pattern -= self._pattern.mean()
        self._empty_key: tuple[float, bool] | None = None
        self._around: panorama.View | None = None
        self._empty = np.zeros((self._optic.height_px, self._optic.width_px), np.float32)
        self._canvas = np.empty_like(self._empty)
        self._dead = DeadPixels(rig.traits, rng)
        self._halves = SubPages(rig.traits.rate_hz) if rig.traits.sub_pages else None

    def render(self, state: SceneState, t_s: float | None = None) -> F32:
        """The frame at `t_s` seconds after the start (by default the scene's own time): height × width, °C."""
        t_s = state.t_s if t_s is None else t_s
        apparent = radiance.to_temp(self._sensor_radiance(state)).astype(np.float32)
        if self._rig.traits.gain_error:
            apparent += np.float32(self._rig.traits.gain_error) * (apparent - np.float32(30.0))
        self._dead.lag(apparent, t_s)
        apparent += self._pattern
        apparent += np.float32(self._common_offset_c(t_s))
        netd = self._rig.traits.netd_c
        if netd > 0:
            frame = round(t_s * self._rig.traits.rate_hz)
            rng = np.random.default_rng([self._seed, 0x401E, frame & 0xFFFFFFFF])
            noise = rng.standard_normal(apparent.shape, dtype=np.float32) * np.float32(netd)
            self._dead.stir(noise)
            apparent += noise
        self._dead.spoil(apparent)
        if self._halves is not None:
            self._halves.keep(apparent, t_s)
        return apparent

    def _common_offset_c(self, t_s: float) -> float:
        """Offset at the start plus a drift that grows evenly up to its limit."""
        traits = self._rig.traits
        drift = traits.drift_c_per_min * t_s / 60.0
        return traits.offset_c + float(np.clip(drift, -traits.drift_limit_c, traits.drift_limit_c))

    def _sensor_radiance(self, state: SceneState) -> F32:
        around = _Around(state.ambient_c, state.surroundings_c)
        self._canvas[...] = self._background(round(around.air_c, 1), state.robot)
        near: list[PropPose] = []
        for thing in figure.things(state, self._projector):
            tau = radiance.transmission(thing.distance_m, state.ambient_c, state.humidity)
            if isinstance(thing, Disc):
                self._draw_disc(thing, tau, around)
            elif isinstance(thing, Plane):
                self._draw_plane(thing.pose, state.t_s, tau, around)
                if thing.distance_m < PLATE_DISTANCE_M:
                    near.append(thing.pose)
            else:
                self._draw_walker(thing, tau, around, state.robot)
        width, height = self._rig.thermal.width_px, self._rig.thermal.height_px
        half = cv2.resize(self._canvas, (width * _BLUR_AT, height * _BLUR_AT), interpolation=cv2.INTER_AREA)
        sigma = self._rig.traits.psf_sigma_px * _BLUR_AT
        if sigma > 0.05:
            half = cv2.GaussianBlur(half, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        out = np.asarray(cv2.resize(half, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)
        veil = np.float32(self._rig.traits.veil_share)
        if veil > 0:
            wide = cv2.GaussianBlur(out, (0, 0), self._rig.traits.veil_sigma_px, borderType=cv2.BORDER_REPLICATE)
            out += veil * (wide - out)
        if state.robot is not None:
            focal_px = float(self._rig.thermal.matrix[0, 0])
            moved_px = smear.turning_px(state.robot.turn_deg_s, focal_px, smear.TIME_CONSTANT_S)
            if abs(moved_px) > smear.LEAST_PX:
                out = smear.lagging(out, moved_px)
        self._put_plate(out, around.reflected_c, near)
        return out

    def _put_plate(self, out: F32, reflected_c: float, near: list[PropPose]) -> None:
        """Draws the reference plate, but for what is hidden by targets held between it and the lens."""
        plate = self._rig.reference
        if not plate.present:
            return
        left, top, width, height = plate.roi_px
        value = np.float32(radiance.surface(plate.temp_c, plate.emissivity, reflected_c))
        inside = out[top : top + height, left : left + width]
        open_share = np.ones_like(inside)
        for pose in near:
            box = self._planes.box(pose)
            if box is not None:
                cover = np.zeros_like(self._canvas)
                _, cover[box[1] : box[3], box[0] : box[2]] = self._planes.warp(np.ones((2, 2), np.float32), pose, box)
                mean = cv2.resize(cover, (out.shape[1], out.shape[0]), interpolation=cv2.INTER_AREA)
                open_share *= 1.0 - mean[top : top + height, left : left + width]
        inside += open_share * (value - inside)

    def _background(self, ambient_c: float, robot: Pose | None) -> F32:
        key = (ambient_c, robot is not None)
        if self._empty_key != key and robot is None:
            shape = (self._optic.width_px, self._optic.height_px)
            temp = backdrop.thermal(self._optic, *shape, ambient_c, self._seed)
            self._empty = radiance.of_temp(temp).astype(np.float32)
        elif self._empty_key != key:
            around = panorama.thermal(self._optic, _BLUR_AT, ambient_c, self._seed)
            leaving = radiance.of_temp(around.picture).astype(np.float32)
            self._around = panorama.View(panorama.Panorama(leaving, around.px_per_rad), self._optic)
        self._empty_key = key
        if robot is None or self._around is None:
            return self._empty
        return np.asarray(self._around.seen(robot), dtype=np.float32)

    def _draw_walker(self, seen: Figure, tau: float, around: _Around, robot: Pose | None) -> None:
        """Draws somebody as elements show them that follow slowly: with a trail, if they go by."""
        moved_px = figure.moved_px(seen.pose, robot, self._projector, smear.TIME_CONSTANT_S)
        if math.hypot(*moved_px) < _STILL_PX:
            self._draw_figure(seen, tau, around)
            return
        kernel = smear.trail(moved_px)
        reach = len(kernel) // 2
        left, top, right, bottom = seen.box_px
        region = self._canvas[max(top - reach, 0) : bottom + reach, max(left - reach, 0) : right + reach]
        before = region.copy()
        self._draw_figure(seen, tau, around)
        # What is behind stands still: only what was drawn is smeared.
        region -= before
        region[...] = cv2.filter2D(region, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        region += before

    def _draw_figure(self, seen: Figure, tau: float, around: _Around) -> None:
        person = seen.pose.person
        of = look(person.face_seed)
        # Clothes lie 3 to 5 °C above the air, the same for one person always.
        clothes_c = around.air_c + 3.0 + 2.0 * (person.face_seed * 0.618 % 1.0)
        hair_c = around.air_c + 0.3 * (person.forehead_c - around.air_c)
        skull_c = person.forehead_c - 1.0 if of.hair_style == "bald" and not person.hat else hair_c
        temps_c = np.full(len(figure.DRAW_ORDER), clothes_c)
        temps_c[figure.SHADE] -= 0.2
        temps_c[[figure.LEG_LEFT, figure.LEG_RIGHT]] -= 0.8
        temps_c[figure.BACK_NECK] = person.forehead_c - 0.6
        values = _seen(temps_c, _CLOTHES_EMISSIVITY, tau, around).tolist()
        for part in figure.DRAW_ORDER:
            polygon = seen.parts[part]
            if polygon is not None:
                cv2.fillConvexPoly(self._canvas, polygon, values[part], cv2.LINE_8, figure.FIXED_BITS)
        if seen.head_px is not None:
            centre, axes, tilt = seen.head_px
            value = float(_seen(skull_c, self._rig.traits.emissivity_skin, tau, around))
            self._ellipse(centre, axes, tilt, value)
        if seen.face is not None:
            self._draw_face(seen, seen.face, tau, around)

    def _draw_face(self, seen: Figure, face: F64, tau: float, around: _Around) -> None:
        emissivity = self._rig.traits.emissivity_skin
        texture = thermal_texture(seen.pose.person, *around, seen.pose.mouth_open, emissivity)
        box = figure.patch_box(face, texture.extent, self._optic.width_px, self._optic.height_px)
        if box is None:
            return
        level = 0
        while level + 1 < len(texture.levels) and SCALE / 2 ** (level + 1) >= seen.scale_px:
            level += 1
        left, top, right, bottom = box
        move = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        matrix = move @ face @ figure.texel_matrix(SCALE / 2**level)
        patch = cv2.warpPerspective(texture.levels[level], matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
        leaving, cover = cv2.split(patch)
        region = self._canvas[top:bottom, left:right]
        region *= 1.0 - cover
        region += leaving * np.float32(tau) + cover * np.float32((1.0 - tau) * radiance.of_temp(around.air_c))

    def _draw_plane(self, pose: PropPose, t_s: float, tau: float, around: _Around) -> None:
        box = self._planes.box(pose)
        if box is None:
            return
        pattern = pose.surface.thermal(t_s, around.air_c)
        own = pattern.emissivity * radiance.of_temp(pattern.temp_c)
        leaving = own + (1.0 - pattern.emissivity) * radiance.of_temp(around.reflected_c)
        if not self._planes.front(pose):
            leaving = np.full_like(leaving, float(radiance.of_temp(around.air_c)))
        patch, cover = self._planes.warp(leaving, pose, box)
        left, top, right, bottom = box
        region = self._canvas[top:bottom, left:right]
        region *= 1.0 - cover
        region += patch * np.float32(tau) + cover * np.float32((1.0 - tau) * radiance.of_temp(around.air_c))

    def _draw_disc(self, disc: Disc, tau: float, around: _Around) -> None:
        value = float(_seen(disc.thing.temp_c, _HOT_EMISSIVITY, tau, around))
        radius = max(disc.radius_px, 0.75)
        if disc.thing.kind != "vapour":
            self._ellipse(disc.center_px, (radius, radius), 0.0, value)
            return
        before = self._canvas.copy()
        self._ellipse(disc.center_px, (radius, radius), 0.0, value)
        cv2.addWeighted(self._canvas, _VAPOUR_COVER, before, 1.0 - _VAPOUR_COVER, 0.0, dst=self._canvas)

    def _ellipse(self, centre: F64, axes: tuple[float, float], tilt: float, value: float) -> None:
        fixed = 1 << figure.FIXED_BITS
        cx, cy = round(float(centre[0]) * fixed), round(float(centre[1]) * fixed)
        half_axes = (round(axes[0] * fixed), round(axes[1] * fixed))
        cv2.ellipse(self._canvas, (cx, cy), half_axes, tilt, 0, 360, value, -1, cv2.LINE_8, figure.FIXED_BITS)


def _seen(temp_c: float | F64, emissivity: float, tau: float, around: _Around) -> F64:
    """Radiance that arrives from surfaces through the air; the air itself adds its own."""
    leaving = radiance.surface(temp_c, emissivity, around.reflected_c)
    arriving = tau * leaving + (1.0 - tau) * radiance.of_temp(around.air_c)
    return np.asarray(arriving, dtype=np.float64)


def _finer(optic: Optic, factor: int) -> Optic:
    """The same lens on a canvas `factor` times finer; the corner of the first pixel stays where it is."""
    matrix = optic.matrix.copy()
    matrix[:2] *= factor
    matrix[:2, 2] += (factor - 1) / 2.0
    width, height = optic.width_px * factor, optic.height_px * factor
    return Optic(optic.name, width, height, matrix, optic.distortion, optic.rotation, optic.position_m)
