"""Values that describe the simulated station: who is there, where the devices look, what the air is like.

The world's frame is the robot's: x forward, y left, z up, origin on the floor below the mast, metres; also where the robot drives.
Optical frames are OpenCV's: x right, y down, z forward. Pure values; motion is in scene.py, pictures in render_*.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simulators.patrol import Pose
    from simulators.props import PropPose

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Person:
    """One passer-by: everything about them that does not change while they walk."""

    person_id: int
    body_c: float
    """True body temperature (what a clinical thermometer would say)."""
    canthi_c: float
    """True skin temperature of the warmest inner canthus, at the scene's ambient temperature."""
    forehead_c: float
    """True skin temperature of the forehead's centre."""
    febrile: bool
    masked: bool
    glasses: bool
    hat: bool
    height_m: float
    face_width_m: float
    """Width of the face at the cheekbones; the eyes lie 0.42 of it apart (63 mm at 150 mm)."""
    face_seed: int
    """Decides skin tone, hair, brows, clothes: the look, nothing of the temperature."""


@dataclass(frozen=True, slots=True, eq=False)
class PersonPose:
    """Where one person's head is at one moment. `eyes_m` is the point between the eyes on the face's surface."""

    person: Person
    eyes_m: F64
    velocity_m_s: F64
    """Over the ground (not against a robot that drives), along the axes of the robot's frame: it decides on the stride."""
    facing: F64
    """Unit vector out of the face, robot frame; tilt included."""
    body_heading: F64
    """Unit vector, horizontal: where the chest points."""
    mouth_open: float = 0.0
    """0 closed … 1 wide open (speaking, yawning)."""


@dataclass(frozen=True, slots=True)
class HotObject:
    """Something warm that is no face: a lamp, a cup of tea, a heater; a disc that always faces the robot."""

    kind: str
    """lamp | cup | heater | vapour"""
    position_m: tuple[float, float, float]
    diameter_m: float
    temp_c: float
    carried_by: int | None = None
    """person_id of who holds it in front of the chest or face; position_m is then relative to that person's eyes (x out of the face, y left, z up)."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneState:
    """The whole station at one moment, as every simulated device sees it."""

    t_s: float
    poses: tuple[PersonPose, ...]
    ambient_c: float
    humidity: float
    hot_objects: tuple[HotObject, ...]
    props: tuple[PropPose, ...] = ()
    """Calibration targets held in front of the robot, and pictures."""
    robot: Pose | None = None
    """Where a robot that drives is on the map; None: it stands at the origin, and all is around it."""
    reflected_c: float | None = None
    """What surfaces reflect: sky, walls and people together; None: as warm as the air."""

    @property
    def surroundings_c(self) -> float:
        """What surfaces reflect."""
        return self.ambient_c if self.reflected_c is None else self.reflected_c


@dataclass(frozen=True, slots=True, eq=False)
class Optic:
    """Pinhole with OpenCV distortion: a camera or the thermal sensor, mounted on the robot."""

    name: str
    width_px: int
    height_px: int
    matrix: F64
    """3 × 3 intrinsic matrix."""
    distortion: F64
    """k1, k2, p1, p2, k3"""
    rotation: F64
    """3 × 3, robot frame to optical frame."""
    position_m: F64
    """Of the optical centre, robot frame: p_optical = rotation @ (p_robot − position_m)."""


@dataclass(frozen=True, slots=True)
class DeadPixel:
    """A pixel that does not report what it sees."""

    kind: str
    """stuck (one value for ever) | hot | cold (far off) | noisy (eight times the noise) | slow (seconds behind)"""
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class ThermalTraits:
    """What makes the simulated thermal sensor imperfect."""

    family: str
    """MI1602 (160×120) | MI0802 (80×62) | MLX90640 (32×24)"""
    rate_hz: float
    netd_c: float
    """Temporal noise, standard deviation of one pixel."""
    fixed_pattern_c: float
    """Standard deviation of the offset map."""
    offset_c: float
    """Common error at the start."""
    drift_c_per_min: float
    drift_limit_c: float
    psf_sigma_px: float
    """Gaussian point spread, in the sensor's own pixels."""
    quantum_c: float
    """0.1 for SenXor, 0.01 for GY-MCU."""
    emissivity_skin: float = 0.98
    gain_error: float = 0.0
    """Reported degrees grow by 1 + this for each true one, about 30 °C."""
    veil_share: float = 0.0
    """Of the radiance, scattered widely by the optics."""
    veil_sigma_px: float = 5.0
    sub_pages: bool = False
    """Half the pixels are measured at a time (simulators/sub_pages.py)."""
    dead: tuple[DeadPixel, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferencePlate:
    """The heated plate that the robot carries in a corner of the thermal view."""

    present: bool
    temp_c: float
    emissivity: float
    roi_px: tuple[int, int, int, int]
    """Left, top, width, height in thermal pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Rig:
    """The robot's devices as mounted: five cameras, one thermal sensor, one reference plate."""

    cameras: tuple[Optic, ...]
    thermal: Optic
    traits: ThermalTraits
    reference: ReferencePlate
    camera_rate_hz: float
