"""Strict reading: every problem at once, each with its path and what to do; nothing but ConfigError ever comes out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from robot.config import Settings
from robot.errors import ConfigError
from robot.strict_toml import convert, did_you_mean, is_known, parse_table, problems_of, read_table, salvaged


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    weight: Annotated[float, Meta(gt=0)] = 1.0


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: Literal["slow", "fast"] = "slow"
    token: str = ""


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1, le=9)]
    inner: Inner = Inner()
    maybe: Inner | None = None
    items: Annotated[tuple[Item, ...], Meta(max_length=3)] = ()
    path: tuple[tuple[float, float], ...] = ()
    ratio: float = 0.5


def problems(table: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        convert(table, Outer)
    return caught.value.problems


def test_right_tables_become_the_struct() -> None:
    table = {"count": 3, "inner": {"mode": "fast"}, "maybe": {}, "items": [{"name": "a"}], "path": [[1, 2.5]]}
    assert convert(table, Outer) == Outer(3, Inner("fast"), Inner(), (Item("a"),), ((1.0, 2.5),))


def test_every_problem_at_once_with_its_path() -> None:
    found = problems(
        {
            "cuont": 3,
            "inner": {"mode": "fats"},
            "maybe": {"modes": 1},
            "items": [{"name": 1}, {"weight": 0}, "x"],
            "path": [[1, 2], [3, "4"]],
            "ratio": True,
        }
    )
    paths = [problem.split(": ")[0] for problem in found]
    assert sorted(paths) == sorted(
        [
            "cuont",
            "count",
            "inner.mode",
            "maybe.modes",
            "items[0].name",
            "items[1].name",
            "items[1].weight",
            "items[2]",
            "path[1][1]",
            "ratio",
        ]
    )
    joined = "\n".join(found)
    assert "did you mean 'count'?" in joined and "did you mean 'fast'?" in joined and "did you mean 'mode'?" in joined
    assert "count: is missing (add it)" in found


def test_each_problem_says_what_to_do_or_what_is_there() -> None:
    for problem in problems({"x": 1, "inner": 3, "items": {}, "ratio": "1"}):
        assert re.search(r"\(.+\)$", problem), problem


def test_a_list_that_is_too_long_is_told() -> None:
    assert problems({"count": 1, "items": [{"name": "a"}] * 4})[0].startswith("items: expected a list of length <= 3")


def test_types_and_patterns_are_told_in_words() -> None:
    wrong = parse_table(
        '[robot]\nname = "gate 7"\n[thermal]\naddress = 7\nrate_hz = "8"\n[indicator]\nnight = ["25:00", "06:00"]', "x"
    )
    found = {problem.partition(": ")[0]: problem for problem in problems_of(wrong, Settings)}
    assert found["robot.name"].endswith("begins with a letter or digit (it is 'gate 7')")
    assert "expected text in quotes, got a whole number" in found["thermal.address"]
    assert "expected a number, got text in quotes (it is '8')" in found["thermal.rate_hz"]
    assert 'expected a time of day as "22:00"' in found["indicator.night[0]"]
    assert not [problem for problem in found.values() if "regex" in problem or "`" in problem]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
def test_only_finite_numbers(number: str) -> None:
    found = problems(parse_table(f"count = 1\nratio = {number}\npath = [[0, {number}]]", "x"))
    assert len(found) == 2 and all("finite" in problem for problem in found)


def test_huge_whole_numbers_are_refused_not_stumbled_over() -> None:
    assert problems({"count": 10**5000})[0].endswith("(it is a huge number)")
    assert len(problems({"count": 1, "ratio": 10**400})) == 1


def test_long_values_are_cut_and_secrets_are_not_repeated() -> None:
    assert len(problems({"count": "y" * 1000})[0]) < 200
    for table in ({"token": 12345678}, {"token": ["12345678"]}):
        (problem,) = problems({"count": 1, "inner": table})
        assert problem.startswith("inner.token: ") and "12345678" not in problem


def test_what_is_right_in_a_wrong_table_is_kept_and_the_rest_named() -> None:
    table = {
        "count": 12,
        "inner": {"mode": "fats", "token": "t"},
        "maybe": 3,
        "items": [{"name": "a", "weight": -1}, {"nmae": "b"}, "x", {"name": "d", "weight": 2}],
        "path": [[1, 2], [3]],
        "rati": 1,
    }
    found, wrong = salvaged(table, Outer)
    assert found.inner == Inner("slow", "t") and found.maybe == Inner()
    assert found.items == (Item("a"), Item(""), Item(""), Item("d", 2.0))
    assert (found.path, found.ratio) == ((), 0.5)
    assert wrong == {
        "count",
        "inner.mode",
        "maybe",
        "items[0].weight",
        "items[1].name",
        "items[2]",
        "items[2].name",
        "path",
        "ratio",  # "rati" is likely to mean it
    }


def test_what_cannot_be_used_is_no_part_of_what_is_right() -> None:
    table = {"count": 1, "inner": {"token": "no file"}}
    assert salvaged(table, Outer) == (convert(table, Outer), frozenset())
    found, wrong = salvaged(table, Outer, ["inner.token"])
    assert found.inner.token == "" and wrong == {"inner.token"}


def test_a_key_is_known_unless_it_or_a_table_around_it_is_wrong() -> None:
    wrong = ["inner", "items[1]", "count"]
    assert not any(is_known(path, wrong) for path in ("inner", "inner.mode", "items[1].name", "count"))
    assert all(is_known(path, wrong) for path in ("inner2", "items", "items[0].name", "items[10].name", "counts"))


def test_a_source_goes_before_every_problem_and_other_checks_join_in() -> None:
    with pytest.raises(ConfigError) as caught:
        convert({}, Outer, "robot.toml", lambda table: ["a and b: contradict each other"])
    assert caught.value.problems == [
        "robot.toml: count: is missing (add it)",
        "robot.toml: a and b: contradict each other",
    ]
    assert problems_of({"name": "a", "wieght": 1}, Item, "items[7]")[0].startswith("items[7].wieght: ")


def test_errors_of_the_struct_itself_are_problems_too() -> None:
    class Picky(msgspec.Struct):
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    with pytest.raises(ConfigError, match="low is above high"):
        convert({"low": 2, "high": 1}, Picky)


def test_suggestions_name_the_nearest_or_all() -> None:
    assert did_you_mean("treshold", ["threshold", "policy"]) == "did you mean 'threshold'?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"count = \n", "not valid TOML.*line 1"),
        (b"a = 1\na = 2\n", "not valid TOML.*line 2"),
        (b"name = '\xff'", "not UTF-8 text from byte 8"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"a = 2026-02-31", "not valid TOML"),
    ],
)
def test_files_that_are_no_toml(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "robot.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfname = 'x'\n", b"name = 'x'\r\n"])
def test_what_editors_on_windows_write_is_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    assert read_table(tmp_path / "x.toml") == {"name": "x"}


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            read_table(path)
        assert str(path) in str(caught.value)


junk = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.datetimes(), st.dates(), st.times()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["count", "inner", "maybe", "items", "path", "ratio", "name", "mode", "token", ""])


@given(st.dictionaries(KEYS, junk | st.dictionaries(KEYS, junk) | st.lists(st.dictionaries(KEYS, junk))))
def test_junk_gives_a_value_or_a_config_error(table: dict[str, Any]) -> None:
    try:
        value = convert(table, Outer)
    except ConfigError as error:
        assert error.problems and all(": " in problem for problem in error.problems)
    else:
        assert 1 <= value.count <= 9


@given(st.text(max_size=60))
def test_any_text_is_a_table_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(parse_table(text, "x"), dict)
    except ConfigError as error:
        assert str(error).startswith("x: ")
