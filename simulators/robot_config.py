"""The robot's configuration and calibration for a simulated station: what a technician would write for these devices."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path

from calibration import files
from robot.errors import CalibrationError, ConfigError
from simulators.nameplate import PHYSIOLOGY_SD_C, calibration_of
from simulators.patrol import PatrolFile, on_earth, poses_hz
from simulators.world import Rig

CONFIG, CALIBRATION = "robot.toml", "calibration.json"
ROBOT = "sim-1"
_HEADER = "# Settings of the patrol robot in front of a simulated station."
_PINS = "gpiozero:?red=17&amber=27&green=22&siren=23"


def check(folder: Path) -> None:
    """Raises ConfigError if the folder holds settings or a calibration of another robot: `write` would take their place."""
    path = folder / CONFIG
    try:
        others = not path.read_text(encoding="utf-8", errors="replace").startswith(_HEADER)
    except OSError:
        others = False  # none, or one that cannot be written over either
    with contextlib.suppress(CalibrationError):  # none, or one that no robot would take
        others = others or files.load(folder / CALIBRATION).robot != ROBOT
    if others:
        raise ConfigError(
            f"{folder}: holds the settings or the calibration of a robot that is not simulated (name another folder)"
        )


def write(
    folder: Path,
    rig: Rig,
    cameras: Mapping[str, str],
    thermal: str,
    ambient_c: float,
    humidity: float,
    stream_port: int,
    physiology_sd_c: float = PHYSIOLOGY_SD_C,
    calibration: files.Calibration | None = None,
    place: str = "",
    reflected_c: float | None = None,
) -> Path:
    """Writes robot.toml and calibration.json (the rig's own, unless another is given) into `folder` and returns the former's path.

    `place` is the text of its [place] table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    calibration = calibration or calibration_of(rig, ROBOT, dt.datetime.now(dt.UTC), physiology_sd_c)
    files.save(calibration, folder / CALIBRATION)
    path = folder / CONFIG
    text = robot_toml(rig, cameras, thermal, ambient_c, humidity, stream_port, reflected_c)
    path.write_text(f"{text}\n{place}" if place else text, encoding="utf-8")
    return path


def place_toml(path: PatrolFile, source: str) -> str:
    """Returns the [place] table for a patrol whose positions come from that address; empty where there is none."""
    if not source:
        return ""
    poses = source.startswith(("mqtt:", "pose:"))
    zones = "".join(
        f"[[place.zones]]\nname = {_text(zone.name)}\nname_zh = {_text(zone.name_zh)}\n"
        + (
            f"corners_m = {[list(corner) for corner in zone.corners_m]}\nmap = {_text(path.map)}\n"
            if poses
            else f"corners_deg = {[[round(deg, 7) for deg in on_earth(path, *corner)] for corner in zone.corners_m]}\n"
        )
        for zone in path.zone
    )
    return f"[place]\nsource = {_text(source)}\nrate_hz = {poses_hz(path) if poses else 1:g}\n{zones}"


def robot_toml(
    rig: Rig,
    cameras: Mapping[str, str],
    thermal: str,
    ambient_c: float,
    humidity: float,
    stream_port: int,
    reflected_c: float | None = None,
) -> str:
    """Returns the text of robot.toml, with a word on what matters; `reflected_c` None: as warm as the air."""
    tables = "\n".join(
        f'[[cameras]]\nname = "{name}"\naddress = {_text(url)}\nrate_hz = {rig.camera_rate_hz:g}\nnetwork_px = [640, 384]\n'
        for name, url in cameras.items()
    )
    required = str(rig.reference.present).lower()
    around = "" if reflected_c is None else f"reflected_c = {reflected_c:g}\n"
    return f"""{_HEADER} Nothing here says "simulation": addresses choose the devices.
[robot]
name = "sim-1"
site = "simulated"
place = "Simulated station"
place_zh = "模拟车站"

{tables}
[thermal]
address = {_text(thermal)}
rate_hz = {rig.traits.rate_hz:g}
# A real sensor needs 30 minutes after a cold start; the simulated one is born warm.
warm_up_s = 1.0

[reference]
required = {required}

[measurement]
# Of the station's air; a technician sets it for the day.
ambient_c = {ambient_c:g}
humidity = {humidity:g}
{around}
[screening]
policy = "absolute"
threshold_c = 37.3

[indicator]
# Real pins on a Pi; on a laptop set GPIOZERO_PIN_FACTORY=mock.
address = "{_PINS}"

[calibration]
file = "{CALIBRATION}"

[store]
path = "events.sqlite3"

[stream]
host = "127.0.0.1"
port = {stream_port}
"""


def _text(value: str) -> str:
    """Returns the value as TOML writes it. JSON's escapes are TOML's, but for halves of characters: those stay as they are."""
    return json.dumps(value, ensure_ascii=False)
