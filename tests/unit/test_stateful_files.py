"""Settings and calibrations under any editing: they load as what they say, or are refused in words; undone, they load as before."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import settings as checks
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from small_station import Eyes, S, calibration, camera_shot, settings, table, thermal_frame

from calibration import files
from robot import config
from robot.config import Settings
from robot.errors import CalibrationError, ConfigError
from robot.pipeline import Pipeline

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [0, -1, 1, 10**9, 2**63, 2**200, 0.0, -0.5, 1e-300, 1e300, 36.5, "", "x", "~nobody/x", "../x", "\0", "٣"]
    ),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.lists(st.floats(), max_size=4),
)
PLACES = st.lists(st.integers(0, 60), min_size=1, max_size=8)
FOLDER = tempfile.TemporaryDirectory(prefix="patrol-stateful-")


def holder(document: Any, places: list[int]) -> tuple[Any, Any] | None:
    """Returns a table or list somewhere in the document, and one of its keys; None where it is empty."""
    found: tuple[Any, Any] | None = None
    inner = document
    for place in places:
        keys = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else []
        if not keys:
            break
        found = (inner, keys[place % len(keys)])
        inner = inner[found[1]]
    return found


class Edited(RuleBasedStateMachine):
    """A document that somebody edits, key by key; after every edit it is read."""

    def fresh(self) -> Any:
        raise NotImplementedError

    def read(self, document: Any) -> Any:
        """Returns what the document loads as, None where it is refused in words."""
        raise NotImplementedError

    def plain(self, loaded: Any) -> Any:
        """Returns a document that says the same as what was loaded."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.original = self.fresh()
        self.document = copy.deepcopy(self.original)
        self.before: list[Any] = []
        self.first = self.read(self.original)
        assert self.first is not None

    def edited(self, change: Any) -> None:
        self.before.append(copy.deepcopy(self.document))
        change()
        loaded = self.read(self.document)
        if loaded is not None:
            assert self.read(self.plain(loaded)) == loaded, "written and read again it is another one"
        if self.as_it_was():
            assert loaded == self.first

    def as_it_was(self) -> bool:
        """Returns whether the document is the original one; False is not 0 here, and a key may have gone to the end."""
        return json.dumps(self.document, sort_keys=True) == json.dumps(self.original, sort_keys=True)

    @rule(places=PLACES, value=JUNK)
    def replace(self, places: list[int], value: Any) -> None:
        if (found := holder(self.document, places)) is not None:
            self.edited(lambda: found[0].__setitem__(found[1], value))

    @rule(places=PLACES)
    def remove(self, places: list[int]) -> None:
        if (found := holder(self.document, places)) is not None:
            self.edited(lambda: found[0].__delitem__(found[1]))

    @rule(places=PLACES, factor=st.sampled_from([-1.0, 0.5, 1.0, 1.0000001, 2.0, 10.0]))
    def scale(self, places: list[int], factor: float) -> None:
        found = holder(self.document, places)
        if found is not None and isinstance(found[0][found[1]], float):
            self.edited(lambda: found[0].__setitem__(found[1], found[0][found[1]] * factor))

    @rule(places=PLACES, name=st.sampled_from(["x", "", "upper_face", "front", "thermal", "name"]))
    def add(self, places: list[int], name: str) -> None:
        found = holder(self.document, places)
        if found is not None and isinstance(found[0], dict):
            self.edited(lambda: found[0].__setitem__(name, copy.deepcopy(found[0][found[1]])))
        elif found is not None:
            self.edited(lambda: found[0].append(copy.deepcopy(found[0][found[1]])))

    @precondition(lambda self: self.before)
    @rule()
    def undo(self) -> None:
        """People do not go on with what is refused."""
        self.document = self.before.pop()
        if self.as_it_was():
            assert self.read(self.document) == self.first


class EditedSettings(Edited):
    def fresh(self) -> Any:
        return table(
            screening={"threshold_c": 37.4, "ambient_window_c": [18.0, 30.0]}, stream={"port": 0}, alarm={"hold_s": 1.0}
        )

    def read(self, document: Any) -> Settings | None:
        try:
            return config.parse(copy.deepcopy(document), Path("/robot"))
        except ConfigError as error:
            assert error.problems and all(problem.strip() and len(problem) < 2000 for problem in error.problems)
            return None

    def plain(self, loaded: Settings) -> Any:
        document = msgspec.to_builtins(loaded)
        return json.loads(
            json.dumps(document), object_hook=lambda found: {k: v for k, v in found.items() if v is not None}
        )


class EditedCalibration(Edited):
    """Sealed anew after every edit: the digest keeps away accidents, not a technician with a tool."""

    def fresh(self) -> Any:
        return msgspec.to_builtins(calibration())

    def read(self, document: Any) -> files.Calibration | None:
        path = Path(FOLDER.name) / "calibration.json"
        try:
            seal = files._digest(document)
        except (OverflowError, ValueError):
            return None
        sealed = {"schema": files.SCHEMA, "sha256": seal, "content": document}
        path.write_bytes(msgspec.json.encode(sealed))
        try:
            return files.load(path)
        except CalibrationError as error:
            assert str(path) in str(error) and len(str(error)) < 2000
            return None

    def plain(self, loaded: files.Calibration) -> Any:
        return msgspec.to_builtins(loaded)


TestEditedSettings, TestEditedCalibration = EditedSettings.TestCase, EditedCalibration.TestCase
TestEditedSettings.settings = TestEditedCalibration.settings = checks(
    max_examples=80, stateful_step_count=20, deadline=None
)


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of the document, as the path that leads to it."""
    keys = (
        document if isinstance(document, dict) else range(len(document)) if isinstance(document, list | tuple) else ()
    )
    for key in keys:
        yield (*above, key)
        yield from places(document[key], (*above, key))


WHOLE = json.loads(msgspec.json.encode(calibration()))
PEOPLE = [(1.4, 0.0, 1.5, 36.9)]


@checks(max_examples=200, deadline=None)
@given(
    path=st.sampled_from(list(places(WHOLE))),
    value=st.sampled_from([None, 0, -1, 2**40, 0.5, 1e6, -1e6, "", "x", [], {}]),
)
@example(path=("thermal", "width_px"), value=2**40)
@example(path=("cameras", "front", "height_px"), value=2**40)
@example(path=("site",), value={})
@example(path=("radiometry", "size_of_source"), value={})
def test_what_is_accepted_can_be_worked_with(path: tuple[Any, ...], value: Any) -> None:
    """One value is wrong and the seal is right: the file is refused, or the robot works with it."""
    document = copy.deepcopy(WHOLE)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file = Path(FOLDER.name) / "one.json"
    file.write_bytes(
        msgspec.json.encode({"schema": files.SCHEMA, "sha256": files._digest(document), "content": document})
    )
    try:
        found = files.load(file)
    except CalibrationError as error:
        assert str(file) in str(error)
        return
    if not found.cameras:  # each camera of the settings must be in it, which is checked where both are known
        return
    pipeline = Pipeline(settings(), found, Eyes(lambda _: PEOPLE, calibration()), 0, lambda: "a")
    for now_ns in range(0, S, S // 4):
        pipeline.step([camera_shot(now_ns)], [thermal_frame(now_ns, PEOPLE, known=calibration())], now_ns)


@checks(max_examples=300, deadline=None)
@given(at=st.floats(0, 1), value=st.binary(min_size=0, max_size=3), lost=st.integers(0, 4))
def test_a_changed_file_is_refused_or_says_the_same(at: float, value: bytes, lost: int) -> None:
    """Not sealed anew: whatever happens to the bytes of a file, no other calibration comes of it."""
    path = Path(FOLDER.name) / "changed.json"
    whole = files.encode(calibration(), path)
    place = int(at * len(whole))
    path.write_bytes(whole[:place] + value + whole[place + lost :])
    try:
        assert files.load(path) == calibration()
    except CalibrationError as error:
        assert str(path) in str(error)
