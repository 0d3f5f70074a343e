"""What the documents say can be typed: commands, targets, options, keys and files exist; examples of files are accepted."""

from __future__ import annotations

import argparse
import dataclasses
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import msgspec
import pytest

import calibration.__main__
import robot.__main__
import simulators.arguments
from calibration.files import (
    Calibration,
    OpticCalibration,
    RadiometryCalibration,
    ReferenceCalibration,
    SiteBlend,
    SiteOffset,
)
from robot import config, events
from robot.web import FILES, SOCKETS
from simulators import faults, scenario
from simulators.rig import load_rig
from simulators.scene import Scene
from simulators.score import Score
from simulators.truth import observe

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "systemd" / "README.md"]
PARSERS = {
    "patrol": robot.__main__._parser(),
    "patrol-calibrate": calibration.__main__._parser(),
    "patrol-sim": simulators.arguments.parser(),
}

document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z][a-z-]*):", text("Makefile")))


def in_code(markdown: str) -> str:
    """Blocks and spans of code, where commands stand; one broken with a backslash is one line, and each of several on a line has its own."""
    pieces = re.findall(r"(?s)```\w*\n(.*?)```|`([^`\n]+)`", markdown)
    return "\n".join(block or span for block, span in pieces).replace("\\\n", " ").replace(" && ", "\n")


@document
def test_commands_and_their_options_exist(path: Path) -> None:
    code = in_code(path.read_text(encoding="utf-8"))
    for program, name, rest in re.findall(
        r"(?m)(?:^|[\s/])(?<!-[gou] )(patrol(?:-sim|-calibrate)?) ([a-z][a-z-]*)(.*)$", code
    ):
        known = subcommands(PARSERS[program])
        assert name in known, f"{program} {name}"
        options = {option for action in known[name]._actions for option in action.option_strings}
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)) <= options, f"{program} {name} {rest}"


@document
def test_make_targets_exist(path: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", in_code(path.read_text(encoding="utf-8"))))
    assert named <= targets()


@document
def test_files_that_are_named_exist(path: Path) -> None:
    body = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", body):
        assert link.startswith("http") or (path.parent / link).exists(), link
    for name in re.findall(
        r"(?<![\w/.~-])((?:configs|docs|systemd|models|robot|simulators|calibration)/[\w./-]+\.\w+)", body
    ):
        assert (ROOT / name).exists(), name


def test_every_file_of_the_robot_is_on_the_map() -> None:
    named = re.findall(r"`([\w*]+\.py)`", text("docs/architecture.md").split("### The rest")[0])
    files = {path.name for path in (ROOT / "robot").glob("*.py")} - {"__init__.py"}
    assert not {name for name in files if not any(fnmatch(name, pattern) for pattern in named)}


def test_every_module_that_says_it_is_pure_is_held_to_it() -> None:
    held = text("setup.cfg").split("[importlinter:contract:pure-modules]")[1].split("forbidden_modules")[0].split()
    pure = [path for path in (ROOT / "robot").rglob("*.py") if path.read_text(encoding="utf-8").startswith('"""[P]')]
    assert pure and not {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in pure} - set(held)


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            links = re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8"))
            ahead += [(page.parent / link).resolve() for link in links]
    assert not {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path not in reached}


def test_the_first_screen_has_the_two_commands() -> None:
    first = text("README.md").split("\n## ")[0]
    assert "make run" in first and "make test" in first and "http://127.0.0.1:8765/" in first
    assert config.StreamSettings().port == 8765


def test_every_command_is_in_the_readme() -> None:
    listed = text("README.md")
    for program, parser in PARSERS.items():
        for name in subcommands(parser):
            assert re.search(rf"`{program} {name}\b|`{name}`", listed), f"{program} {name}"


def test_the_trial_s_settings_are_accepted() -> None:
    (block,) = re.findall(r"(?s)```toml\n(.*?)```", text("README.md"))
    settings = config.parse(tomllib.loads(block), Path("/trial"))
    assert settings.cameras[0].name == "desk" and not settings.reference.required


def test_scenario_keys_and_faults_are_documented() -> None:
    page = text("docs/simulators.md")
    kinds = (
        scenario.Scenario,
        scenario.CrowdFile,
        scenario.PhysiologyFile,
        scenario.PersonFile,
        scenario.HotObjectFile,
    )
    for kind in kinds:
        for field in kind.__struct_fields__:
            assert f"`{field}`" in page or f"{field}]" in page, f"{kind.__name__}.{field}"
    for name, fault in faults.KINDS.items():
        (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
        for field in dataclasses.fields(fault):
            if field.name not in ("at_s", "for_s", "probability"):
                default = field.default
                spelled = (
                    "true" if default is True else "false" if default is False else f"{default:g}" if default else ""
                )
                assert f"`{field.name}`" in row and (name in ("torn", "unplug") or f"({spelled})" in row), row
    for field in Score.__struct_fields__:
        assert f"`{field}`" in page or field in ("scenario", "seed"), field
    (example,) = re.findall(r"(?s)```toml\n(.*?)```", page)
    shown = scenario.parse_scenario(example)
    rig = load_rig(shown.rig)
    assert [sample.measurable for sample in observe(Scene(shown, shown.seed, rig).at(5.0), rig)] == [True]


def test_calibration_keys_are_documented() -> None:
    page = text("docs/calibration.md")
    for kind in (Calibration, OpticCalibration, RadiometryCalibration, ReferenceCalibration, SiteOffset, SiteBlend):
        for field in kind.__struct_fields__:
            assert f"`{field}`" in page, f"{kind.__name__}.{field}"


def test_event_types_and_paths_are_documented() -> None:
    page = text("docs/events.md")
    for envelope in msgspec.inspect.type_info(events.Event).types:  # type: ignore[attr-defined]
        assert f"`{envelope.tag}`" in page
    for path in (*SOCKETS, "/healthz", "/metrics", "/schema.json"):
        assert f"`{path}" in page, path
    assert FILES["/"]


def test_the_wording_is_the_agreed_one() -> None:
    page = text("README.md")
    assert "elevated body-temperature estimate" in page and "7.5 %" in page


def test_every_reason_and_warning_is_found_by_its_symptom() -> None:
    from robot.texts import UNAVAILABLE, WARNINGS
    from robot.types import Reason

    page = (ROOT / "docs/fault-finding.md").read_text(encoding="utf-8")
    shed = {code for code in WARNINGS if code.startswith("detail_shed_")}
    missing = [code for code in (*UNAVAILABLE, *WARNINGS, *map(str, Reason)) if f"`{code}`" not in page]
    assert set(missing) <= shed and "`detail_shed_…`" in page, missing
