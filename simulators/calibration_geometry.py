"""The geometric steps of the calibration on a simulated robot that is not quite as drawn, held against the truth.

Rig files are the drawings; `as_built` makes a robot whose lenses and mounts differ from them as real ones do. The technician's
tool begins with the drawing and sees pictures alone: JPEGs and quantised thermal frames, in simulated time.
`python -m simulators.calibration_geometry RIG SEED` prints one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration.files import Calibration, OpticCalibration
from calibration.intrinsics import IntrinsicsProcedure
from calibration.procedure import Procedure
from calibration.registration import RegistrationProcedure
from calibration.registration_solve import limit_px
from robot.command import exit_code, natural
from robot.optics import Optic as RobotOptic
from robot.types import U8, CameraFrame, ThermalFrame
from simulators.nameplate import calibration_of, optic_calibration
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.rig import in_picture, load_rig, project
from simulators.scenario import load_scenario, with_aperture
from simulators.scene import Scene
from simulators.world import F64, Optic, Rig, SceneState

JPEG_QUALITY = 85
WALKS = 2
"""A technician whom the tool tells that something is missing goes on; the second time the target is held at other places."""
CAMERA_HZ = 5.0
"""As fast as five cameras' pictures are searched for a target on the robot's computer."""
RANGES_M = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
MOUNT_SD_DEG, MOUNT_SD_M = 1.0, 0.003
FOCAL_SD_SHARE, CENTER_SD_SHARE = 0.02, 0.004
DISTORTION_SD = (0.03, 0.01, 0.0005, 0.0005, 0.0)
_START_NS = 100 * 1_000_000_000


def as_built(drawing: Rig, seed: int) -> Rig:
    """Returns a robot made after that drawing: every lens and mount a little different, another way for each seed."""
    rng = np.random.default_rng([seed, 0xB17])
    return dataclasses.replace(
        drawing,
        cameras=tuple(_differs(camera, rng) for camera in drawing.cameras),
        thermal=_differs(drawing.thermal, rng),
    )


def as_drawn(drawing: Rig) -> Calibration:
    """Returns what is known before anything is measured: the drawing's mounts and fields of view, lenses without distortion."""
    calibration = calibration_of(drawing, "drawn", dt.datetime.now(dt.UTC))
    cameras = {camera.name: _ideal(optic_calibration(camera, f"sim-{camera.name}")) for camera in drawing.cameras}
    return msgspec.structs.replace(calibration, cameras=cameras, thermal=_ideal(calibration.thermal))


class Bench:
    """Pictures of one scenario on one robot, in simulated time; only cameras that may see a target are rendered."""

    def __init__(self, scenario: str, rig: Rig, seed: int, aperture_m: float = 0.06) -> None:
        """`aperture_m`: of a blackbody, where the scenario holds one."""
        self.rig = rig
        self.t_s = 0.0
        """Second of the scenario that was shown last."""
        self._scene = Scene(with_aperture(load_scenario(scenario), aperture_m), seed, rig)
        self._visible: dict[str, VisibleRenderer] = {}
        self._thermal = ThermalRenderer(rig, seed)
        self._seed = seed
        self._seq = itertools.count(1)

    def frames(
        self, thermal: bool = True, walks: int = 1
    ) -> Iterator[tuple[int, list[CameraFrame], list[ThermalFrame]]]:
        """Yields (now_ns, frames, thermals) until the last target is put away, each walk at other places than the one before."""
        end_s = max(held.end_s for held in self._scene.held)
        times = [(t_s, True) for t_s in np.arange(0.0, end_s, 1.0 / CAMERA_HZ).tolist()]
        if thermal:
            times += [(t_s, False) for t_s in np.arange(0.0, end_s, 1.0 / self.rig.traits.rate_hz).tolist()]
        for again, (t_s, of_cameras) in itertools.product(range(walks), sorted(times)):
            self.t_s = again * end_s + t_s
            state = self._scene.at(t_s, again)
            now_ns = _START_NS + round(self.t_s * 1e9)
            if of_cameras:
                yield now_ns, [self._picture(camera, state, now_ns) for camera in self._lookers(state)], []
            else:
                yield now_ns, [], [self._frame(state, now_ns)]

    def _lookers(self, state: SceneState) -> list[Optic]:
        if not state.props:
            return []
        centers = np.stack([pose.center_m for pose in state.props])
        lookers = []
        for camera in self.rig.cameras:
            pixels, depth = project(camera, centers)
            if (in_picture(camera, pixels, -0.15 * camera.width_px) & (depth > 0)).any():
                lookers.append(camera)
        return lookers

    def _picture(self, camera: Optic, state: SceneState, now_ns: int) -> CameraFrame:
        renderer = self._visible.get(camera.name)
        if renderer is None:
            scenario = self._scene.scenario
            renderer = self._visible[camera.name] = VisibleRenderer(camera, self._seed, scenario.light, scenario.lens)
        _, jpeg = cv2.imencode(".jpg", renderer.render(state), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        image: U8 = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), dtype=np.uint8)
        return CameraFrame(camera.name, next(self._seq), now_ns, image, (camera.width_px, camera.height_px))

    def _frame(self, state: SceneState, now_ns: int) -> ThermalFrame:
        quantum = self.rig.traits.quantum_c
        temp_c = np.round(self._thermal.render(state) / quantum) * quantum
        return ThermalFrame(next(self._seq), now_ns, temp_c.astype(np.float32))


def run(procedures: Sequence[Procedure], bench: Bench, thermal: bool = True) -> list[bool]:
    """Feeds the procedures until all are done or the scenario has been walked WALKS times; returns which are done."""
    done = [False] * len(procedures)
    for now_ns, frames, thermals in bench.frames(thermal, WALKS):
        for index, procedure in enumerate(procedures):
            if not done[index]:
                done[index] = procedure.offer(frames, thermals, now_ns).done
        if all(done):
            break
    return done


def registration_error_px(calibration: Calibration, rig: Rig, camera: str) -> tuple[float, float]:
    """Returns root mean square and largest error (thermal pixels) of points that camera and thermal sensor share: seen by the
    true camera, placed by the calibrated one at their true range, projected into the calibrated thermal sensor."""
    true_camera = next(optic for optic in rig.cameras if optic.name == camera)
    found_camera = RobotOptic(camera, calibration.cameras[camera])
    found_thermal = RobotOptic("thermal", calibration.thermal)
    points = np.concatenate([_thermal_grid_m(rig.thermal, range_m) for range_m in RANGES_M])
    true_px, _ = project(rig.thermal, points)
    seen_px, _ = project(true_camera, points)
    shared = in_picture(true_camera, seen_px) & in_picture(rig.thermal, true_px)
    range_m = np.linalg.norm(points[shared] - true_camera.position_m, axis=1, keepdims=True)
    placed = found_camera.position_m + found_camera.rays(seen_px[shared]) * range_m
    found_px, _ = found_thermal.project(placed)
    off = np.linalg.norm(found_px - true_px[shared], axis=1)
    return float(np.sqrt((off**2).mean())), float(off.max())


def measure(rig_name: str, seed: int) -> dict[str, Any]:
    """Returns the figures of one robot: intrinsics of all cameras, then the registration that is built on them."""
    drawing = load_rig(rig_name, seed)
    rig = drawing if seed == 0 else as_built(drawing, seed)
    calibration = as_drawn(drawing)
    lenses = [IntrinsicsProcedure(calibration, camera.name, "a4", 100.0) for camera in rig.cameras]
    complete = run(lenses, Bench("calibrate-intrinsics", rig, seed), thermal=False)
    figures: dict[str, Any] = {"rig": rig_name, "seed": seed, "intrinsics": {}}
    for procedure, optic, done in zip(lenses, rig.cameras, complete, strict=True):
        result = procedure.solve()
        calibration = procedure.apply(calibration)
        fx = result.parameters["fx_px"]
        figures["intrinsics"][optic.name] = {
            "complete": done,
            "views": result.samples,
            "focal_error_percent": round(100 * (fx.value / float(optic.matrix[0, 0]) - 1), 4),
            "focal_sd_percent": round(100 * fx.sd / fx.value, 4),
            "reprojection_px": round(result.checks["reprojection_px"].value, 4),
            "true_error_px": round(_lens_error_px(calibration.cameras[optic.name], optic), 4),
        }
    walk = RegistrationProcedure(calibration, "a4", 100.0)
    done = run([walk], Bench("calibrate-registration", rig, seed))[0]
    result = walk.solve()
    calibration = walk.apply(calibration)
    rms_px, worst_px = registration_error_px(calibration, rig, rig.cameras[0].name)
    focal = result.parameters["thermal.f_px"]
    figures["registration"] = {
        "complete": done,
        "places": result.samples,
        "rejected": len(result.rejected),
        "true_rms_px": round(rms_px, 4),
        "true_max_px": round(worst_px, 4),
        "expected_px": round(result.checks["registration_px"].value, 4),
        "left_out_px": round(result.checks["left_out_px"].value, 4),
        "limit_px": limit_px(rig.thermal.width_px),
        "thermal_focal_error_percent": round(100 * (focal.value / float(rig.thermal.matrix[0, 0]) - 1), 4),
        "thermal_focal_sd_percent": round(100 * focal.sd / focal.value, 4),
        "unlinked": [str(say.values["camera"]) for say in result.warnings if say.key == "warn.camera_unlinked"],
        "mounts": _mount_errors(calibration, rig),
    }
    return figures


def _mount_errors(calibration: Calibration, rig: Rig) -> dict[str, tuple[float, float]]:
    """Returns by camera how far its pose against the thermal sensor is from the true one: degrees, millimetres."""
    anchor = RobotOptic("thermal", calibration.thermal)
    errors = {}
    for camera in rig.cameras:
        found = RobotOptic(camera.name, calibration.cameras[camera.name])
        turned = (found.rotation @ anchor.rotation.T) @ (camera.rotation @ rig.thermal.rotation.T).T
        true_m = rig.thermal.rotation @ (camera.position_m - rig.thermal.position_m)
        found_m = anchor.rotation @ (found.position_m - anchor.position_m)
        angle_deg = float(np.degrees(np.linalg.norm(cv2.Rodrigues(turned)[0])))
        errors[camera.name] = (round(angle_deg, 3), round(1e3 * float(np.linalg.norm(found_m - true_m)), 1))
    return errors


def _lens_error_px(found: OpticCalibration, true: Optic) -> float:
    """Returns the root mean square error of directions over the picture, in pixels, after the turn that fits best: a lens
    that is found turned is made good by its pose."""
    found_rays = RobotOptic("", found)
    turned_back = RobotOptic("", optic_calibration(true, ""))
    x, y = np.meshgrid(np.linspace(0, true.width_px - 1, 17), np.linspace(0, true.height_px - 1, 11))
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    one = found_rays.rays(pixels) @ found_rays.rotation.T
    other = turned_back.rays(pixels) @ turned_back.rotation.T
    u, _, vt = np.linalg.svd(one.T @ other)
    fit = u @ np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))]) @ vt
    return float(np.sqrt((((one @ fit - other) * true.matrix[0, 0]) ** 2).sum(axis=1).mean()))


def _thermal_grid_m(thermal: Optic, range_m: float) -> F64:
    optic = RobotOptic("thermal", optic_calibration(thermal, ""))
    x, y = np.meshgrid(np.linspace(0, thermal.width_px - 1, 17), np.linspace(0, thermal.height_px - 1, 13))
    points: F64 = optic.position_m + optic.rays(np.stack([x.ravel(), y.ravel()], axis=1)) * range_m
    return points


def _differs(optic: Optic, rng: np.random.Generator) -> Optic:
    matrix = optic.matrix.copy()
    matrix[0, 0] *= 1 + FOCAL_SD_SHARE * float(rng.normal())
    matrix[1, 1] = matrix[0, 0]
    matrix[:2, 2] += rng.normal(0, CENTER_SD_SHARE * optic.width_px, 2)
    turn, _ = cv2.Rodrigues(np.radians(rng.normal(0, MOUNT_SD_DEG, 3)))
    return dataclasses.replace(
        optic,
        matrix=matrix,
        distortion=optic.distortion + rng.normal(0, 1, 5) * np.array(DISTORTION_SD),
        rotation=np.asarray(turn @ optic.rotation, dtype=np.float64),
        position_m=optic.position_m + rng.normal(0, MOUNT_SD_M, 3),
    )


def _ideal(optic: OpticCalibration) -> OpticCalibration:
    return msgspec.structs.replace(
        optic,
        cx_px=(optic.width_px - 1) / 2,
        cy_px=(optic.height_px - 1) / 2,
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
    )


def main(arguments: list[str] | None = None) -> int:
    """Prints one robot's figures."""
    parser = argparse.ArgumentParser(prog="python -m simulators.calibration_geometry", description=__doc__)
    parser.add_argument("rig", help="a built-in name or a .toml file")
    parser.add_argument("seed", type=natural, help="0: exactly as drawn")
    options = parser.parse_args(arguments)

    def work() -> int:
        cv2.setNumThreads(1)
        print(json.dumps(measure(options.rig, options.seed)))
        return 0

    return exit_code("calibration_geometry", work)


if __name__ == "__main__":
    sys.exit(main())
