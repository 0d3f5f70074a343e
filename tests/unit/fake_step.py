"""A step of the calibration that counts frames, and devices that deliver them at once: for tests of the tool around steps."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration.files import Calibration
from calibration.procedure import Guidance, Step, StepContext
from calibration.refused import Refused
from calibration.results import (
    Arrows,
    Check,
    Grid,
    Photo,
    PixelMap,
    Plot,
    Quantity,
    Rejected,
    Say,
    Series,
    StepResult,
)
from robot.types import U8, CameraFrame, DeviceInfo, ThermalFrame

NEEDED = 4


class Counting:
    """Takes a frame of its camera (of any, without one) for a sample; solves to the number it was told."""

    def __init__(self, context: StepContext, step: str) -> None:
        self._step, self._camera = step, context.camera
        limits = (value for name, value in context.options.items() if name.endswith("limit"))
        self._limit = float(next(limits, 0.3))
        self._degenerate = bool(context.options.get("degenerate", False))
        self.taken: list[int] = []

    @property
    def name(self) -> str:
        return f"{self._step} {self._camera}".strip()

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        for frame in frames:
            if self._camera in ("", frame.camera) and len(self.taken) < NEEDED:
                self.taken.append(frame.seq)
        return Guidance(
            progress=len(self.taken) / NEEDED,
            accepted=len(self.taken),
            done=len(self.taken) >= NEEDED,
            todo=(Say("show the board"),),
            coverage=(Grid(Say("view"), ("",), ("all",), ((len(self.taken),),), ((NEEDED,),)),),
        )

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        return image_bgr

    def samples(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def restore(self, samples: dict[str, Any]) -> None:
        self.taken = [int(seq) for seq in samples["taken"]]

    def solve(self) -> StepResult:
        if self._degenerate:
            raise Refused(self._step, Say("refused.one_range", {"range": "1.0"}))
        return result(self._step, self._camera, self._limit, len(self.taken))

    def apply(self, calibration: Calibration) -> Calibration:
        if not self._camera:
            return calibration
        optic = msgspec.structs.replace(calibration.cameras[self._camera], fx_px=500.5)
        return msgspec.structs.replace(calibration, cameras={**calibration.cameras, self._camera: optic})


def result(step: str = "registration", subject: str = "", limit: float = 0.3, samples: int = NEEDED) -> StepResult:
    """Returns a result with one of everything that a report draws."""
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    values = tuple(tuple(float(row + column) for column in range(16)) for row in range(12))
    return StepResult(
        step=step,
        subject=subject,
        samples=samples,
        parameters={"fx_px": Quantity(500.5, 0.4, "px")},
        checks={"reprojection_px": Check(0.2, "px", limit)},
        rejected=(Rejected("view 3", Say("blurred", {"px": 4})),),
        warnings=(Say("few views"),),
        conditions={"plate_c": Quantity(35.0, 0.05, "°C")},
        coverage=(Grid(Say("view"), ("up", "down"), ("left", "right"), ((2, 0), (1, 5)), ((2, 2), (2, 0))),),
        figures=(
            Plot(
                Say("errors"), "°C", "°C", (Series("found", (32.0, 40.0), (0.01, -0.02), (0.01, 0.01)),), (-0.05, 0.05)
            ),
            PixelMap(Say("offsets"), "°C", values, ((3.0, 4.0),)),
            Arrows(Say("residuals"), 64, 48, ((10.0, 10.0), (30.0, 20.0)), ((0.1, 0.0), (0.0, 0.2)), (1,)),
            Photo(Say("seen"), jpeg),
        ),
    )


def step(name: str = "registration", *, per_camera: bool = False, changes: bool = True) -> Step:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(f"--{name}-limit", dest="limit" if name == "registration" else f"{name}_limit", default=0.3)
        if name == "registration":
            parser.add_argument("--degenerate", action="store_true")

    return Step(
        name=name,
        make=lambda context: Counting(context, name),
        add_arguments=add_arguments,
        per_camera=per_camera,
        changes=changes,
    )


class FakeDevices:
    """Stands in for calibration.devices.Devices: every wait brings one frame of each camera. `stop_after` frames it is Ctrl-C."""

    serials: Mapping[str, str] = {}
    stop_after: int | None = None

    def __init__(self, settings: Any, cameras: Sequence[str], thermal: bool, language: str = "en") -> None:
        self._names = (*cameras, "thermal") if thermal else tuple(cameras)
        self._count = itertools.count()

    def __enter__(self) -> FakeDevices:
        return self

    def __exit__(self, *_: object) -> None: ...

    def await_all(self, timeout_s: float, clock_s: Any, tell: Any) -> None: ...

    def infos(self) -> dict[str, DeviceInfo]:
        sizes = {"thermal": (160, 120)}
        return {
            name: DeviceInfo("", "", self.serials.get(name, ""), *sizes.get(name, (1280, 720))) for name in self._names
        }

    def silent(self) -> dict[str, str]:
        return {}

    def wait(self, timeout_s: float) -> tuple[list[CameraFrame], list[ThermalFrame]]:
        number = next(self._count)
        if self.stop_after is not None and number >= self.stop_after:
            raise KeyboardInterrupt
        picture = np.zeros((48, 64, 3), np.uint8)
        thermal = [ThermalFrame(number, number, np.full((12, 16), 30.0, np.float32))]
        cameras = [CameraFrame(name, number, number, picture, (64, 48)) for name in self._names if name != "thermal"]
        return cameras, thermal
