"""A TOML file becomes a frozen msgspec value, or one ConfigError that lists everything wrong with it.

msgspec itself stops at the first fault; a technician who edits a file wants all of them at once, so the tables are
walked field by field here and only the leaves are left to msgspec.
"""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from robot.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)
Check = Callable[[dict[str, Any]], list[str]]


def load(path: Path, kind: type[T], also: Check | None = None) -> T:
    """Returns the file's content as `kind`; raises ConfigError with every problem (`file: path: what (what to do)`).

    `also` looks at the raw tables for problems that the types cannot tell.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error} (name an existing UTF-8 file)") from error
    return parse(text, kind, str(path), also)


def parse(text: str, kind: type[T], source: str, also: Check | None = None) -> T:
    """Like `load`, from text; `source` names it in the problems."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: is not valid TOML: {error} (mend the line named)") from error
    problems = problems_of(tables, kind) + (also(tables) if also else [])
    if not problems:
        try:
            return msgspec.convert(tables, kind, strict=True)
        except msgspec.ValidationError as error:
            problems.append(str(error))
    raise ConfigError([f"{source}: {problem}" for problem in problems])


def problems_of(table: dict[str, Any], kind: type[msgspec.Struct], at: str = "") -> list[str]:
    """Returns everything that keeps the table from being a `kind`; `at` goes before each key."""
    problems: list[str] = []
    _walk(table, kind, at, problems)
    return problems


def resolve(name: str, folder: Path, noun: str) -> Path:
    """Returns the file meant by a bare name (`folder`/name.toml) or by a path; raises ConfigError naming the choices."""
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        if path.is_file():
            return path
        raise ConfigError(f"{noun} file {name}: not found (check the path, or give one of the built-in names)")
    path = folder / f"{name}.toml"
    if path.is_file():
        return path
    known = names(folder)
    raise ConfigError(
        f"{noun} {name!r}: unknown{_suggest(name, known)} (one of: {', '.join(known)}; or a path to a .toml)"
    )


def names(folder: Path) -> list[str]:
    """Returns the built-in names in alphabetical order."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def _walk(table: dict[str, Any], kind: type[msgspec.Struct], at: str, problems: list[str]) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems.extend(
        f"{at}{key}: unknown key{_suggest(key, list(fields))} (remove or rename it)"
        for key in table
        if key not in fields
    )
    for name, field in fields.items():
        if name not in table:
            if field.required:
                problems.append(f"{at}{name}: missing (add it)")
            continue
        _field(table[name], field.type, f"{at}{name}", problems)


def _field(value: Any, kind: Any, at: str, problems: list[str]) -> None:
    item = _element_struct(kind)
    if _is_struct(kind) and isinstance(value, dict):
        _walk(value, kind, f"{at}.", problems)
    elif item is not None and isinstance(value, list):
        for index, element in enumerate(value):
            if isinstance(element, dict):
                _walk(element, item, f"{at}[{index}].", problems)
            else:
                problems.append(f"{at}[{index}]: expected a table, got {type(element).__name__}")
    else:
        try:
            msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError as error:
            text = str(error).replace(" - at `$", f" in element `{at}")
            problems.append(f"{at}: {text[:1].lower()}{text[1:]} (it is {value!r})")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _element_struct(kind: Any) -> type[msgspec.Struct] | None:
    """The struct inside tuple[Struct, ...], or None."""
    arguments = typing.get_args(kind)
    if (
        typing.get_origin(kind) is tuple
        and len(arguments) == 2
        and arguments[1] is Ellipsis
        and _is_struct(arguments[0])
    ):
        return typing.cast("type[msgspec.Struct]", arguments[0])
    return None


def _suggest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f", did you mean {near[0]!r}?" if near else ""
