"""The one file format of a robot's calibration: what it holds, how it is sealed, read, refused and written.

A file is JSON: {"schema", "sha256", "content"}. The digest is taken over the content's canonical encoding, so that a
changed digit is noticed. robot/ reads calibrations through `load` alone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from calibration.offset_map import OffsetMap, unpack
from robot import strict_toml
from robot.errors import CalibrationError, ConfigError
from robot.types import RoiName

SCHEMA = "patrol.calibration/2"

_NEW = ".new"
_MODE = 0o644
"""A technician writes the file, the robot's own account must read it; nothing in it is secret."""

SHARE_LIMITS = (0.2, 1.5)
"""Of a contrast that a sensor can sensibly recover; above 1 where a region's maximum takes in something warmer than its truth."""

# Bounds are wide of every robot there is. What lies beyond is no measurement, and readings made with it would be no temperatures.
FocalPx = Annotated[float, Meta(ge=1, le=1_000_000)]
CenterPx = Annotated[float, Meta(ge=-100_000, le=100_000)]
Distortion = Annotated[float, Meta(ge=-1000, le=1000)]
_TOLD = 5
"""Problems of a file at most: one that is wholly wrong would fill the screen."""
_WIDTH_MAX_PX = 16_384
SidePx = Annotated[int, Meta(ge=8, le=_WIDTH_MAX_PX)]
"""Of an image; memory is taken by it."""
Triple = tuple[float, float, float]
Turn = Annotated[float, Meta(ge=-7, le=7)]
"""Radians: a whole turn and a little."""
OffsetM = Annotated[float, Meta(ge=-10, le=10)]
AmbientC = Annotated[float, Meta(ge=-50, le=80)]
SpreadC = Annotated[float, Meta(ge=0, le=20)]
"""A standard uncertainty."""
ShiftC = Annotated[float, Meta(ge=-50, le=50)]
Slope = Annotated[float, Meta(ge=-5, le=5)]

THERMAL_MAX_PX = 2048
"""No thermal sensor has as many on a side; every frame takes memory and time for each."""
FOCAL_LIMITS = (0.1, 100.0)
"""Of a focal length in widths of the picture: fields of view of 157 and 0.6 degrees."""


class OpticCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lens and place of one camera or of the thermal sensor (OpenCV's pinhole model)."""

    serial: str
    width_px: SidePx
    height_px: SidePx
    fx_px: FocalPx
    fy_px: FocalPx
    cx_px: CenterPx
    cy_px: CenterPx
    distortion: tuple[Distortion, Distortion, Distortion, Distortion, Distortion]
    """k1, k2, p1, p2, k3."""
    rotation_vector: tuple[Turn, Turn, Turn]
    """Rodrigues vector of the rotation from the robot's frame to the optical frame, radians."""
    position_m: tuple[OffsetM, OffsetM, OffsetM]
    """Optical centre in the robot's frame."""
    residual_px: Annotated[float, Meta(ge=0, le=100)] = 0.3
    """Root mean square reprojection error found by the calibration."""


class BesideBlackbody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Surroundings among which a plate was held against a blackbody, and how sure what it showed among them is."""

    around_c: AmbientC
    shown_sd_c: SpreadC


class ReferenceCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The on-board temperature reference: where it lies in the thermal image and what it is held at."""

    roi_px: tuple[int, int, int, int]
    """Left, top, width, height."""
    set_point_c: Annotated[float, Meta(ge=25, le=45)]
    emissivity: Annotated[float, Meta(gt=0.5, le=1)]
    set_point_sd_c: SpreadC = 0.05
    emissivity_sd: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    """What a datasheet leaves open, unless said otherwise."""
    beside_blackbody: BesideBlackbody | None = None
    """None: the emissivity was entered."""


class PointSpread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the sensor's optics spread a point: a Gaussian core, and a share that is scattered widely (veiling glare)."""

    sigma_px: Annotated[float, Meta(ge=0, le=50)]
    veil_share: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0
    veil_sigma_px: Annotated[float, Meta(gt=0, le=1000)] = 5.0


class RadiometryCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the thermal sensor's own degrees relate to true ones: gain · (reported − offset map) + offset."""

    netd_c: Annotated[float, Meta(gt=0, le=20)]
    quantum_c: Annotated[float, Meta(gt=0, le=20)]
    fixed_pattern_sd_c: SpreadC
    """What is left of the pixel-to-pixel offset after correction."""
    absolute_sd_c: SpreadC
    """Standard uncertainty of an absolute reading without the reference."""
    size_of_source: dict[str, list[tuple[float, float, float]]] = {}
    """For each region: face width in thermal pixels, the share of the contrast between its warmest spot and the surroundings
    that the sensor recovers, and the share's standard uncertainty; widths increase."""
    dead_pixels: list[tuple[int, int]] = []
    """Row, column."""
    gain: Annotated[float, Meta(gt=0.5, lt=2)] = 1.0
    offset_c: ShiftC = 0.0
    offset_map: OffsetMap | None = None
    drift_c_per_min: ShiftC = 0.0
    """How the common level moved while it was calibrated; the reference plate takes it out."""
    point_spread: PointSpread | None = None


class SiteOffset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """body = skin + offset + slope · (ambient − ambient_ref), with the standard uncertainty of one person."""

    offset_c: ShiftC
    slope_per_c: Slope
    ambient_ref_c: AmbientC
    sd_c: SpreadC


class SiteBlend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several regions read at once: body = Σ weight · skin + offset + slope · (ambient − ambient_ref); see robot/site.py."""

    weights: dict[str, Annotated[float, Meta(ge=0, le=1)]]
    """By region; they sum to one."""
    offset_c: ShiftC
    slope_per_c: Slope
    ambient_ref_c: AmbientC
    sd_c: SpreadC
    """Standard uncertainty of one person in one sighting."""
    febrile_above_c: Annotated[float, Meta(ge=30, le=45)] = 37.5
    febrile_gain: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    """What is added for every degree above `febrile_above_c`: febrile skin follows the body by less than one for one."""
    open_mouth_per_c: Annotated[float, Meta(ge=0, le=3)] = 0.0
    """A sighting's weight among others of the same person is exp(this · (full face − canthi))."""
    peaks: list[str] = []
    """Regions of which the warmest sighting of a person counts in all of them."""
    lone_sighting_c: Slope = 0.0
    """Added, divided by the number of sightings: one alone has no warmer one beside it."""


class StepSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one step of the calibration found, in numbers; its pictures are in the history beside the file."""

    made_utc: str
    made_by: str
    samples: int
    rejected: int
    passed: bool
    parameters: dict[str, tuple[float, float, str]]
    """Value, standard uncertainty, unit."""
    checks: dict[str, tuple[float, str, bool]]
    """Value, unit, passed: residuals and acceptance figures."""
    conditions: dict[str, tuple[float, float, str]] = {}
    """Value, standard uncertainty, unit: temperatures of targets and surroundings during the step."""


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The surroundings in which the calibration was made."""

    ambient_c: AmbientC
    humidity: Annotated[float, Meta(ge=0, le=1)]


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a robot needs to turn pixels into places and temperatures."""

    id: str
    robot: str
    created_utc: str
    valid_until_utc: str
    made_by: str
    software: str
    cameras: dict[str, OpticCalibration]
    thermal: OpticCalibration
    radiometry: RadiometryCalibration
    site: dict[str, SiteOffset]
    reference: ReferenceCalibration | None = None
    note: str = ""
    supersedes: str = ""
    """Id of the calibration that this one was made from."""
    conditions: Conditions | None = None
    steps: dict[str, StepSummary] = {}
    """By step and subject: `intrinsics front`, `registration`, …"""
    nominal: list[str] = []
    """Steps whose values come from datasheets: nothing was measured. Empty for a calibration fit for duty."""
    site_blends: list[SiteBlend] = []
    """Regions that are read together, the best first; `site` holds what a region says alone."""


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    sha256: str
    content: dict[str, Any]


def plain_number(value: Any) -> Any:
    """Returns Python's own number for one of numpy, which a solver may leave in a field; for msgspec's `enc_hook`."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} is no value of a calibration")


def _digest(content: Any) -> str:
    plain = msgspec.to_builtins(content, enc_hook=plain_number)
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def seal_of(path: Path) -> str:
    """Returns the sha256 over the content, as a file that `load` takes carries it: written before a field was added, it lacks that."""
    return msgspec.json.decode(path.read_bytes(), type=_Sealed).sha256


def digest_of(text: bytes) -> str:
    """Returns the digest of a file's bytes, whatever they are."""
    return hashlib.sha256(text).hexdigest()


def load(path: Path) -> Calibration:
    """Returns the calibration in `path`; raises CalibrationError if it is missing, changed by hand or of another version."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        begin = ", or begin with patrol-calibrate nominal" if isinstance(error, FileNotFoundError) else ""
        raise CalibrationError(
            f"{path}: cannot be read ({error.strerror}); name the robot's calibration file{begin}"
        ) from error
    return _unsealed(raw, path)


def _unsealed(raw: bytes, path: Path) -> Calibration:
    try:
        head = msgspec.json.decode(raw)
        if isinstance(head, dict) and head.get("schema", SCHEMA) != SCHEMA:
            raise CalibrationError(
                f"{path}: schema {head['schema']!r} is not {SCHEMA!r}; calibrate again with this version's patrol-calibrate"
            )
        sealed = msgspec.convert(head, _Sealed)
        if _digest(sealed.content) != sealed.sha256:
            raise CalibrationError(
                f"{path}: content does not match its sha256: the file was changed or damaged; restore it or calibrate again"
            )
        calibration = _typed(sealed.content, path)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CalibrationError(
            f"{path}: not a calibration file ({error}); name a file written by patrol-calibrate"
        ) from error
    _check_consistency(calibration, path)
    return calibration


def _typed(content: dict[str, Any], path: Path) -> Calibration:
    try:
        return strict_toml.convert(content, Calibration)
    except ConfigError as error:
        more = f"; and {len(error.problems) - _TOLD} more" if len(error.problems) > _TOLD else ""
        raise CalibrationError(
            f"{path}: {'; '.join(error.problems[:_TOLD])}{more}: such a calibration is of no use; restore the file or calibrate again"
        ) from error


def _check_consistency(calibration: Calibration, path: Path) -> None:
    for name in ("created_utc", "valid_until_utc"):
        _parse_utc(getattr(calibration, name), f"{path}: {name}")
    for title, step in calibration.steps.items():
        _parse_utc(step.made_utc, f"{path}: steps.{title}.made_utc")
    _check_lenses(calibration, path)
    _check_regions(calibration, path)
    thermal = calibration.thermal
    for row, column in calibration.radiometry.dead_pixels:
        if not (0 <= row < thermal.height_px and 0 <= column < thermal.width_px):
            raise CalibrationError(
                f"{path}: radiometry.dead_pixels: row {row}, column {column} is not in the image; calibrate again"
            )
    offsets = calibration.radiometry.offset_map
    if offsets is not None:
        if (offsets.rows, offsets.columns) != (thermal.height_px, thermal.width_px):
            raise CalibrationError(
                f"{path}: radiometry.offset_map: is {offsets.columns}×{offsets.rows}, the sensor "
                f"{thermal.width_px}×{thermal.height_px}: of another sensor; calibrate again"
            )
        try:
            unpack(offsets)
        except CalibrationError as error:
            raise CalibrationError(f"{path}: radiometry: {error}") from error
    if calibration.reference is not None:
        left, top, width, height = calibration.reference.roi_px
        inside = 0 <= left and 0 <= top and width > 0 and height > 0
        inside = inside and left + width <= thermal.width_px and top + height <= thermal.height_px
        if not inside:
            raise CalibrationError(
                f"{path}: reference.roi_px lies outside the thermal image of {thermal.width_px}×{thermal.height_px} pixels; "
                "calibrate the plate again"
            )


def _check_lenses(calibration: Calibration, path: Path) -> None:
    """Numbers that may be by themselves, but not of a picture of this size."""
    for name, lens in {
        **{f"cameras.{name}": one for name, one in calibration.cameras.items()},
        "thermal": calibration.thermal,
    }.items():
        for key in ("fx_px", "fy_px"):
            if not FOCAL_LIMITS[0] <= getattr(lens, key) / lens.width_px <= FOCAL_LIMITS[1]:
                raise CalibrationError(
                    f"{path}: {name}.{key}: {getattr(lens, key):g} is no focal length of a picture {lens.width_px} pixels wide; "
                    "restore the file or calibrate again"
                )

    thermal = calibration.thermal
    if max(thermal.width_px, thermal.height_px) > THERMAL_MAX_PX:
        raise CalibrationError(
            f"{path}: thermal.width_px, thermal.height_px: {thermal.width_px}×{thermal.height_px} is no thermal sensor's picture "
            f"(at most {THERMAL_MAX_PX} pixels a side); restore the file or calibrate again"
        )


def _check_regions(calibration: Calibration, path: Path) -> None:
    """Without these a robot would start and then fail at the first face."""
    curves, site = calibration.radiometry.size_of_source, calibration.site
    for roi, rows in curves.items():
        if roi not in set(RoiName):
            raise CalibrationError(f"{path}: size_of_source.{roi}: no such region (there are: {', '.join(RoiName)})")
        widths = [row[0] for row in rows]
        if not widths or widths != sorted(set(widths)) or not 0 < widths[0] <= widths[-1] <= _WIDTH_MAX_PX:
            raise CalibrationError(
                f"{path}: size_of_source.{roi}: needs rows with face widths that increase, of 0 to {_WIDTH_MAX_PX} pixels; calibrate again"
            )
        if not all(SHARE_LIMITS[0] <= share <= SHARE_LIMITS[1] and 0 <= sd <= 1 for _, share, sd in rows):
            raise CalibrationError(
                f"{path}: size_of_source.{roi}: a recovered share is not between {SHARE_LIMITS[0]:g} and {SHARE_LIMITS[1]:g}, "
                "or its uncertainty not between 0 and 1; calibrate again"
            )
    for roi in site:
        if roi not in set(RoiName):
            raise CalibrationError(f"{path}: site.{roi}: no such region (there are: {', '.join(RoiName)})")
    for roi in {RoiName.UPPER_FACE, *curves}:
        if roi not in curves or roi not in site:
            raise CalibrationError(
                f"{path}: region {roi} needs both a size_of_source curve and a site offset; calibrate what is missing"
            )
    for number, blend in enumerate(calibration.site_blends, 1):
        unknown = [roi for roi in [*blend.weights, *blend.peaks] if roi not in site or roi not in blend.weights]
        if not blend.weights or unknown or abs(sum(blend.weights.values()) - 1.0) > 1e-6:
            raise CalibrationError(
                f"{path}: site_blends: blend {number} ({', '.join(blend.weights) or 'empty'}) needs weights that sum to one, "
                "of regions with a site offset of their own, and peaks among them; fit the site model again"
            )


def _parse_utc(text: str, where: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CalibrationError(f"{where}: {text!r} is not a date and time like 2026-05-01T08:00:00+00:00") from error
    if moment.tzinfo is None:
        raise CalibrationError(f"{where}: {text!r} has no time zone; end it with +00:00")
    return moment


def expired(calibration: Calibration, now_utc: dt.datetime) -> bool:
    """Returns whether `now_utc` (with a time zone) is past the calibration's validity."""
    return now_utc > _parse_utc(calibration.valid_until_utc, "valid_until_utc")


def encode(calibration: Calibration, path: Path) -> bytes:
    """Returns the sealed file's content; raises CalibrationError, naming `path`, if `load` would refuse it."""
    sealed = _Sealed(
        schema=SCHEMA, sha256=_digest(calibration), content=msgspec.to_builtins(calibration, enc_hook=plain_number)
    )
    text = msgspec.json.format(msgspec.json.encode(sealed), indent=2) + b"\n"
    _unsealed(text, path)
    return text


def save(calibration: Calibration, path: Path) -> None:
    """Writes the calibration sealed and atomically, for all to read; history.publish also keeps the one before.

    Raises CalibrationError and leaves the old file alone if it cannot be written, or if `load` would refuse it.
    """
    text = encode(calibration, path)
    try:
        replace_all({path: text})
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be written ({error.strerror}); the old calibration is untouched"
        ) from error


def replace_all(contents: Mapping[Path, bytes]) -> None:
    """Writes every file or none: all are on disk beside their places before the first is renamed, in the order given.

    Raises OSError; then nothing has changed, unless a rename itself failed.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=_NEW)
            staged.append((Path(name), path))
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), _MODE)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in staged:
            temporary.replace(path)
        for folder in {path.parent for path in contents}:
            sync_folder(folder)
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def drop_torn(folder: Path, name: str = "*") -> None:
    """Removes what a power cut or a kill left of files of that name that were being written; for whoever alone writes them."""
    with contextlib.suppress(OSError):
        for torn in folder.glob(f"{name}????????{_NEW}"):
            torn.unlink()


def sync_folder(folder: Path) -> None:
    """A rename is only safe from a power cut once the folder itself is on disk; some file systems cannot, and need not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
