"""The commented examples in configs/: they load, they name every key there is, and what they call a default is one."""

from __future__ import annotations

import hashlib
import itertools
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from calibration.__main__ import main as calibrate
from robot import config
from robot.__main__ import main as patrol
from robot.config import CameraSettings, Settings

CONFIGS = Path(__file__).parents[2] / "configs"
SHORT = "jetson"
"""Names only what is different from the Pi's."""
EXAMPLES = sorted(path for path in CONFIGS.glob("*.toml") if path.stem != SHORT)
BY_SITUATION = {"face_px_min": 10.0, "reflected_c": 23.0}
"""Without a fixed default: what takes their place under the example's other settings."""

example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def uncommented(path: Path) -> dict[str, Any]:
    """The file with every key in use, also those that stand there as defaults."""
    return tomllib.loads(re.sub(r"(?m)^#(?=\w+ = )", "", path.read_text(encoding="utf-8")))


def defaults_named(path: Path) -> list[tuple[str, str, Any]]:
    """Section, key and value of every line that stands for a default."""
    section, found = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[+(\w+)\]+", line):
            section = header[1]
        elif key := re.fullmatch(r"#(\w+) = (.*)", line):
            found.append((section, key[1], tomllib.loads(f"x = {key[2]}")["x"]))
    return found


def section_types() -> dict[str, type[msgspec.Struct]]:
    hints = typing.get_type_hints(Settings)
    return {name: CameraSettings if name == "cameras" else kind for name, kind in hints.items()}


def test_all_are_there() -> None:
    assert [path.stem for path in sorted(CONFIGS.glob("*.toml"))] == [SHORT, "raspberry-pi", "simulation"]


@example
def test_it_loads_as_it_is_and_with_every_default_written_out(path: Path) -> None:
    settings = config.load(path)
    assert len(settings.cameras) == 5
    config.parse(uncommented(path), path.parent)


@example
def test_it_names_every_key_and_no_other(path: Path) -> None:
    table = uncommented(path)
    table["cameras"] = table["cameras"][0]
    assert {section: set(keys) for section, keys in table.items()} == {
        section: set(kind.__struct_fields__) for section, kind in section_types().items()
    }


@example
def test_what_stands_there_as_a_default_is_one(path: Path) -> None:
    named = defaults_named(path)
    assert len(named) >= 40
    for section, key, value in named:
        (field,) = (field for field in msgspec.structs.fields(section_types()[section]) if field.name == key)
        default = BY_SITUATION.get(key, field.default)
        assert value == (list(default) if isinstance(default, tuple) else default), f"{section}.{key}"


@example
def test_every_key_is_explained_above_where_it_first_stands(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    explained_together = {"name", "address", "tls_key"}
    seen: set[str] = set()
    for before, line in itertools.pairwise(lines):
        key = re.match(r"#?(\w+) = ", line)
        if key and key[1] not in seen | explained_together:
            assert before.startswith("# "), f"{line}: needs a word"
        if key:
            seen.add(key[1])


@example
def test_ranges_that_are_named_are_those_of_the_settings(path: Path) -> None:
    number = r"(-?\d+(?:\.\d+)?)"
    section, comment, held = "", "", 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[+(\w+)\]+", line):
            section = header[1]
        elif key := re.match(r"#?(\w+) = ", line):
            fields = msgspec.inspect.type_info(section_types()[section]).fields  # type: ignore[attr-defined]
            (kind,) = (field.type for field in fields if field.encode_name == key[1])
            named = [(float(low), float(high)) for low, high in re.findall(rf"{number} to {number}", comment)]
            most = [float(high) for high in re.findall(rf"{number} at most", comment)]
            if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
                assert not named or (kind.ge, kind.le) in named, f"{section}.{key[1]}: {named}"
                assert not most or kind.le in most, f"{section}.{key[1]}: {most}"
                held += bool(named or most)
        comment = f"{comment} {line[2:]}" if line.startswith("# ") else ""
    assert held >= 20


@pytest.mark.parametrize("name", ["raspberry-pi", SHORT])
def test_a_robots_example_passes_check_config_with_a_calibration_made_on_the_spot(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "robot.toml"
    path.write_text((CONFIGS / f"{name}.toml").read_text(encoding="utf-8"), encoding="utf-8")
    token = hashlib.sha256(b"a token").hexdigest()
    (tmp_path / "tokens.toml").write_text(f'[[token]]\nname = "duty desk"\nrole = "operator"\nsha256 = "{token}"\n')
    yaws = {"front": 0, "left": 72, "right": -72, "rear_left": 144, "rear_right": -144}
    arguments = [
        "nominal",
        "--out",
        str(tmp_path / "calibration.json"),
        "--robot",
        "patrol-1",
        "--thermal",
        "mi1602:0:22",
    ]
    for camera, yaw_deg in yaws.items():
        arguments += ["--camera", f"{camera}:1280x720:76:{yaw_deg}:20"]
    assert calibrate([*arguments, "--reference", "146,106,10,10:36.5"]) == 0
    assert patrol(["check-config", str(path)]) == 0
    assert "5 cameras" in capsys.readouterr().out


def test_the_simulation_example_is_what_the_simulator_offers() -> None:
    """Names and paths as `patrol-sim run` with the arguments in the file's head would have them."""
    from simulators.rig import load_rig

    text = (CONFIGS / "simulation.toml").read_text(encoding="utf-8")
    assert "--port 8800 --thermal-link build/sim/thermal --config build/sim" in text
    settings = config.load(CONFIGS / "simulation.toml")
    names = [camera.name for camera in load_rig().cameras]
    assert [camera.address for camera in settings.cameras] == [f"http://127.0.0.1:8800/{n}.mjpg" for n in names]
    assert [camera.name for camera in settings.cameras] == names
    assert settings.thermal.address == "senxor:build/sim/thermal"
    assert Path(settings.calibration.file).resolve() == CONFIGS.parent / "build" / "sim" / "calibration.json"
