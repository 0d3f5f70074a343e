"""Values that cross the borders between stages. Frozen; the arrays inside are read-only by agreement.

Units are in the names: `_c` degrees Celsius, `_px` pixels, `_m` metres, `_ns` nanoseconds on the monotonic clock.
Frames of reference:
  robot    x forward, y left, z up; origin on the floor below the mast (ROS REP 103)
  optical  x right, y down, z forward (OpenCV); one per camera and one for the thermal sensor
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class CameraShot:
    """One picture of one camera as the device delivered it; most are never decoded."""

    camera: str
    seq: int
    t_mono_ns: int
    """When the light was taken, as well as the driver knows it."""
    full_size_px: tuple[int, int]
    """Width and height as the picture's header tells them, turned as its Exif data says: those of the picture once it is decoded."""
    load: Callable[[int], tuple[U8, tuple[int, int]] | None]
    """From a reduction (1, 2, 4, 8) to the picture (height × width × 3, BGR) and its full width and height; None, and counted by the
    driver, if it cannot be decoded. May be called from any thread, also after the device was closed."""
    jpeg: bytes | None = None
    """The compressed original, where the device sends one."""

    def decode(self, scale: int) -> CameraFrame | None:
        """Returns the picture reduced by `scale` (1, 2, 4, 8; less where the device sends no JPEG), or None if it is damaged."""
        loaded = self.load(scale)
        if loaded is None:
            return None
        image_bgr, full_size_px = loaded
        return CameraFrame(self.camera, self.seq, self.t_mono_ns, image_bgr, full_size_px, self.jpeg)


class Tone(NamedTuple):
    """How the detector is to see a picture (tone.py)."""

    gain: float = 1.0
    """Grey levels are multiplied by it."""
    soft: bool = False
    """What is dark becomes brighter, and white stays."""
    smooth: bool = False
    """There is noise in it."""


PLAIN = Tone()


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrame:
    """One picture of one camera, possibly decoded at a reduced scale."""

    camera: str
    seq: int
    t_mono_ns: int
    """When the light was taken, as well as the driver knows it."""
    image_bgr: U8
    """Height × width × 3."""
    full_size_px: tuple[int, int]
    """Width and height of the picture before any reduction; boxes and landmarks are in these pixels."""
    jpeg: bytes | None = None
    """The compressed original, kept for crops at full size and for evidence."""
    tone: Tone = PLAIN

    @property
    def scale(self) -> tuple[float, float]:
        """By what a column and a row of the full picture are multiplied to be those of the image."""
        rows, columns = self.image_bgr.shape[:2]
        return columns / self.full_size_px[0], rows / self.full_size_px[1]


@dataclass(frozen=True, slots=True, eq=False)
class ThermalFrame:
    """One frame of the thermal sensor in its own degrees, before any correction."""

    seq: int
    t_mono_ns: int
    temp_c: F32
    """Rows × columns, °C as the sensor reports them; row 0 is the top, column 0 the left as the robot looks."""
    sensor_temp_c: float | None = None
    """Temperature of the sensor itself, where the wire carries it."""
    t_received_ns: int = 0
    """When its last byte had arrived; the robot's own delay counts from here. 0: not told."""


@dataclass(frozen=True, slots=True)
class PlateReading:
    """What the reference plate's own controller says of it."""

    seq: int
    t_mono_ns: int
    temp_c: float
    """Of the plate, by contact."""
    steady: bool
    """False while it heats up or reports a fault."""


@dataclass(frozen=True, slots=True)
class GlobalPosition:
    """Where the robot is on the earth (WGS 84)."""

    lat_deg: float
    lon_deg: float
    heading_deg: float | None = None
    """Clockwise from true north; None: not told, or standing still."""
    accuracy_m: float | None = None
    """Standard uncertainty across the ground; None: not told."""


@dataclass(frozen=True, slots=True)
class MapPosition:
    """Where the robot is on a map of its base."""

    x_m: float
    y_m: float
    heading_deg: float | None = None
    """Counter-clockwise from the map's x axis (ROS REP 103); None: not told."""
    accuracy_m: float | None = None
    map_name: str = ""


@dataclass(frozen=True, slots=True)
class NoPosition:
    """The source is well but does not know where it is."""

    why: str


@dataclass(frozen=True, slots=True)
class PositionReading:
    """What a receiver or the robot's base says of where the robot is."""

    seq: int
    t_mono_ns: int
    """When it arrived."""
    position: GlobalPosition | MapPosition | NoPosition


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces found in one frame of one camera (n may be 0), in full-size pixels."""

    camera: str
    t_mono_ns: int
    boxes_px: F32
    """n × 4: left, top, width, height."""
    landmarks_px: F32
    """n × 5 × 2: right eye, left eye, nose tip, right and left corner of the mouth (the person's own right)."""
    scores: F32
    """n, between 0 and 1."""
    grain: F32 | None = None
    """n: full-size pixels to one that the detector looked at; None: as many."""

    def __len__(self) -> int:
        return int(self.scores.shape[0])

    @property
    def grains(self) -> F32:
        """`grain`, also where it is not said."""
        return np.ones(len(self), np.float32) if self.grain is None else self.grain


class Track(NamedTuple):
    """One person as the tracker sees them at `t_mono_ns`. Made twice a step for everybody: a dataclass would take six times as long."""

    track_id: int
    t_mono_ns: int
    position_m: F64
    """Point between the eyes, robot frame."""
    velocity_m_s: F64
    """As the robot sees it: while the robot turns, who stands still goes by."""
    position_covariance_m2: F64
    """3 × 3, robot frame: long along the line of sight, short across it."""
    first_seen_ns: int
    last_seen_ns: int
    hits: int
    camera: str
    """Camera of the newest detection."""
    landmark_rays: F64
    """5 × 3: the newest landmarks as points in the robot frame, relative to the one between the eyes, at the track's range."""
    score: float
    yaw_rad: float
    """Turn of the head away from the line of sight; 0 looks at the camera."""
    confirmed: bool

    @property
    def position_sd_m(self) -> F64:
        """Standard uncertainty along each axis of the robot's frame."""
        sd: F64 = np.sqrt(np.diag(self.position_covariance_m2))
        return sd


class RoiName(enum.StrEnum):
    """Where on the face a temperature was read."""

    CANTHI = "canthi"
    UPPER_FACE = "upper_face"
    FOREHEAD = "forehead"
    FULL_FACE = "full_face"
    """Mouth and nose included."""


class Reason(enum.StrEnum):
    """Why a person who was seen has no temperature."""

    TOO_FAR = "too_far"
    TOO_FEW_PIXELS = "too_few_pixels"
    MOVING_BLUR = "moving_blur"
    EXTREME_POSE = "extreme_pose"
    OCCLUDED = "occluded"
    GLASSES = "glasses"
    OUT_OF_VIEW = "out_of_view"
    OUT_OF_AMBIENT_WINDOW = "out_of_ambient_window"
    REFERENCE_LOST = "reference_lost"
    CALIBRATION_EXPIRED = "calibration_expired"
    WARMING_UP = "warming_up"
    NO_BASELINE = "no_baseline"
    IMPLAUSIBLE = "implausible"
    COLD_SKIN = "cold_skin"
    PICTURE = "picture"
    TOO_BRIEF = "too_brief"
    NO_THERMAL = "no_thermal"


@dataclass(frozen=True, slots=True, eq=False)
class ThermalRoi:
    """Where one tracked face lies in one thermal frame; pixels only. `reason` is set when it cannot be read there."""

    track_id: int
    t_mono_ns: int
    center_px: tuple[float, float]
    """Point between the eyes: column, row."""
    eyes_px: F64
    """2 × 2: right and left eye (column, row)."""
    up_px: tuple[float, float]
    """Unit vector from the mouth towards the forehead, in the image."""
    face_px: float
    """Width of the face, in thermal pixels."""
    distance_m: float
    position_sd_px: float
    """Standard uncertainty of the place, in thermal pixels."""
    reason: Reason | None = None
    tilt_sd_px: float = 0.0
    """What a robot that shakes adds to it, up and down; 0 while it stands firm."""
    moves_px_s: tuple[float, float] = (0.0, 0.0)
    """How fast the face goes by, in thermal pixels a second (column, row)."""
    smear_up_px: float = 0.0
    """How far along `up_px`, either way, within a time constant of the sensor."""
    halves_apart_px: tuple[float, float] = (0.0, 0.0)
    """How far the face goes by between the halves of a frame that was measured in two (robot/halves.py)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One temperature of one face with every step that led to it (°C). Sum: raw + corrections = skin; skin + site = body."""

    track_id: int
    t_mono_ns: int
    roi: RoiName
    raw_c: float
    reference_correction_c: float
    emissivity_correction_c: float
    atmosphere_correction_c: float
    size_of_source_correction_c: float
    skin_c: float
    site_offset_c: float
    body_c: float
    uncertainty_c: float
    """Standard uncertainty (k = 1) of `body_c`."""
    random_uncertainty_c: float
    """The part of it that averaging over readings reduces."""
    uncertainty_terms_c: dict[str, float]
    """What each source contributes to `uncertainty_c`, by name; the root of their sum of squares is `uncertainty_c`."""
    face_px_thermal: float
    distance_m: float
    roi_px: tuple[float, float, float, float]
    """Left, top, width, height in the thermal image."""
    skin_by_roi_c: dict[str, float] = field(default_factory=dict)
    """`skin_c` of every region that could be read on this face, the one used included."""
    referenced: bool = True
    """A valid plate stood behind it; else the sensor's own error, which may be a degree and more, is in it."""


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A face that was seen in this thermal frame but not read, and why."""

    track_id: int
    t_mono_ns: int
    reason: Reason


class VerdictKind(enum.StrEnum):
    NORMAL = "normal"
    ELEVATED = "elevated"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one person, once; `reading` is the fused one."""

    track_id: int
    t_mono_ns: int
    kind: VerdictKind
    reason: Reason | None
    reading: Reading | None
    readings: int
    policy: str
    threshold_c: float
    margin_c: float | None
    """`body_c` minus what it is compared with; None where nothing could be judged."""
    first_seen_ns: int
    in_range_ns: int | None
    """When the face first lay in the thermal image within measuring range."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many thermal frames went by without a reading, by reason."""
    margins_c: dict[str, float] = field(default_factory=dict)
    """The margin under every policy that can judge, the one that decides and the others."""
    revision: int = 0
    """0 for the first verdict of a person; 1 when later, better readings turned `normal` into `elevated`."""


class Screening(enum.StrEnum):
    """Whether the robot can screen at all. Everything but AVAILABLE is loud."""

    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class IndicatorSignal:
    """What lamp and siren shall show; the driver knows colours and patterns, not reasons."""

    alarm: bool
    """A person's estimate is elevated and nobody has acknowledged: red lamp."""
    siren: bool
    """Siren on for this alarm (it stops after its time, the lamp stays)."""
    unavailable: bool
    """Screening is unavailable: amber lamp, blinking; never together with green."""
    pre_alarm: bool = False
    """A first elevated estimate is being confirmed."""
    quiet: bool = False
    """It is night by the settings: the siren, where it is wanted, has its pattern for the night. The lamp is as ever."""


@dataclass(frozen=True, slots=True)
class SirenRules:
    """How a siren sounds; patterns by the names that the settings know (drivers/siren.py)."""

    pattern: str = "steady"
    quiet_pattern: str = "off"
    duty: float = 0.5
    """Largest share of any `window_s` during which it sounds; 1: no limit."""
    window_s: float = 60.0


class ButtonPress(enum.StrEnum):
    """What the buttons beside the lamp ask for."""

    ACKNOWLEDGE = "acknowledge"
    """Every alarm that stands."""
    TEST = "test"
    """Lamp and siren show themselves; the indicator has begun it."""
    TEST_REFUSED = "test_refused"
    """The same while an alarm stands: nothing is shown but the alarm."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device says of itself."""

    address: str
    model: str
    serial: str
    width_px: int
    height_px: int
