"""A scenario's devices, running: cameras over HTTP, the thermal sensor on a pseudo-terminal, the truth in a file.

One clock for all of them, CLOCK_MONOTONIC, which the robot on the same machine reads too. Everything that decides what
is seen is elsewhere and pure; here are threads, pace and the order of starting and stopping.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from robot.wake import Wake
from simulators.camera_faults import CameraWire
from simulators.firmware_gymcu import GymcuFirmware
from simulators.firmware_senxor import SenxorFirmware
from simulators.position_devices import BasePty, PosePublisher, ReceiverPty
from simulators.pty import PtyDevice
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.scenario import Scenario, camera_faults, position_faults, thermal_faults
from simulators.scene import Scene
from simulators.server_mjpeg import MjpegServer
from simulators.truth import RATE_HZ, TruthWriter, header
from simulators.world import Optic, Rig, SceneState

JPEG_QUALITY = 85
GYMCU_BAUD = 460_800
"""The module as a technician leaves it: saved at the only speed that carries 8 frames a second."""
JOIN_S = 5.0
_PAUSE_S = 2.0
"""Between two rounds of a calibration's targets."""


BEGIN_S = 0.5
"""From `begin` to second 0."""


class Station:
    """The simulated station of one scenario. `start`, then `wait`, then `close` (idempotent). `begin` brings second 0 forward."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        thermal_link: Path,
        seed: int | None = None,
        rig_name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        truth_path: Path | None = None,
        start_at_ns: int | None = None,
        rig: Rig | None = None,
        position_link: Path | None = None,
        pose_broker: str = "",
    ) -> None:
        """`rig` stands in for the one that `rig_name` is the drawing of. A scenario with a patrol tells the robot's position at
        `position_link`, through a receiver or, where it drives, as a base does; or as a base at `pose_broker` (mqtt://HOST:PORT/TOPIC)."""
        self.rig_name = rig_name or scenario.rig
        self.rig = rig or load_rig(self.rig_name, scenario.seed if seed is None else seed)
        self.scene = Scene(scenario, seed, self.rig)
        self.counts: Counter[str] = Counter()
        """Frames by device, and `late` for camera frames left out because rendering fell behind."""
        self.failure: BaseException | None = None
        self._scene_lock = threading.Lock()
        self._ended = threading.Event()
        self._stopping = Wake()
        self._threads: list[threading.Thread] = []
        self._truth_path = truth_path
        self._truth_file: BinaryIO | None = None
        self._thermal_link = thermal_link
        self._pty: PtyDevice | None = None
        self._position_link = position_link or thermal_link.with_name(f"{thermal_link.name}-position")
        self._pose_broker = pose_broker
        self._position: ReceiverPty | PosePublisher | None = None
        self._server = MjpegServer(host, port, [camera.name for camera in self.rig.cameras])
        self._visible = {
            camera.name: VisibleRenderer(camera, self.scene.seed, scenario.light, scenario.lens)
            for camera in self.rig.cameras
        }
        self._thermal = ThermalRenderer(self.rig, self.scene.seed)
        self._wires = {
            camera.name: CameraWire(camera_faults(scenario, camera.name), encode_jpeg) for camera in self.rig.cameras
        }
        self._t0_ns = start_at_ns
        # A technician who was not quick enough, or whose robot was not, begins again.
        self._repeat_s = max((held.end_s for held in self.scene.held), default=-_PAUSE_S) + _PAUSE_S or None

    @property
    def t0_mono_ns(self) -> int:
        """When second 0 of the scenario is."""
        if self._t0_ns is None:
            raise RuntimeError("the station has not been started")
        return self._t0_ns

    def start(self) -> None:
        """Opens every device; second 0 is now unless a time was given. Raises OSError if port or link cannot be had."""
        # Several renderings share this machine with the robot: cv2's own threads would only get in the way.
        cv2.setNumThreads(1)
        self._warm_up()
        if self._t0_ns is None:
            self._t0_ns = time.monotonic_ns()
        if self._truth_path is not None:
            self._truth_file = self._truth_path.open("wb")
        self._server.start()
        self._pty = self._open_thermal()
        self._position = self._open_position()
        if self._position is not None:
            self._position.start()
        self._spawn("cameras", self._run_cameras)
        if self._truth_file is not None:
            self._spawn("truth", self._run_truth)

    def begin(self) -> int:
        """Brings second 0 forward to BEGIN_S from now, for a scenario that waits for a robot; returns when that is, on the monotonic clock.

        The time before it is cut short: nobody moves in it, and the sensor drifts by little. Once second 0 has been, nothing happens.
        """
        start_ns = time.monotonic_ns() + round(BEGIN_S * 1e9)
        if start_ns < self.t0_mono_ns:
            self._t0_ns = start_ns
            if self._pty is not None:
                self._pty.start_s = start_ns / 1e9
        return self.t0_mono_ns

    def wait(self, seconds: float | None) -> bool:
        """Waits until `stop`, a failed thread or the time is over; returns whether it ended before that time."""
        return self._stopping.wait(seconds)

    def stop(self) -> None:
        """Lets `wait` return; safe in a signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """Ends threads, closes devices and the truth file."""
        self._ended.set()
        for thread in self._threads:
            thread.join(JOIN_S)
        if self._pty is not None:
            self._pty.close()
            self._pty = None
        if self._position is not None:
            self._position.close()
            self._position = None
        self._server.stop()
        if self._truth_file is not None:
            self._truth_file.close()
            self._truth_file = None

    def __enter__(self) -> Station:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def addresses(self) -> dict[str, object]:
        """Returns what a configuration names: camera URLs by name and the thermal address."""
        base = f"http://{self._server.host}:{self._server.port}"
        return {
            "cameras": {camera.name: f"{base}/{camera.name}.mjpg" for camera in self.rig.cameras},
            "thermal": thermal_address(self.rig, self._thermal_link),
            "position": self._position_address(),
            "truth": None if self._truth_path is None else str(self._truth_path),
            "t0_mono_ns": self.t0_mono_ns,
        }

    def state_at(self, t_s: float) -> SceneState:
        """The scene at that second, from any thread."""
        with self._scene_lock:
            if self._repeat_s is None:
                return self.scene.at(t_s)
            again, t_s = divmod(max(t_s, 0.0), self._repeat_s)
            return self.scene.at(t_s, int(again))

    def _now_s(self) -> float:
        return (time.monotonic_ns() - self.t0_mono_ns) / 1e9

    def _warm_up(self) -> None:
        """Draws everyone's face once, so that the first pictures are not late."""
        state = self.state_at(0.0)
        for renderer in self._visible.values():
            renderer.render(state)

    def _spawn(self, name: str, run: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                run()
            except BaseException as error:  # a dead device must end the simulation, not go unnoticed
                self.failure = error
                self.stop()

        thread = threading.Thread(target=guarded, name=f"sim {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _open_thermal(self) -> PtyDevice:
        senxor = self.rig.traits.family != "MLX90640"
        firmware = SenxorFirmware(self.rig.traits.family) if senxor else GymcuFirmware(GYMCU_BAUD, 8.0, True)
        return PtyDevice(
            firmware,
            self._thermal_frame,
            # A SenXor could do more than the rig says; the GY-MCU sends as often as it is told to.
            rate_hz=self.rig.traits.rate_hz if senxor else None,
            link_path=self._thermal_link,
            faults=thermal_faults(self.scene.scenario, self.scene.seed),
            start_s=self.t0_mono_ns / 1e9,
        )

    def _open_position(self) -> ReceiverPty | PosePublisher | None:
        path, faults = self.scene.scenario.patrol, position_faults(self.scene.scenario)
        if not path.path_m:
            return None
        if self._pose_broker:
            return PosePublisher(path, self._pose_broker, self._now_s, faults)
        return (BasePty if path.drives else ReceiverPty)(path, self._position_link, self._now_s, faults)

    def _position_address(self) -> str:
        path = self.scene.scenario.patrol
        if not path.path_m:
            return ""
        return self._pose_broker or f"{'pose' if path.drives else 'nmea'}:{self._position_link}"

    def _thermal_frame(self) -> NDArray[np.float32] | None:
        try:
            self.counts["thermal"] += 1
            now_s = self._now_s()
            return self._thermal.render(self.state_at(now_s - self.scene.scenario.thermal_late_s), now_s)
        except BaseException as error:
            self.failure = error
            self.stop()
            return None

    def _run_cameras(self) -> None:
        """All cameras by turns, evenly spaced, in one thread: rendering never takes more than one core."""
        cameras = self.rig.cameras
        slot_s = 1.0 / (self.rig.camera_rate_hz * len(cameras))
        slot = 0
        begin = time.monotonic()
        while not self._ended.wait(max(0.0, begin + slot * slot_s - time.monotonic())):
            camera = cameras[slot % len(cameras)]
            if self._server.wants(camera.name):
                self._send(camera)
            slot += 1
            behind = int((time.monotonic() - begin) / slot_s) - slot
            if behind > 0:
                self.counts["late"] += behind
                slot += behind

    def _send(self, camera: Optic) -> None:
        t_mono_ns = time.monotonic_ns()
        t_s = (t_mono_ns - self.t0_mono_ns) / 1e9

        def take() -> NDArray[np.uint8]:
            self.counts[camera.name] += 1
            return self._visible[camera.name].render(self.state_at(t_s), t_s)

        for jpeg, taken_ns in self._wires[camera.name].send(take, t_s, t_mono_ns):
            self._server.publish(camera.name, jpeg, taken_ns)

    def _run_truth(self) -> None:
        file, scene = self._truth_file, self.scene
        assert file is not None
        while not self._ended.is_set():
            t0_ns = self.t0_mono_ns
            file.seek(0)
            file.truncate()
            first = header(scene.scenario.name, scene.seed, self.rig_name, self.rig, t0_ns, self.state_at(0.0))
            writer = TruthWriter(file, first, self.rig)
            # A robot that is ready before second 0 judges people who already stand there.
            number = min(0, math.ceil(self._now_s() * RATE_HZ))
            # Anew from another second 0 if that is brought forward.
            while not self._ended.wait(max(0.0, number / RATE_HZ - self._now_s())) and self.t0_mono_ns == t0_ns:
                writer.add(self.state_at(number / RATE_HZ), number / RATE_HZ)
                number += 1


def thermal_address(rig: Rig, link: Path) -> str:
    """Returns the address that a robot's configuration gives for this rig's sensor on that line."""
    return f"gymcu:{link}?baud={GYMCU_BAUD}" if rig.traits.family == "MLX90640" else f"senxor:{link}"


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Returns the picture (height × width × 3, BGR) as a camera would compress it."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
