"""Every version of a robot's calibration, beside the file: kept for good, listed, brought back; and who did what when.

    calibration.json                       what the robot reads
    calibration-history/ID.json            every version, sealed like the file itself, never changed
    calibration-history/ID.results.json    what its steps found, with pictures, for the report
    calibration-history/journal.jsonl      one line for each installation, rollback and verification

Everything that one change needs is on disk before the first file is renamed: a full disk leaves all as it was.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from calibration import files
from calibration.files import Calibration, StepSummary
from calibration.refused import Refused, unwritten
from calibration.results import Say, StepResult
from robot.errors import CalibrationError
from robot.night import CLOCK_SET_YEAR

VALID_DAYS = 365
"""Unless the station asks for less (--valid-days)."""
JOURNAL = "journal.jsonl"

Action = Literal["installed", "rolled_back", "verified"]


class Entry(msgspec.Struct, frozen=True):
    """One line of the journal."""

    t_utc: str
    action: Action
    id: str
    by: str
    before: str = ""
    """Id of the calibration that was current until then."""
    passed: bool | None = None


class Version(msgspec.Struct, frozen=True):
    """One calibration of the history."""

    key: str
    """What `rollback` takes: the id, with part of the digest where two versions share an id."""
    calibration: Calibration
    current: bool


class History:
    """The history of the calibration file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_name(f"{path.stem}-history")

    def journal(self) -> list[Entry]:
        """Returns what was done, oldest first; lines that cannot be read (a torn write) are left out."""
        try:
            lines = (self.folder / JOURNAL).read_bytes().splitlines()
        except OSError:
            return []
        entries = []
        for line in lines:
            try:
                entries.append(msgspec.json.decode(line, type=Entry))
            except msgspec.MsgspecError:
                continue
        return entries

    def versions(self) -> list[Version]:
        """Returns every version that can still be read, oldest first."""
        current = self._current_bytes()
        found = []
        for path in self.folder.glob("*.json"):
            if path.name.endswith(".results.json"):
                continue
            try:
                calibration = files.load(path)
            except CalibrationError:
                continue  # damaged: told by `version`, when somebody asks for it
            found.append(Version(path.stem, calibration, path.read_bytes() == current))
        return sorted(found, key=lambda version: (version.calibration.created_utc, version.key))

    def version(self, key: str) -> Calibration:
        """Returns one version; raises CalibrationError for one that is not there or damaged."""
        return files.load(self.path_of(key))

    def path_of(self, key: str) -> Path:
        """Returns where one version is kept; raises CalibrationError for one that is not there."""
        path = self.folder / f"{_file_safe(key)}.json"
        if not path.exists():
            known = ", ".join(version.key for version in self.versions()) or "none"
            raise CalibrationError(f"{self.folder}: has no calibration {key!r} (there are: {known})")
        return path

    def results(self, calibration_id: str) -> list[StepResult]:
        """Returns what the steps of that version found; empty where nothing was measured."""
        path = self._results_path(calibration_id)
        try:
            return msgspec.json.decode(path.read_bytes(), type=list[StepResult])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            raise CalibrationError(f"{path}: cannot be read ({error}); verify again, or calibrate again") from error

    def install(self, calibration: Calibration, results: Sequence[StepResult], by: str, now_utc: dt.datetime) -> None:
        """Makes `calibration` the robot's, keeping the one before. Raises CalibrationError with everything as it was."""
        contents = self._kept_current(now_utc)
        text = files.encode(calibration, self.path)
        contents[self._place(calibration.id, text)] = text
        contents[self._results_path(calibration.id)] = _encoded(results)
        self._put(contents, text, Entry(_utc(now_utc), "installed", calibration.id, by, self._current_id()))

    def roll_back(self, key: str, robot: str, by: str, now_utc: dt.datetime) -> Calibration:
        """Makes a version of the history the robot's again, byte by byte, and returns it.

        Raises CalibrationError with everything as it was: no such version, damaged, of another robot, or already current.
        """
        calibration = self.version(key)
        if robot and calibration.robot != robot:
            raise CalibrationError(f"{key}: belongs to robot {calibration.robot}, not to {robot}")
        text = (self.folder / f"{_file_safe(key)}.json").read_bytes()
        if text == self._current_bytes():
            raise CalibrationError(f"{key}: is the current calibration already")
        self._put(
            self._kept_current(now_utc),
            text,
            Entry(_utc(now_utc), "rolled_back", calibration.id, by, self._current_id()),
        )
        return calibration

    def note_verified(self, calibration_id: str, result: StepResult, by: str, now_utc: dt.datetime) -> None:
        """Keeps the outcome of a verification with that version's results; the calibration itself is untouched."""
        others = [kept for kept in self.results(calibration_id) if kept.title != result.title]
        entry = Entry(_utc(now_utc), "verified", calibration_id, by, passed=result.passed)
        self._put({self._results_path(calibration_id): _encoded([*others, result])}, None, entry)

    def _kept_current(self, now_utc: dt.datetime) -> dict[Path, bytes]:
        """Returns what must be written so that the current file is in the history, as it is; nothing if it is."""
        current = self._current_bytes()
        if current is None:
            return {}
        try:
            calibration_id = files.load(self.path).id
        except CalibrationError:
            # Damaged or of an old version: kept all the same, nothing is ever thrown away.
            calibration_id = f"unreadable-{now_utc:%Y%m%dT%H%M%SZ}"
        place = self._place(calibration_id, current)
        return {} if place.exists() else {place: current}

    def _place(self, calibration_id: str, text: bytes) -> Path:
        """Returns the version's file: named after the id, and after the content too if the id is taken by another."""
        path = self.folder / f"{_file_safe(calibration_id)}.json"
        if path.exists() and path.read_bytes() != text:
            path = path.with_name(f"{path.stem}~{files.digest_of(text)[:8]}.json")
        return path

    def _put(self, contents: Mapping[Path, bytes], current: bytes | None, entry: Entry) -> None:
        """The journal comes before the current file: of a power cut between the two remains a line too much, not too few."""
        journal = self.folder / JOURNAL
        before = journal.read_bytes() if journal.exists() else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        everything = {**contents, journal: before + msgspec.json.encode(entry) + b"\n"}
        if current is not None:
            everything[self.path] = current
        try:
            files.replace_all(everything)
        except OSError as error:
            raise unwritten("refused.install_unwritten", error.filename or self.path, error) from error

    def _current_bytes(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _current_id(self) -> str:
        try:
            return files.load(self.path).id
        except CalibrationError:
            return ""

    def _results_path(self, calibration_id: str) -> Path:
        return self.folder / f"{_file_safe(calibration_id)}.results.json"


def _encoded(results: Sequence[StepResult]) -> bytes:
    return msgspec.json.encode(list(results), enc_hook=files.plain_number)


def clock_warning(before: Calibration, now_utc: dt.datetime) -> Say | None:
    """Returns what is to be said where this computer's clock shows a time before the present calibration was made: what is made now
    would count as expired, or as older, once it is right. Raises Refused where it was never set."""
    refuse_unset_clock(now_utc)
    values = {"now": _utc(now_utc), "made": before.created_utc}
    return Say("live.clock_behind", values) if now_utc < dt.datetime.fromisoformat(before.created_utc) else None


def refuse_unset_clock(now_utc: dt.datetime) -> None:
    """Raises Refused where this computer's clock was never set."""
    if now_utc.year < CLOCK_SET_YEAR:
        raise Refused("", Say("refused.clock_unset", {"now": _utc(now_utc)}))


def summary_of(result: StepResult, by: str, now_utc: dt.datetime) -> StepSummary:
    """Returns the numbers of a step as the calibration file keeps them."""
    return StepSummary(
        made_utc=_utc(now_utc),
        made_by=by,
        samples=result.samples,
        rejected=len(result.rejected),
        passed=result.passed,
        parameters={name: (q.value, q.sd, q.unit) for name, q in result.parameters.items()},
        checks={name: (check.value, check.unit, check.passed) for name, check in result.checks.items()},
        conditions={name: (q.value, q.sd, q.unit) for name, q in result.conditions.items()},
    )


def stamped(
    calibration: Calibration,
    before: Calibration,
    results: Sequence[StepResult],
    *,
    by: str,
    now_utc: dt.datetime,
    conditions: files.Conditions | None,
    valid_days: int = VALID_DAYS,
) -> Calibration:
    """Returns `calibration` with an identity of its own: id, dates, author, software and what its steps found.

    A step that was only repeated does not renew the rest: while others keep their age, so does the whole.
    """
    now_utc = now_utc.replace(microsecond=0)
    steps = before.steps | {result.title: summary_of(result, by, now_utc) for result in results}
    nominal = [title for title in before.nominal if title not in steps]
    return msgspec.structs.replace(
        calibration,
        id=f"{before.robot}-{now_utc:%Y%m%dT%H%M%SZ}",
        created_utc=_utc(now_utc),
        valid_until_utc=_utc(_valid_until(steps, nominal, before, now_utc, valid_days)),
        made_by=by,
        software=f"patrol-robot {metadata.version('patrol-robot')}",
        supersedes=before.id,
        conditions=conditions,
        steps=steps,
        nominal=nominal,
        note=f"nominal in part: {', '.join(nominal)}" if nominal else "",
    )


def _valid_until(
    steps: Mapping[str, StepSummary], nominal: Sequence[str], before: Calibration, now_utc: dt.datetime, days: int
) -> dt.datetime:
    """The oldest step decides; what was never measured keeps the date it had."""
    oldest = min((dt.datetime.fromisoformat(step.made_utc) for step in steps.values()), default=now_utc)
    until = oldest + dt.timedelta(days=days)
    return min(until, dt.datetime.fromisoformat(before.valid_until_utc)) if nominal else until


def merged(kept: Sequence[StepResult], new: Sequence[StepResult]) -> list[StepResult]:
    """Returns the kept results with those of steps that were repeated replaced, in order of their titles' first appearance."""
    by_title = {result.title: result for result in kept} | {result.title: result for result in new}
    return list(by_title.values())


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds")


def _file_safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._~+-]", "_", text).lstrip(".") or "_"
