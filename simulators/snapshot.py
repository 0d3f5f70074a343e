"""Pictures of one moment of a scenario, as files to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from robot.command import writing_to
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.scenario import Scenario
from simulators.scene import Scene
from simulators.truth import Sample, observe
from simulators.world import SceneState

THERMAL_WIDTH_PX = 960
WALK_S = 10.0
"""People walk so far in one go."""
COLD_C, HOT_C = 20.0, 40.0
"""Ends of the colour map."""


def write(
    scenario: Scenario,
    t_s: float,
    folder: Path,
    *,
    progress: Callable[[float], None] = lambda share: None,
    seed: int | None = None,
    rig_name: str | None = None,
    boxes: bool = False,
) -> list[Path]:
    """Writes one PNG for each camera and `thermal.png`, and returns their paths; `boxes` draws what the truth says.

    `progress` hears which share of the way to that second has been walked.
    """
    with writing_to("--out", folder):
        pass  # told before anybody walks
    rig = load_rig(rig_name or scenario.rig, scenario.seed if seed is None else seed)
    scene = Scene(scenario, seed, rig)
    for walked_s in np.arange(0.0, t_s, WALK_S):
        scene.at(walked_s)
        progress(walked_s / t_s)
    state = scene.at(t_s)
    truth = observe(state, rig) if boxes else []
    pictures = {
        camera.name: VisibleRenderer(camera, scene.seed, scenario.light, scenario.lens).render(state)
        for camera in rig.cameras
    }
    for name, picture in pictures.items():
        _draw_camera(picture, name, truth)
    thermal_c = ThermalRenderer(rig, scene.seed).render(state)
    pictures["thermal"] = _thermal_picture(thermal_c, truth, state)
    paths = []
    for name, picture in pictures.items():
        paths.append(folder / f"{name}.png")
        paths[-1].write_bytes(cv2.imencode(".png", picture)[1].tobytes())  # cv2.imwrite says nothing of a full disk
    return paths


def _draw_camera(picture: NDArray[np.uint8], name: str, truth: list[Sample]) -> None:
    for sample in truth:
        view = sample.cameras.get(name)
        if view is None:
            continue
        left, top, width, height = (round(value) for value in view.box_px)
        color = (0, 200, 0) if view.visible > 0.5 and view.yaw_deg < 60 else (0, 120, 255)
        cv2.rectangle(picture, (left, top), (left + width, top + height), color, 1)
        text = f"{sample.person_id} {view.visible:.2f} {view.yaw_deg:.0f}"
        cv2.putText(picture, text, (left, top - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1)


def _thermal_picture(temp_c: NDArray[np.float32], truth: list[Sample], state: SceneState) -> NDArray[np.uint8]:
    scale = THERMAL_WIDTH_PX // temp_c.shape[1]
    grey = (np.clip((temp_c - COLD_C) / (HOT_C - COLD_C), 0.0, 1.0) * 255).astype(np.uint8)
    large = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    picture = np.asarray(cv2.applyColorMap(large, cv2.COLORMAP_INFERNO), dtype=np.uint8)
    for sample in truth:
        if sample.thermal_px is None:
            continue
        center = tuple(round((value + 0.5) * scale) for value in sample.thermal_px)
        color = (0, 255, 0) if sample.measurable else (0, 120, 255)
        cv2.circle(picture, center, max(2, round(sample.face_px * scale / 2)), color, 1)
        body_c = next(pose.person.body_c for pose in state.poses if pose.person.person_id == sample.person_id)
        text = f"{sample.person_id} {body_c:.1f}"
        cv2.putText(picture, text, (center[0] + 4, center[1]), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1)
    return picture
