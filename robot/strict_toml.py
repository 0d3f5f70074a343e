"""TOML text becomes a typed, frozen settings object, or the full list of what is wrong with it.

msgspec stops at the first error; people want all of them at once. So tables are walked here field by field, and each
value is converted by msgspec alone.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from robot.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)


def read_table(path: Path) -> dict[str, Any]:
    """Returns the parsed TOML of `path`; raises ConfigError with the line of a syntax error."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def convert(table: dict[str, Any], kind: type[T], source: str = "") -> T:
    """Returns `table` as `kind`; raises ConfigError naming every wrong, missing and unknown key by its path."""
    problems: list[str] = []
    _check_struct(table, kind, source, problems)
    if problems:
        raise ConfigError(problems)
    return msgspec.convert(table, kind)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """Returns ` (did you mean 'x'?)` for the nearest known word, or the known words when none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.55)
    return f" (did you mean '{near[0]}'?)" if near else f" (known: {', '.join(names)})"


def _check_struct(table: Any, kind: type[msgspec.Struct], path: str, problems: list[str]) -> None:
    if not isinstance(table, dict):
        problems.append(f"{path}: expected a table, got {type(table).__name__}")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems.extend(f"{_join(path, key)}: unknown key{did_you_mean(key, fields)}" for key in table if key not in fields)
    for name, field in fields.items():
        here = _join(path, name)
        if name not in table:
            if field.required:
                problems.append(f"{here}: is missing")
            continue
        _check_value(table[name], field.type, here, problems)


def _check_value(value: Any, expected: Any, path: str, problems: list[str]) -> None:
    struct, in_list = _struct_within(expected)
    before = len(problems)
    if struct is not None and in_list and isinstance(value, list):
        for index, entry in enumerate(value):
            _check_struct(entry, struct, f"{path}[{index}]", problems)
    elif struct is not None and not in_list and value is not None:
        _check_struct(value, struct, path, problems)
    if len(problems) > before:
        return
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        text = str(error).replace("Object contains", "contains")
        problems.append(f"{path}: {text[:1].lower()}{text[1:]} (got {value!r})")


def _struct_within(expected: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """Returns the Struct that a type names, alone, optional or as items of a list or tuple, and whether it is the items'."""
    origin = typing.get_origin(expected)
    if origin is typing.Annotated:
        return _struct_within(typing.get_args(expected)[0])
    if origin in (list, tuple):
        struct, _ = _struct_within(typing.get_args(expected)[0])
        return struct, True
    if origin in (typing.Union, types.UnionType):
        for part in typing.get_args(expected):
            struct, in_list = _struct_within(part)
            if struct is not None:
                return struct, in_list
    if isinstance(expected, type) and issubclass(expected, msgspec.Struct):
        return expected, False
    return None, False
