"""The devices of a calibration, opened by the robot's own drivers and readers: the one module here that knows drivers/."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from calibration.results import Say
from calibration.texts import Language, say
from drivers import factory
from robot import device_texts
from robot.capture import CaptureSet
from robot.config import CameraSettings, Settings
from robot.errors import DeviceError
from robot.interfaces import Camera
from robot.types import CameraFrame, DeviceInfo, ThermalFrame

THERMAL = "thermal"
_STOP_S = 5.0


class Devices:
    """The named cameras, and the thermal sensor if wanted, delivering while the `with` block lasts."""

    def __init__(self, settings: Settings, cameras: Sequence[str], thermal: bool, language: Language = "en") -> None:
        self._language: Language = language
        self._bug: tuple[str, BaseException] | None = None
        self._capture = CaptureSet(
            {camera.name: _opener(camera) for camera in settings.cameras if camera.name in cameras},
            {THERMAL: lambda: factory.open_thermal(settings.thermal.address)} if thermal else {},
            self._on_bug,
        )

    def __enter__(self) -> Devices:
        # The readers' warnings come back through `silent`, in the technician's view instead of across it.
        logging.getLogger("robot.capture").addHandler(logging.NullHandler())
        logging.getLogger("robot.capture").propagate = False
        self._capture.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.stop(_STOP_S)

    def wait(self, timeout_s: float) -> tuple[list[CameraFrame], list[ThermalFrame]]:
        """Returns the newest pictures at full size and the thermal frames since the last call, or nothing after `timeout_s`."""
        shots, thermals = self._capture.wait(timeout_s)
        if self._bug is not None:
            raise self._bug[1]
        frames = [frame for frame in (shot.decode(1) for shot in shots) if frame is not None]
        return frames, thermals

    def infos(self) -> dict[str, DeviceInfo]:
        """Returns what the devices that have been opened say of themselves, by name."""
        return {name: status.info for name, status in self._capture.statuses().items() if status.info is not None}

    def silent(self) -> dict[str, str]:
        """Returns why those devices that deliver nothing do not, by name."""
        return {
            name: getattr(device_texts.said(status.last_error), self._language)
            if status.last_error
            else say(Say("device.nothing_yet"), self._language)
            for name, status in self._capture.statuses().items()
            if status.frames == 0 or status.last_error is not None
        }

    def await_all(
        self, timeout_s: float, clock_s: Callable[[], float], tell: Callable[[Mapping[str, str], float], None]
    ) -> None:
        """Returns when every device has delivered; raises DeviceError naming those that have not after `timeout_s`.

        Meanwhile `tell` is called several times a second with what `silent` says and the seconds that are left.
        """
        deadline_s = clock_s() + timeout_s
        while silent := self.silent():
            left_s = deadline_s - clock_s()
            if left_s < 0:
                listed = "\n".join(f"{name}: {why}" for name, why in silent.items())
                raise DeviceError(f"{say(Say('device.silent'), self._language)}\n{listed}")
            tell(silent, left_s)
            self.wait(0.2)

    def _on_bug(self, name: str, error: BaseException) -> None:
        self._bug = name, error
        self._capture.wake()


def _opener(camera: CameraSettings) -> Callable[[], Camera]:
    return lambda: factory.open_camera(camera.address, camera.name)
