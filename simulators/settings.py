"""Scenario and rig files: found by a built-in name or by a path, and read strictly.

What a file must look like is checked by robot/strict_toml.py, the one reader of settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from robot.errors import ConfigError
from robot.strict_toml import Check, convert, did_you_mean, parse_table, read_table

T = TypeVar("T", bound=msgspec.Struct)


def load(path: Path, kind: type[T], also: Check | None = None) -> T:
    """Returns the file's content as `kind`; raises ConfigError with every problem (`file: path: what (what to do)`).

    `also` looks at the raw tables for problems that the types cannot tell.
    """
    return convert(read_table(path), kind, str(path), also)


def parse(text: str, kind: type[T], source: str, also: Check | None = None) -> T:
    """Like `load`, from text; `source` names it in the problems."""
    return convert(parse_table(text, source), kind, source, also)


def resolve(name: str, folder: Path, noun: str) -> Path:
    """Returns the file meant by a bare name (`folder`/name.toml) or by a path; raises ConfigError naming the choices."""
    if is_path(name):
        path = Path(name)
        if path.is_file():
            return path
        raise ConfigError(f"{noun} file {name}: not found (check the path, or give one of the built-in names)")
    path = folder / f"{name}.toml"
    if path.is_file():
        return path
    raise ConfigError(
        f"{noun} {name!r}: unknown ({did_you_mean(name, names(folder))}; or give the path of a .toml file)"
    )


def is_path(name: str) -> bool:
    """Whether a path is meant, and not the name of something built in."""
    return name.endswith(".toml") or "/" in name


def names(folder: Path) -> list[str]:
    """Returns the built-in names in alphabetical order."""
    return sorted(path.stem for path in folder.glob("*.toml"))
