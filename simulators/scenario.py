"""A scenario: who walks where in front of which rig, how warm they and their surroundings are, and what breaks when.

Read from TOML and checked whole; unknown keys, wrong types and values out of range are all reported at once. Nothing
random happens here: numbers are drawn in people.py and scene.py from the scenario and its seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from robot.errors import ConfigError
from robot.strict_toml import did_you_mean, problems_of
from simulators import settings
from simulators.faults import KINDS, FaultPlan
from simulators.held import PropFile
from simulators.held import problems as prop_problems
from simulators.lens import ALL_CAMERAS, LensFile
from simulators.lens import problems as lens_problems
from simulators.light import LightFile
from simulators.patrol import PatrolFile, PositionFault
from simulators.patrol import check as check_patrol
from simulators.pictures import PictureFile
from simulators.rig import DEFAULT_RIG
from simulators.rig import FOLDER as RIG_FOLDER
from simulators.settings import is_path
from simulators.world import Rig

FOLDER = Path(__file__).parent / "scenarios"

THERMAL, POSITION = "thermal", "position"
"""Devices of a [[fault]], beside the cameras' own names and the one for all of them."""

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Metres = Annotated[float, Meta(gt=0, le=50)]
BodyC = Annotated[float, Meta(ge=30, le=43)]
Coordinate = Annotated[float, Meta(ge=-1000, le=1000)]
"""Metres; what is farther away is nobody's business, and no number to calculate with."""
Triple = tuple[Coordinate, Coordinate, Coordinate]


class CrowdFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Passers-by drawn from the seed."""

    people_per_minute: Annotated[float, Meta(ge=0, le=600)] = 0.0
    constant_count: Annotated[int, Meta(ge=0, le=100)] = 0
    """Keeps this many on the square at all times instead of letting them arrive by chance."""
    first_at_s: Seconds = 1.0
    square_radius_m: Annotated[float, Meta(ge=2, le=20)] = 6.5
    """People appear and vanish at this distance from the robot."""
    closest_m: tuple[Metres, Metres] = (0.5, 4.0)
    """Nearest and farthest of the closest approaches that people plan; nobody's eyes come nearer than the first."""
    front_share: Share = 0.6
    """How many pass through the thermal sensor's side of the robot; the others come by anywhere."""
    approach_share: Share = 0.65
    """How many come towards the robot before they turn off; the others cross its view."""
    stop_share: Share = 0.3
    stop_s: tuple[Seconds, Seconds] = (2.0, 6.0)
    speed_m_s: tuple[Annotated[float, Meta(ge=0.1, le=4)], Annotated[float, Meta(ge=0.1, le=4)]] = (0.6, 1.5)
    febrile_share: Share = 0.0
    """Stratified: of every 1/share people who arrive, exactly one."""
    febrile_from_block: Annotated[int, Meta(ge=0)] = 0
    """How many blocks of 1/share people come by before the first with a febrile one."""
    masked_share: Share = 0.0
    glasses_share: Share = 0.0
    hat_share: Share = 0.0
    never_look_share: Share = 0.05
    """How many never look at the robot."""
    cup_share: Share = 0.0
    """How many carry a cup of tea in front of the chest."""
    talk_share: Share = 0.15


class PhysiologyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How body and skin temperatures are spread."""

    normal_mean_c: BodyC = 36.5
    normal_sd_c: Annotated[float, Meta(ge=0, le=1)] = 0.25
    normal_max_c: BodyC = 37.0
    febrile_c: tuple[BodyC, BodyC] = (37.8, 39.5)
    sd_c: Annotated[float, Meta(ge=0, le=1)] = 0.12
    """Personal deviation of the canthi from what the body temperature says (clinical studies: 0.34)."""


class PersonFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person placed exactly, without sway, avoidance or chance."""

    path: tuple[tuple[Seconds, Coordinate, Coordinate], ...]
    """Times and places of the point between the eyes: [t_s, x_m, y_m]; straight lines between; not there before or after."""
    body_c: BodyC = 36.6
    eyes_height_m: Annotated[float, Meta(ge=0.5, le=2.5)] = 1.6
    look: Literal["robot", "ahead"] = "robot"
    look_off_deg: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    """Turns the head to the person's left, away from what `look` says."""
    tilt_deg: Annotated[float, Meta(ge=-60, le=60)] = 0.0
    """Positive looks up from the horizontal."""
    canthi_c: BodyC | None = None
    """Exact skin temperature instead of the one that follows from body_c."""
    forehead_c: BodyC | None = None
    masked: bool = False
    glasses: bool = False
    hat: bool = False
    mouth_open: Share = 0.0
    face_width_m: Annotated[float, Meta(ge=0.1, le=0.2)] = 0.15
    face_seed: int = 0


class HotObjectFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something warm that is no face."""

    kind: Literal["lamp", "cup", "heater", "vapour"]
    position_m: Triple
    diameter_m: Annotated[float, Meta(gt=0, le=3)]
    temp_c: Annotated[float, Meta(ge=-30, le=400)]
    carried_by: int | None = None
    """Number of an explicit [[person]], counted from 1; position_m then counts from their eyes (forward, left, up, as the chest points)."""
    from_s: Seconds = 0.0
    until_s: Seconds = 1e9


class CameraFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that breaks in a camera; [[fault]] with a camera's name (or "cameras") as its device."""

    kind: Literal["stop", "truncated_jpeg", "black", "freeze", "garbage", "wrong_size", "late", "out_of_order", "slow"]
    """What happens then: docs/simulators.md, made by camera_faults.py."""
    device: str
    at_s: Seconds = 0.0
    for_s: Seconds = 1e9


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario file's content."""

    description: str
    seed: Annotated[int, Meta(ge=0)] = 1
    duration_s: Annotated[float, Meta(gt=0, le=86400)] = 120.0
    rig: str = DEFAULT_RIG
    ambient_c: Annotated[float, Meta(ge=-30, le=50)] = 23.0
    humidity: Share = 0.5
    reflected_c: Annotated[float, Meta(ge=-40, le=80)] | None = None
    """What skin, plate and clothes reflect: sky, walls, lamps and people together; none: as warm as the air."""
    thermal_late_s: Annotated[float, Meta(ge=0, le=0.3)] = 0.0
    """A thermal frame shows what was so long before its first byte was sent: the sensor integrates, reads out and filters first."""
    light: LightFile = LightFile()
    lens: tuple[LensFile, ...] = ()
    """What is wrong with the cameras' lenses."""
    crowd: CrowdFile = CrowdFile()
    physiology: PhysiologyFile = PhysiologyFile()
    person: tuple[PersonFile, ...] = ()
    hot_object: tuple[HotObjectFile, ...] = ()
    picture: tuple[PictureFile, ...] = ()
    """Faces that are nobody's."""
    prop: tuple[PropFile, ...] = ()
    """Calibration targets held in front of the robot."""
    patrol: PatrolFile = PatrolFile()
    fault: tuple[dict[str, Any], ...] = ()
    """What breaks when. Device "thermal" takes the kinds and parameters of faults.py, cameras those of CameraFault, "position" those
    of PositionFault."""
    name: str = "unnamed"
    """Filled in from the file's name."""


def load_scenario(name: str) -> Scenario:
    """Returns the scenario of that built-in name or path; raises ConfigError listing every problem of the file."""
    path = settings.resolve(name, FOLDER, "scenario")
    scenario = settings.load(path, Scenario, _faults_problems)
    check(scenario, str(path))
    return msgspec.structs.replace(scenario, name=path.stem, rig=_rig_of(scenario, path))


def _rig_of(scenario: Scenario, path: Path) -> str:
    """Returns the name or path of the scenario's rig; a path counts from the scenario's own folder first."""
    beside = path.parent / scenario.rig
    if is_path(scenario.rig) and beside.is_file():
        return str(beside)
    try:
        settings.resolve(scenario.rig, RIG_FOLDER, "rig")
    except ConfigError as error:
        raise ConfigError([f"{path}: rig: {problem}" for problem in error.problems]) from error
    return scenario.rig


def with_aperture(scenario: Scenario, aperture_m: float) -> Scenario:
    """Returns the scenario with blackbodies of that opening; those whose distance follows from their width move."""
    props = tuple(
        msgspec.structs.replace(prop, aperture_m=aperture_m) if prop.kind == "blackbody" else prop
        for prop in scenario.prop
    )
    return msgspec.structs.replace(scenario, prop=props)


def parse_scenario(text: str, name: str = "unnamed") -> Scenario:
    """Returns the scenario that the TOML text describes; raises ConfigError listing every problem."""
    scenario = settings.parse(text, Scenario, name, _faults_problems)
    check(scenario, name)
    return msgspec.structs.replace(scenario, name=name)


def check(scenario: Scenario, source: str) -> None:
    """Raises ConfigError for values that are possible alone but not together."""
    problems: list[str] = []
    crowd, physiology = scenario.crowd, scenario.physiology
    for at, (low, high) in {
        "crowd.closest_m": crowd.closest_m,
        "crowd.stop_s": crowd.stop_s,
        "crowd.speed_m_s": crowd.speed_m_s,
        "physiology.febrile_c": physiology.febrile_c,
    }.items():
        if low > high:
            problems.append(f"{at}: [{low}, {high}] is upside down (give the lower one first)")
    if crowd.closest_m[1] >= crowd.square_radius_m:
        problems.append("crowd.closest_m: reaches the square's edge (make crowd.square_radius_m larger)")
    if crowd.people_per_minute and crowd.constant_count:
        problems.append("crowd.constant_count: does not go with crowd.people_per_minute (leave one of them out)")
    if physiology.normal_max_c < physiology.normal_mean_c:
        problems.append("physiology.normal_max_c: is below normal_mean_c (raise it)")
    for index, person in enumerate(scenario.person):
        times = [t_s for t_s, _, _ in person.path]
        if len(times) < 2 or any(a >= b for a, b in itertools.pairwise(times)):
            problems.append(f"person[{index}].path: needs two or more [t_s, x_m, y_m] with times that grow")
    for index, item in enumerate(scenario.hot_object):
        if item.carried_by is not None and not 1 <= item.carried_by <= len(scenario.person):
            problems.append(f"hot_object[{index}].carried_by: there is no [[person]] number {item.carried_by} (from 1)")
    for index, picture in enumerate(scenario.picture):
        if not picture.face_seeds:
            problems.append(f"picture[{index}].face_seeds: names no face (give one number or more)")
    lasting: dict[str, Sequence[HotObjectFile | PictureFile | LensFile]] = {
        "hot_object": scenario.hot_object,
        "picture": scenario.picture,
        "lens": scenario.lens,
    }
    problems += [
        f"{table}[{index}].until_s: is not after from_s: it would never be there (make it later)"
        for table, items in lasting.items()
        for index, item in enumerate(items)
        if item.from_s >= item.until_s
    ]
    problems += [*lens_problems(scenario.lens), *prop_problems(scenario.prop)]
    try:
        check_patrol(scenario.patrol)
    except ConfigError as error:
        problems += error.problems
    if scenario.patrol.drives and scenario.prop:
        problems.append(
            "patrol.drives: calibration targets are for a robot that stands (leave drives out, or [[prop]])"
        )
    if problems:
        raise ConfigError([f"{source}: {problem}" for problem in problems])


def check_against(scenario: Scenario, rig: Rig) -> None:
    """Raises ConfigError for faults, lenses and targets of devices that the rig does not have: they would happen to nobody, without a word."""
    cameras = [optic.name for optic in rig.cameras]
    devices = [THERMAL, POSITION, ALL_CAMERAS, *cameras]
    problems = [
        f"{scenario.name}: fault[{index}].device: the rig has no {table['device']!r} ({did_you_mean(table['device'], devices)})"
        for index, table in enumerate(scenario.fault)
        if table["device"] not in devices
    ]
    problems += [
        f"{scenario.name}: lens[{index}].device: the rig has no camera {lens.device!r} ({did_you_mean(lens.device, [ALL_CAMERAS, *cameras])})"
        for index, lens in enumerate(scenario.lens)
        if lens.device not in (ALL_CAMERAS, *cameras)
    ]
    lenses = [rig.thermal.name, *cameras]
    problems += [
        f"{scenario.name}: prop[{index}].before: the rig has no lens {prop.before!r} ({did_you_mean(prop.before, lenses)})"
        for index, prop in enumerate(scenario.prop)
        if prop.before and prop.before not in lenses
    ]
    if problems:
        raise ConfigError(problems)


def thermal_faults(scenario: Scenario, seed: int) -> FaultPlan:
    """Returns what breaks in the thermal sensor and on its line; times count from the scenario's start."""
    tables = [_without_device(table) for table in scenario.fault if table["device"] == THERMAL]
    return FaultPlan.from_dicts(tables, seed)


def camera_faults(scenario: Scenario, camera: str) -> tuple[CameraFault, ...]:
    """Returns what breaks in that camera."""
    return tuple(
        msgspec.convert(table, CameraFault) for table in scenario.fault if table["device"] in (camera, ALL_CAMERAS)
    )


def position_faults(scenario: Scenario) -> tuple[PositionFault, ...]:
    """Returns what breaks in what tells the robot its position."""
    return tuple(msgspec.convert(table, PositionFault) for table in scenario.fault if table["device"] == POSITION)


def _faults_problems(tables: dict[str, Any]) -> list[str]:
    faults = tables.get("fault", [])
    if not isinstance(faults, list):
        return []
    return [
        problem
        for index, table in enumerate(faults)
        if isinstance(table, dict)
        for problem in _fault_problems(index, table)
    ]


def _fault_problems(index: int, table: dict[str, Any]) -> list[str]:
    at = f"fault[{index}]"
    device = table.get("device")
    if not isinstance(device, str):
        return [f'{at}.device: missing or no text (name "thermal", "position", a camera, or "cameras")']
    if device == POSITION:
        return problems_of(table, PositionFault, at)
    if device != THERMAL:
        if str(table.get("kind")) in KINDS:
            return [f'{at}.device: {table["kind"]!r} breaks no camera (write "thermal" instead of {device!r})']
        return problems_of(table, CameraFault, at)
    try:
        FaultPlan.from_dicts([_without_device(table)])
    except ConfigError as error:
        return [problem.replace("faults[0]", at, 1) for problem in error.problems]
    return []


def _without_device(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "device"}
