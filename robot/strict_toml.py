"""TOML text becomes a typed, frozen settings object, or the full list of what is wrong with it.

msgspec stops at the first error; people want all of them at once. So tables are walked here field by field, and each
value is converted by msgspec alone. A problem reads `path: what is wrong (what to do)`.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from robot.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)
Check = Callable[[dict[str, Any]], list[str]]

_SECRET = re.compile(r"(^|[._])(token|password|secret|sha256)$")
"""Last keys of a path whose values are never repeated in a problem."""
_SHOWN_CHARS = 60
_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
}
"""What people call the types that msgspec names."""
_DEEPER = re.compile(r" - at `\$(?P<rest>.*)`$")


def read_table(path: Path) -> dict[str, Any]:
    """Returns the parsed TOML of `path`; raises ConfigError if it cannot be read, or with the line of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows may put a byte order mark before it
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror} (name an existing file)") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text from byte {error.start} on (save it as UTF-8)") from error
    return parse_table(text, str(path))


def parse_table(text: str, source: str) -> dict[str, Any]:
    """Returns the parsed TOML text; raises ConfigError, in which `source` names the text."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{source}: is nested too deeply (settings need four levels at most)") from error
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        raise ConfigError(f"{source}: is not valid TOML: {error} (mend the place named)") from error


def convert(table: dict[str, Any], kind: type[T], source: str = "", also: Check | None = None) -> T:
    """Returns `table` as `kind`; raises ConfigError naming every wrong, missing and unknown key by its path.

    `source` goes before each problem where it is given; `also` looks at the raw table for what types cannot tell.
    """
    problems = problems_of(table, kind) + (also(table) if also else [])
    if not problems:
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            problems.append(str(error))
    raise ConfigError([f"{source}: {problem}" for problem in problems] if source else problems)


def problems_of(table: dict[str, Any], kind: type[msgspec.Struct], at: str = "") -> list[str]:
    """Returns everything that keeps the table from being a `kind`; `at` is the table's own path."""
    problems: list[str] = []
    _check_struct(table, kind, at, problems)
    return problems


def salvaged(table: dict[str, Any], kind: type[T], unusable: Iterable[str] = ()) -> tuple[T, frozenset[str]]:
    """Returns `table` as a `kind` in which everything that is wrong, or `unusable` (paths), has its default, and the paths of that.

    What has no default is an empty text or list instead. A key that was not there counts as wrong where an unknown one looks like it: it may be meant.
    """
    wrong = set(unusable)
    return _salvaged_struct(table, kind, "", wrong), frozenset(wrong)


def is_known(path: str, wrong: Iterable[str]) -> bool:
    """Returns whether neither the key at `path` nor a table around it is among the paths of what is wrong."""
    return not any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in wrong)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `did you mean 'x'?` for the nearest known word, or all known words when none is near."""
    names = sorted(known)
    near = _nearest(word, names)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"


def _nearest(word: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(word, names, n=1, cutoff=0.55)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _check_struct(table: Any, kind: type[msgspec.Struct], path: str, problems: list[str]) -> None:
    if not isinstance(table, dict):
        problems.append(f"{path}: expected a table, got {type(table).__name__} (write it with its keys)")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems.extend(
        f"{_join(path, key)}: unknown key (remove or rename it; {did_you_mean(key, fields)})"
        for key in table
        if key not in fields
    )
    for name, field in fields.items():
        here = _join(path, name)
        if name in table:
            _check_value(table[name], field.type, here, problems)
        elif field.required:
            problems.append(f"{here}: is missing (add it)")


def _salvaged_struct(table: Any, kind: type[T], path: str, wrong: set[str]) -> T:
    if not isinstance(table, dict):
        wrong.add(path)
        table = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    missing = sorted(fields.keys() - table.keys())
    wrong.update(_join(path, near) for key in table.keys() - fields.keys() for near in _nearest(key, missing))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        here = _join(path, name)
        if name not in table and not field.required:
            continue
        found = _salvaged_value(table.get(name, msgspec.UNSET), field.type, here, wrong)
        if found is not msgspec.UNSET:
            values[field.name] = found
        elif field.required:
            values[field.name] = () if _struct_within(field.type)[1] else ""
    return kind(**values)


def _salvaged_value(value: Any, expected: Any, path: str, wrong: set[str]) -> Any:
    """Returns the value as its type wants it, without what is wrong in it; UNSET where nothing is left of it."""
    struct, in_list = _struct_within(expected)
    if struct is not None and in_list and isinstance(value, list):
        return tuple(_salvaged_struct(entry, struct, f"{path}[{index}]", wrong) for index, entry in enumerate(value))
    if struct is not None and not in_list:
        return _salvaged_struct(value, struct, path, wrong)
    problems: list[str] = []
    if value is not msgspec.UNSET and is_known(path, wrong):
        _check_value(value, expected, path, problems)
        if not problems:
            return msgspec.convert(value, expected)
    wrong.add(path)
    return msgspec.UNSET


def _check_value(value: Any, expected: Any, path: str, problems: list[str]) -> None:
    struct, in_list = _struct_within(expected)
    before = len(problems)
    if struct is not None and in_list and isinstance(value, list):
        for index, entry in enumerate(value):
            _check_struct(entry, struct, f"{path}[{index}]", problems)
    elif isinstance(value, dict) and (entries := _entries_of(expected)) is not None:
        for key, entry in value.items():
            _check_value(entry, entries, _join(path, key), problems)
    elif struct is not None and not in_list and value is not None:
        _check_struct(value, struct, path, problems)
    if len(problems) == before:
        _check_leaf(value, expected, path, problems)


def _check_leaf(value: Any, expected: Any, path: str, problems: list[str]) -> None:
    if not _finite(value):
        problems.append(f"{path}: is not a finite number (it is {_shown(value, path)}; write a number)")
        return
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        text = str(error)
        deeper = _DEEPER.search(text)
        where = path + (deeper["rest"] if deeper else "")
        text = _DEEPER.sub("", text)
        choices = _choices(expected)
        if choices and isinstance(value, str):
            hint = did_you_mean(value, choices)  # or all of them, which are named already
            text = f"expected one of {', '.join(map(repr, choices))}{f'; {hint}' if hint.endswith('?') else ''}"
        elif "matching regex" in text:
            text = f"expected {_pattern_in_words(expected) or 'other text'}"
        text = re.sub(r"`(\w+)`", lambda match: _WORDS.get(match[1], match[0]), text)
        problems.append(f"{where}: {text[:1].lower()}{text[1:]} (it is {_shown(value, path)})")


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(_finite(entry) for entry in value)
    return not isinstance(value, float) or math.isfinite(value)


def _shown(value: Any, path: str) -> str:
    if _SECRET.search(re.sub(r"\[\d+\]$", "", path)):
        return "not shown"
    if isinstance(value, int) and abs(value) > 10**20:
        return "a huge number"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits in a list, tables within tables without end
        return "too large to be shown"
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"


def _pattern_in_words(expected: Any) -> str:
    """Returns what the type says of the pattern that its text must match, its items' where it is a list."""
    for part in typing.get_args(expected):
        if isinstance(part, msgspec.Meta) and part.pattern is not None:
            return part.description or ""
        if found := _pattern_in_words(part):
            return found
    return ""


def _choices(expected: Any) -> tuple[str, ...]:
    """Returns the words that a Literal type allows; nothing for other types."""
    return typing.get_args(expected) if typing.get_origin(expected) is typing.Literal else ()


def _entries_of(expected: Any) -> Any:
    """Returns what a table with names of its own choice holds under each; None for all other types."""
    return typing.get_args(expected)[1] if typing.get_origin(expected) is dict else None


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
