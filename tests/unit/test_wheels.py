"""systemd/wheels.py: whether a bundle is whole, weighed by the computer that it is for."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "systemd/wheels.py"
ROBOT = (
    "Provides-Extra: robot",
    'Requires-Dist: quick>=2; extra == "robot"',
    "Requires-Dist: old; python_version < '3.12'",
)


def load() -> object:
    spec = importlib.util.spec_from_file_location("wheels", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


wheels = load()


def wheel(folder: Path, name: str, *metadata: str) -> None:
    project, version = name.split("-")[:2]
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}", *metadata]
    with zipfile.ZipFile(folder / f"{name}.whl", "w") as archive:
        archive.writestr(f"{project}-{version}.dist-info/METADATA", "\n".join(lines))


@pytest.mark.parametrize(
    ("python", "given", "expected"),
    [
        ("3.13", ["quick-2.1-cp313-cp313-manylinux_2_28_aarch64"], []),
        ("3.13", ["quick-2.1-cp310-abi3-manylinux2014_aarch64"], []),
        ("3.13", ["quick-2.1-cp313-cp313-manylinux_2_28_x86_64"], ["not for this computer"]),
        ("3.13", ["quick-2.1-cp312-cp312-manylinux_2_28_aarch64"], ["not for this computer"]),
        ("3.13", ["quick-1.9-py3-none-any"], ["there is 1.9"]),
        ("3.13", [], ["quick>=2"]),
        ("3.11", ["quick-2.1-py3-none-any"], ["old"]),
        ("3.11", ["quick-2.1-py3-none-any", "old-1.0-py3-none-any"], []),
    ],
)
def test_what_is_missing_is_named(python: str, given: list[str], expected: list[str], tmp_path: Path) -> None:
    wheel(tmp_path, "patrol_robot-0.1.0-py3-none-any", *ROBOT)
    for name in given:
        wheel(tmp_path, name)
    said = wheels.missing(tmp_path, *wheels.target("aarch64", python))  # type: ignore[attr-defined]
    assert len(said) == len(expected) and all(words in line for words, line in zip(expected, said, strict=True)), said
