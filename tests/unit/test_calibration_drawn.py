"""Any numbers in a sealed calibration: they are refused by name, or the pipeline runs with them and what it says is finite."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pipeline_run import FEBRILE_C, Run, person
from small_station import calibration

from calibration import files
from calibration.files import Calibration, Conditions, PointSpread, SiteBlend
from robot.errors import CalibrationError

Place = tuple[str | int, ...]

WHOLE = msgspec.to_builtins(
    calibration(
        radiometry=msgspec.structs.replace(
            calibration().radiometry, dead_pixels=[(5, 6)], point_spread=PointSpread(0.6, 0.05)
        ),
        site_blends=[SiteBlend({"canthi": 0.5, "forehead": 0.5}, 1.5, 0.0, 23.0, 0.15, peaks=["canthi"])],
        conditions=Conditions(23.0, 0.5),
    )
)
"""A calibration with a value in every field that the robot calculates with."""


def numbers(within: Any, at: Place = ()) -> Iterator[Place]:
    """Yields where numbers are."""
    items = (
        within.items() if isinstance(within, dict) else enumerate(within) if isinstance(within, list | tuple) else ()
    )
    for key, value in items:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*at, key)
        yield from numbers(value, (*at, key))


PLACES = list(numbers(WHOLE))
NAMES = {str(next(key for key in reversed(place) if isinstance(key, str))) for place in PLACES}
"""Of fields that hold numbers."""


def changed(changes: dict[Place, float]) -> dict[str, Any]:
    """Returns `WHOLE` with other numbers in those places."""
    content: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(WHOLE)))
    for place, value in changes.items():
        here: Any = content
        for key in place[:-1]:
            here = here[key]
        here[place[-1]] = value
    return content


def loaded(content: dict[str, Any]) -> Calibration:
    """Returns what the robot makes of a file with this content and a right seal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.json"
        sealed = {"schema": files.SCHEMA, "sha256": files._digest(content), "content": content}
        path.write_text(json.dumps(sealed))
        return files.load(path)


def worked_with(known: Calibration) -> list[float]:
    """Returns every number of what a few seconds before a febrile person brought."""
    run = Run(lambda t_s: [person(FEBRILE_C)], known=known)
    run.run(3.0)
    told = [msgspec.to_builtins(placed.verdict.reading) for placed in run.verdicts if placed.verdict.reading]
    return [value for one in told for value in _values(one)]


def _values(told: Any) -> Iterator[float]:
    for place in numbers(told):
        here = told
        for key in place:
            here = here[key]
        yield here


WILD = st.sampled_from([0, -1, 1, 1e-300, 1e-9, 1e-3, 1e3, 1e4, 1e5, 1e9, -1e9, 1e154, 1e300, -1e300]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TIMES = st.sampled_from([-1.0, 0.0, 0.01, 0.1, 0.5, 2.0, 5.0, 10.0, 100.0])


@given(st.data())
@hypothesis_settings(deadline=None, max_examples=80)
def test_any_number_is_refused_by_name_or_works(data: st.DataObject) -> None:
    places = data.draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True))
    changes: dict[Place, float] = {}
    for place in places:
        value: Any = WHOLE
        for key in place:
            value = value[key]
        drawn = data.draw(WILD | TIMES.map(lambda times, value=value: value * times))
        changes[place] = int(drawn) if isinstance(value, int) and abs(drawn) < 1e18 else drawn
    try:
        known = loaded(changed(changes))
    except CalibrationError as error:
        assert any(name in str(error) for name in NAMES), error
        assert "again" in str(error), error
        return
    assert all(map(math.isfinite, worked_with(known)))
