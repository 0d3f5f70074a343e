"""[B] What is wrong with settings before anything is opened: addresses, files, calibration and their fit, beyond what the file alone can tell."""

from __future__ import annotations

import codecs
import datetime as dt
import os
from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from calibration import files
from drivers import factory
from drivers.address import parse as parse_address
from robot import config, credentials
from robot.config import Settings, StreamSettings, UplinkSettings
from robot.errors import CalibrationError, ConfigError
from robot.optics import Optic, shares_of_view
from robot.record import problems as record_problems
from robot.registration import FACE_WIDTH_M, default_face_px_min
from robot.stream_session import Tokens
from robot.strict_toml import is_known, read_table
from robot.tls import server_context
from robot.uplink import problems as uplink_problems

_SEEN_SHARE = 0.05
"""Of the thermal view. A lens of 20° beside the sensor sees 7 % of it, a neighbour that looks elsewhere 2 to 4 %."""


def checked(file: Path) -> Settings:
    """Returns the settings in a file; raises ConfigError with everything that can be told: of its keys, and of all that they name."""
    examined = config.examine(read_table(file), file.resolve().parent)
    found = [*examined.problems, *problems(examined.settings, examined.wrong)]
    if found:
        raise ConfigError(found)
    return examined.settings


def problems(settings: Settings, wrong: Collection[str] = ()) -> list[str]:
    """Returns what is wrong with addresses, calibration and their fit, beyond what the file alone can tell.

    Nothing is said that depends on a key among `wrong` (paths): their values are not those asked for.
    """
    found: list[str] = []
    addresses = [one for one in _addresses(settings) if is_known(one[0], wrong)]
    for where, address, usable in addresses:
        scheme, colon, _ = address.strip().partition(":")
        if colon and scheme.lower() not in usable:
            found.append(f"{where}: {scheme}: has no driver here (there are: {', '.join(usable)})")
            continue
        try:
            parse_address(address)
        except ConfigError as error:
            found.extend(f"{where}: {problem}" for problem in error.problems)
    found.extend(factory.device_problems((where, address) for where, address, _ in addresses))
    found.extend(factory.pin_problems([("indicator.address", settings.indicator.address), *_supplies(settings)]))
    found.extend(_stream_problems(settings.stream))
    if settings.uplink.broker:
        found.extend(uplink_problems(_with_pair(settings.uplink, wrong)))
    found.extend(record_problems(settings.record))
    found.extend(_place_problems(settings))
    found.extend(_folder_problems(settings, wrong))
    if not is_known("calibration.file", wrong):
        return found
    try:
        calibration = files.load(Path(settings.calibration.file))
    except CalibrationError as error:
        return [*found, f"calibration.file: {error}"]
    found.extend(_calibration_problems(settings, calibration, wrong))
    return found


def _with_pair(uplink: UplinkSettings, wrong: Collection[str]) -> UplinkSettings:
    """Returns the settings without certificate and key unless both are known: one of them tells nothing."""
    if all(is_known(f"uplink.{key}", wrong) for key in ("tls_cert", "tls_key")):
        return uplink
    return msgspec.structs.replace(uplink, tls_cert="", tls_key="")


def _stream_problems(stream: StreamSettings) -> list[str]:
    found: list[str] = []
    if stream.tokens_file:
        try:
            Tokens.read(Path(stream.tokens_file))
        except ConfigError as error:
            found.extend(error.problems)
    if stream.tls_cert and stream.tls_key:  # one without the other is told by the settings' own rules
        try:
            server_context(stream.tls_cert, stream.tls_key, "stream")
        except ConfigError as error:
            found.extend(error.problems)
    return found


def _folder_problems(settings: Settings, wrong: Collection[str]) -> list[str]:
    """What is there already under a name that a file or a folder is to have; a disk that only refuses now is not a matter of settings."""
    if not is_known("store.path", wrong):  # the others lie beside it
        return []
    store = Path(settings.store.path)
    found = [f"store.path: {problem}" for problem in _no_database(store)]
    folders = [("store.path", store.parent)]
    if settings.record.mode != "off":
        folders.append(("record.folder", Path(settings.record.folder)))
    if settings.evidence.thermal or settings.evidence.face:
        folders.append(("evidence.folder", Path(settings.evidence.folder)))
    for where, folder in folders:
        if not is_known(where, wrong):
            continue
        blocking = next(part for part in (folder, *folder.parents) if _there(part))  # the root is, at least
        if not blocking.is_dir():
            found.append(f"{where}: {blocking} is a file, where a folder is needed (name another place)")
    return found


def _no_database(store: Path) -> Iterator[str]:
    """Yields why this can be no event database. One that is damaged is moved aside; so would be what somebody named by mistake: settings, a calibration."""
    if not _there(store):
        return
    if store.is_dir():
        yield f"{store} is a folder (name a file in it)"
    elif not store.is_file():
        yield f"{store} is no file (name one)"
    elif os.access(store, os.R_OK) and _is_text(store):
        yield f"{store} is a text, no event database (name another file)"


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(1000)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(begin)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return bool(text) and "\0" not in text


def _there(path: Path) -> bool:
    """Returns whether something is known to be there; Path.exists would raise where this user may not look."""
    return os.access(path, os.F_OK)


def _place_problems(settings: Settings) -> list[str]:
    place = settings.place
    if place.source.startswith("mqtt:") and find_spec("paho.mqtt") is None:
        return [
            "place.source: poses over MQTT need the extra fleet (pip install 'patrol-robot[fleet]', or leave it empty)"
        ]
    try:
        credentials.read(place.credentials_file)
    except ConfigError as error:
        return [f"place.credentials_file: {problem}" for problem in error.problems]
    return []


def _addresses(settings: Settings) -> list[tuple[str, str, tuple[str, ...]]]:
    pairs: list[tuple[str, str, tuple[str, ...]]] = [
        (f"cameras[{index}].address", camera.address, factory.CAMERA_SCHEMES)
        for index, camera in enumerate(settings.cameras)
    ]
    pairs.append(("thermal.address", settings.thermal.address, factory.THERMAL_SCHEMES))
    if settings.reference.readback:
        pairs.append(("reference.readback", settings.reference.readback, factory.PLATE_SCHEMES))
    if settings.place.source:
        pairs.append(("place.source", settings.place.source, factory.POSITION_SCHEMES))
    if settings.indicator.address:
        pairs.append(("indicator.address", settings.indicator.address, factory.INDICATOR_SCHEMES))
    pairs += [(where, address, factory.POWER_SCHEMES) for where, address in _supplies(settings)]
    return pairs


def _supplies(settings: Settings) -> list[tuple[str, str]]:
    """Returns the addresses of all supplies that can be cut, each with its place in the settings."""
    found = [(f"cameras[{index}].power", camera.power) for index, camera in enumerate(settings.cameras)]
    return [(where, address) for where, address in (*found, ("thermal.power", settings.thermal.power)) if address]


def view_problems(cameras: Iterable[str], calibration: files.Calibration) -> list[str]:
    """Returns what is wrong where none of these cameras sees what the thermal sensor sees: all would look well, and nobody be measured."""
    optics = {name: Optic(name, calibration.cameras[name]) for name in cameras if name in calibration.cameras}
    shares = shares_of_view(optics, Optic("thermal", calibration.thermal))
    best = max(shares, key=shares.__getitem__, default="")
    if not best or shares[best] >= _SEEN_SHARE:
        return []
    return [
        f"cameras: none sees what the thermal sensor sees ({best} sees most of it, {100 * shares[best]:.0f} %): nobody could be "
        "measured; name the camera beside the sensor, or check yaw and pitch with patrol-calibrate show"
    ]


def _face_problems(face_px_min: float | None, calibration: files.Calibration) -> list[str]:
    """Returns what is wrong where hardly anybody comes near enough to be measured: all would be too far, and nothing else told of it."""
    thermal = calibration.thermal
    most_px = max(2 * default_face_px_min(thermal.width_px), thermal.width_px / 5)
    if face_px_min is None or face_px_min <= most_px:
        return []
    nearer_m = thermal.fx_px * FACE_WIDTH_M / face_px_min
    return [
        f"measurement.face_px_min: only who is nearer than {nearer_m:.2f} m would be measured (at most {most_px:g} with {thermal.width_px} "
        "columns, or leave it out)"
    ]


def _calibration_problems(settings: Settings, calibration: files.Calibration, wrong: Collection[str]) -> list[str]:
    found = [
        f"cameras[{index}].name: {camera.name!r} is not in the calibration (it has: {', '.join(calibration.cameras)})"
        for index, camera in enumerate(settings.cameras)
        if camera.name not in calibration.cameras and is_known(f"cameras[{index}].name", wrong)
    ]
    if all(is_known(f"cameras[{index}].name", wrong) for index in range(len(settings.cameras))):
        found.extend(view_problems((camera.name for camera in settings.cameras), calibration))
    found.extend(_face_problems(settings.measurement.face_px_min, calibration))
    sizes_px = factory.thermal_sizes_px(settings.thermal.address)
    size_px = calibration.thermal.width_px, calibration.thermal.height_px
    if sizes_px and size_px not in sizes_px:
        sent = " or ".join(f"{width}×{height}" for width, height in sorted(sizes_px))
        found.append(
            f"thermal.address: this sensor sends {sent} pixels, the calibration is of one with {size_px[0]}×{size_px[1]} "
            "(name the calibrated sensor, or calibrate this one)"
        )
    if calibration.robot != settings.robot.name and is_known("robot.name", wrong):
        found.append(
            f"calibration.file: {calibration.id} is of robot {calibration.robot!r}, these settings are for "
            f"{settings.robot.name!r}: name that robot's file"
        )
    now = dt.datetime.now(dt.UTC)
    refused = settings.calibration.expired == "refuse" and is_known("calibration.expired", wrong)
    if files.expired(calibration, now) and refused:
        found.append(
            f"calibration.file: {calibration.id} was valid until {calibration.valid_until_utc}: calibrate again, "
            'or set calibration.expired = "warn" to run with a warning'
        )
    plate_needed = settings.reference.required and settings.screening.policy != "cohort"
    all_known = all(is_known(path, wrong) for path in ("reference.required", "screening.policy"))
    if calibration.reference is None and plate_needed and all_known:
        found.append(
            "reference.required: the calibration has no reference plate, so nobody would ever be screened; "
            "calibrate the plate, or set reference.required = false and accept the larger uncertainty"
        )
    return found
