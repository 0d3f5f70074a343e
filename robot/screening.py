"""Readings of each person become one verdict: normal, elevated, or not measured and why. Everybody is counted.

A verdict needs several good readings of one track. An estimate near the threshold is given time to become surer; a
person who leaves before that is judged by what there is, and one without enough readings is counted as not measured
with the reason that was met most.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from robot.cohort import Cohort
from robot.fusion import fuse, preferred
from robot.types import NotMeasured, Reading, Reason, Track, Verdict, VerdictKind

_KEPT_READINGS = 60
"""Bounds memory whatever the sensor's rate."""
_UNSEEN_NS = 300_000_000
REGAINED_S = 0.6
"""A track that no camera saw for this long, pictures coming fast, may have been continued with somebody else."""
_JUMP_C, _JUMP_SD = 0.25, 4.0
"""Nobody's estimate changes by more than this, and by more than so many random uncertainties, while they look away. Over the same
track's gaps in simulated crowds 68 people differed by 0.14 °C at most, 0.05 °C as a standard deviation."""
BEYOND_RANGE = (Reason.TOO_FAR, Reason.OUT_OF_VIEW)
_ROBOTS_OWN = (
    Reason.WARMING_UP,
    Reason.REFERENCE_LOST,
    Reason.CALIBRATION_EXPIRED,
    Reason.OUT_OF_AMBIENT_WINDOW,
    Reason.NO_THERMAL,
)
"""While these hold nobody is read, and health says so."""
_LATELY = 12
"""So many people in range in a row of whom none could be read are no chance: half of all passing by unread, it happens once in 4,000."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When an estimate counts as elevated."""

    name: str = "absolute"
    """absolute | cohort | both (either one raises)"""
    threshold_c: float = 37.3
    cohort_delta_c: float = 0.6
    cohort_people: int = 30
    cohort_age_s: float = 3600.0
    readings_min: int = 3
    decide_s: float = 1.5
    dry_s: float = 0.6
    """No new reading for this long: the person is judged by those there are."""
    window_s: float = 2.0
    """Only readings this recent count: should a track ever slip from one person to the next, the next is still found."""
    regained_s: float = REGAINED_S
    picture_s: float = 5.0
    """So long after a face was as even as a screen nothing is believed of it; then its number may have gone to somebody."""
    sure_sd: float = 2.0
    """An estimate is sure when it is this many random uncertainties, plus `sure_c`, from the threshold."""
    sure_c: float = 0.05


@dataclass(frozen=True, slots=True)
class Assessment:
    """How one person stands after this thermal frame."""

    track_id: int
    reading: Reading
    readings: int
    margin_c: float | None
    """Body estimate minus what it is compared with; None where the policy cannot judge yet."""
    margins_c: dict[str, float]
    sure: bool
    behind_glass: bool = False
    """The body may be warmer than the reading says: it was taken through glasses, most likely. Enough for an alarm, never for "normal"."""


@dataclass(slots=True)
class _Person:
    first_seen_ns: int
    last_seen_ns: int
    in_range_ns: int | None = None
    first_reading_ns: int | None = None
    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=_KEPT_READINGS))
    covered_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_KEPT_READINGS))
    """When glasses left nothing to be read."""
    reasons: Counter[Reason] = field(default_factory=Counter)
    picture_ns: int = 0
    """When it was last as warm all over as no living face is."""
    out_of_sight: bool = False
    """Was looked for in the thermal image while no camera saw them. No reason by itself: whoever walks away is still on
    the list for seconds, and what hindered the reading happened before."""
    verdict: VerdictKind | None = None
    before: Reading | None = None
    """What was read until the camera lost sight of them, while this is being compared with what is read since `regained_ns`."""
    regained_ns: int = 0


@dataclass(slots=True)
class Coverage:
    """Counts of people since the start; nobody who was seen is missing from them."""

    seen: int = 0
    measured: int = 0
    elevated: int = 0
    not_measured: Counter[str] = field(default_factory=Counter)


class Screener:
    """Holds what is known of each person in view; time comes in with the data."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.coverage = Coverage()
        self._people: dict[int, _Person] = {}
        self._lately: deque[bool] = deque(maxlen=_LATELY)
        """Of the people who were in range last: whether they were read."""
        self._cohorts = {with_plate: Cohort(policy.cohort_people, policy.cohort_age_s) for with_plate in (True, False)}
        """People read with the plate and without: the sensor's own error lies between them, so that they are never compared."""
        self._baselines_c: dict[bool, float | None] = dict.fromkeys(self._cohorts)
        self.baseline_c: float | None = None
        """For whoever is read as people are read now."""

    def see(self, tracks: Iterable[Track]) -> None:
        """Takes in who is in view of the cameras; a person counts as seen once the track is confirmed."""
        for track in tracks:
            if not track.confirmed:
                continue
            person = self._people.get(track.track_id)
            if person is None:
                self._people[track.track_id] = _Person(track.first_seen_ns, track.last_seen_ns)
                self.coverage.seen += 1
            else:
                if track.last_seen_ns - person.last_seen_ns > self.policy.regained_s * 1e9:
                    self._doubt(person, track.last_seen_ns)
                person.last_seen_ns = track.last_seen_ns

    @property
    def reads_nobody(self) -> bool:
        """True when of the people in range lately none could be read: a window that is covered or a camera that was knocked looks like that."""
        return len(self._lately) == _LATELY and not any(self._lately)

    def strangers(self) -> list[int]:
        """Returns the tracks that someone else than the person judged under them must have been found with after a gap.

        Their estimate has jumped as nobody's does: there are enough readings before and after, of the same region, and they disagree.
        """
        return [track_id for track_id, person in self._people.items() if self._jumped(person)]

    def part(self, track_id: int, new_id: int) -> None:
        """The person followed under `track_id` since its last gap is another, known as `new_id` from now on; what was read since is theirs."""
        person = self._people[track_id]
        assert person.before is not None
        readings = [reading for reading in person.readings if reading.t_mono_ns >= person.regained_ns]
        other = _Person(person.regained_ns, person.last_seen_ns, readings[0].t_mono_ns, readings[0].t_mono_ns)
        other.readings.extend(readings)
        person.before = None
        self._people[new_id] = other
        self.coverage.seen += 1

    def _doubt(self, person: _Person, regained_ns: int) -> None:
        """Keeps how somebody who has a verdict was read before they were lost from sight; who has none is read anew."""
        if person.verdict is None:
            # Too few for a verdict, or one would have been given when they ran dry: never to be mixed with somebody else's.
            person.readings.clear()
            person.first_reading_ns = None
            return
        chosen, behind_glass = self._preferred(person)
        if len(chosen) >= self.policy.readings_min and not behind_glass:
            person.before, person.regained_ns = fuse(chosen)[0], regained_ns
            person.readings.clear()

    def _jumped(self, person: _Person) -> bool:
        """Returns whether somebody who was out of sight is read as another person is; once it is clear that not, the question is closed."""
        before, least = person.before, self.policy.readings_min
        if before is None:
            return False
        alike = before.roi, before.referenced
        since = [reading for reading in person.readings if (reading.roi, reading.referenced) == alike]
        if len(since) >= least:
            now, used = fuse(since)
            random_c = math.hypot(now.random_uncertainty_c, before.random_uncertainty_c)
            if used >= least and abs(now.body_c - before.body_c) > max(_JUMP_C, _JUMP_SD * random_c):
                return True
        if len(since) >= least or len(person.readings) >= 2 * least:
            person.before = None  # it is them, or cannot be told: another region is read now
        return False

    def measure(
        self, now_ns: int, results: Sequence[Reading | NotMeasured], with_plate: bool = True
    ) -> tuple[list[Assessment], list[Verdict]]:
        """Takes in one thermal frame's results; returns how those people stand and the verdicts reached by it.

        `with_plate`: the reference is valid in this frame.
        """
        self._baselines_c = {kind: cohort.baseline_c(now_ns) for kind, cohort in self._cohorts.items()}
        self.baseline_c = self._baselines_c[with_plate]
        assessments: list[Assessment] = []
        verdicts: list[Verdict] = []
        for result in results:
            person = self._people.get(result.track_id)
            if person is None:
                continue
            if isinstance(result, NotMeasured):
                if result.reason is Reason.OCCLUDED and result.t_mono_ns - person.last_seen_ns > _UNSEEN_NS:
                    person.out_of_sight = True
                    continue
                person.reasons[result.reason] += 1
                if result.reason is Reason.GLASSES:
                    person.covered_ns.append(result.t_mono_ns)
                elif result.reason is Reason.PICTURE:
                    person.picture_ns = result.t_mono_ns
                if person.in_range_ns is None and result.reason not in BEYOND_RANGE:
                    person.in_range_ns = result.t_mono_ns
                continue
            if person.in_range_ns is None:
                person.in_range_ns = result.t_mono_ns
            if self._is_picture(person, result.t_mono_ns):
                person.reasons[Reason.PICTURE] += 1
                continue
            if person.first_reading_ns is None:
                person.first_reading_ns = result.t_mono_ns
            person.readings.append(result)
            if self._jumped(person) or person.before is not None:
                continue  # whose readings these are is open
            assessment = self._assess(result.track_id, person)
            if assessment is None:
                continue
            assessments.append(assessment)
            verdict = self._decide(now_ns, person, assessment)
            if verdict is not None:
                verdicts.append(verdict)
        return assessments, verdicts

    def settle(self, now_ns: int, present: Iterable[int]) -> list[Verdict]:
        """Returns the verdicts on people who had none yet and whose readings ran dry, or whose tracks are gone."""
        here = set(present)
        verdicts = []
        for track_id, person in self._people.items():
            dry = person.readings and (now_ns - person.readings[-1].t_mono_ns) * 1e-9 > self.policy.dry_s
            if dry and person.verdict is None and track_id in here:
                assessment = self._assess(track_id, person)
                if assessment is not None and not _may_hide_more(assessment):
                    kind = self._kind(assessment)
                    verdicts.append(self._conclude(now_ns, track_id, person, kind, assessment, 0))
        for track_id in [track_id for track_id in self._people if track_id not in here]:
            person = self._people.pop(track_id)
            if person.verdict is None:
                verdicts.append(self._last_word(now_ns, track_id, person))
        return verdicts

    def finish(self, now_ns: int) -> list[Verdict]:
        """Returns the verdicts still owed when the robot stops."""
        return self.settle(now_ns, ())

    def judged(self, track_id: int) -> bool:
        """Returns whether somebody in view has a verdict already."""
        person = self._people.get(track_id)
        return person is not None and person.verdict is not None

    def stance(self, track_id: int) -> tuple[VerdictKind | None, Reading | None]:
        """Returns the verdict so far and the newest fused reading of somebody in view, for people to look at."""
        person = self._people.get(track_id)
        if person is None or not person.readings:
            return (person.verdict, person.before) if person else (None, None)
        chosen, behind_glass = self._preferred(person)
        return person.verdict, (fuse(chosen)[0] if chosen and not behind_glass else None)

    def _is_picture(self, person: _Person, now_ns: int) -> bool:
        """Returns whether what is read is somebody who goes by before a lit picture: it was one several times, a moment ago."""
        several = person.reasons[Reason.PICTURE] >= self.policy.readings_min
        return several and now_ns - person.picture_ns < self.policy.picture_s * 1e9

    def _preferred(self, person: _Person) -> tuple[list[Reading], bool]:
        begun_ns = person.readings[0].t_mono_ns if person.readings else 0
        covered = sum(t_ns >= begun_ns for t_ns in person.covered_ns)
        return preferred(person.readings, self.policy.readings_min, covered)

    def _assess(self, track_id: int, person: _Person) -> Assessment | None:
        readings = person.readings
        while len(readings) > 2 * self.policy.readings_min and (
            readings[-1].t_mono_ns - readings[0].t_mono_ns > self.policy.window_s * 1e9
        ):
            readings.popleft()
        chosen, behind_glass = self._preferred(person)
        if len(chosen) < self.policy.readings_min:
            return None
        reading, used = fuse(chosen)
        if used < self.policy.readings_min:
            return None
        margins = self._margins(reading)
        margin = self._margin(margins)
        bound = self.policy.sure_sd * reading.random_uncertainty_c + self.policy.sure_c
        sure = margin is not None and abs(margin) > bound
        return Assessment(track_id, reading, used, margin, margins, sure, behind_glass)

    def _margins(self, reading: Reading) -> dict[str, float]:
        margins = {"absolute": reading.body_c - self.policy.threshold_c}
        baseline_c = self._baselines_c[reading.referenced]
        if baseline_c is not None:
            margins["cohort"] = reading.body_c - baseline_c - self.policy.cohort_delta_c
        return margins

    def _margin(self, margins: dict[str, float]) -> float | None:
        if self.policy.name == "both":
            return max(margins.values())
        return margins.get(self.policy.name)

    def _decide(self, now_ns: int, person: _Person, assessment: Assessment) -> Verdict | None:
        assert person.first_reading_ns is not None
        patient = (now_ns - person.first_reading_ns) * 1e-9 < self.policy.decide_s
        if person.verdict is VerdictKind.ELEVATED or (not assessment.sure and (patient or person.verdict is not None)):
            return None
        if _may_hide_more(assessment):
            return None
        kind = self._kind(assessment)
        if person.verdict is not None and (kind is not VerdictKind.ELEVATED):
            return None
        revision = 0 if person.verdict is None else 1
        return self._conclude(now_ns, assessment.track_id, person, kind, assessment, revision)

    def _kind(self, assessment: Assessment) -> VerdictKind:
        if assessment.margin_c is None:
            return VerdictKind.NOT_MEASURED
        return VerdictKind.ELEVATED if assessment.margin_c > 0 else VerdictKind.NORMAL

    def _last_word(self, now_ns: int, track_id: int, person: _Person) -> Verdict:
        assessment = self._assess(track_id, person)
        if assessment is not None and not _may_hide_more(assessment):
            return self._conclude(now_ns, track_id, person, self._kind(assessment), assessment, 0)
        return self._conclude(now_ns, track_id, person, VerdictKind.NOT_MEASURED, None, 0)

    def _conclude(
        self,
        now_ns: int,
        track_id: int,
        person: _Person,
        kind: VerdictKind,
        assessment: Assessment | None,
        revision: int,
    ) -> Verdict:
        reason = None
        if kind is VerdictKind.NOT_MEASURED:
            reason = Reason.NO_BASELINE if assessment is not None else _main_reason(person)
        if not revision and person.in_range_ns is not None and reason not in _ROBOTS_OWN:
            self._lately.append(kind is not VerdictKind.NOT_MEASURED or reason is Reason.NO_BASELINE)
        self._count(now_ns, kind, reason, assessment, revision)
        if revision and person.verdict is VerdictKind.NOT_MEASURED:
            self._recount()
        person.verdict = kind
        return Verdict(
            track_id=track_id,
            t_mono_ns=now_ns,
            kind=kind,
            reason=reason,
            reading=assessment.reading if assessment else None,
            readings=assessment.readings if assessment else len(person.readings),
            policy=self.policy.name,
            threshold_c=self.policy.threshold_c,
            margin_c=assessment.margin_c if assessment else None,
            first_seen_ns=person.first_seen_ns,
            in_range_ns=person.in_range_ns,
            reasons={str(name): count for name, count in person.reasons.most_common()},
            margins_c=assessment.margins_c if assessment else {},
            revision=revision,
        )

    def _count(
        self, now_ns: int, kind: VerdictKind, reason: Reason | None, assessment: Assessment | None, revision: int
    ) -> None:
        if revision == 0:
            if kind is VerdictKind.NOT_MEASURED:
                self.coverage.not_measured[str(reason)] += 1
            else:
                self.coverage.measured += 1
            if assessment is not None:
                self._cohorts[assessment.reading.referenced].add(now_ns, assessment.reading.body_c)
        if kind is VerdictKind.ELEVATED:
            self.coverage.elevated += 1

    def _recount(self) -> None:
        """Somebody whom the cohort's cold start left without a verdict has one after all."""
        self.coverage.measured += 1
        self.coverage.not_measured[str(Reason.NO_BASELINE)] -= 1
        self.coverage.not_measured = +self.coverage.not_measured


def _may_hide_more(assessment: Assessment) -> bool:
    """Returns whether somebody is not elevated by what was read, and may be by what was not."""
    return assessment.behind_glass and (assessment.margin_c is None or assessment.margin_c <= 0)


def _main_reason(person: _Person) -> Reason:
    """Returns the reason met most within range, unless there were more than twice as many readings, which were too few then; without one, that
    met most at all; a face never in the image is out of view."""
    within = Counter({reason: count for reason, count in person.reasons.items() if reason not in BEYOND_RANGE})
    if within:
        reason, count = within.most_common(1)[0]
        return Reason.TOO_BRIEF if len(person.readings) > 2 * count else reason
    if person.readings:
        return Reason.TOO_BRIEF
    if person.reasons:
        return person.reasons.most_common(1)[0][0]
    return Reason.OCCLUDED if person.out_of_sight else Reason.OUT_OF_VIEW
