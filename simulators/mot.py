"""How well people were kept apart: the tracker's tracks held against who truly stood where, moment by moment. Pure.

The figures are those of multi-object tracking (MOT), computed by TrackEval, the reference implementation of the MOT
challenge: IDF1 (Ristani 2016), MOTA and identity switches (CLEAR MOT, Bernardin 2008). Added is what matters to a
robot with several cameras: hand-overs, and people who got more than one verdict. docs/tracking.md explains all.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from rich.table import Table

from robot.types import F64, I64, Track
from simulators.truth import Line, Sample

FACE_PX_MIN = 30.0
"""Width of a face in a camera's full picture from which that camera can resolve it; half as wide in the network's input."""
VISIBLE_MIN = 0.7
YAW_DEG_MAX = 50.0
ABSENT_S = 5.0
"""Who could be resolved by no camera for longer than this is somebody new: the robot keeps nobody's identity."""
SEEN_WITHIN_NS = 500_000_000
"""A track that no camera has seen for longer than this states nothing: it waits for its person."""
ACROSS_M, ACROSS_RAD = 0.30, 0.07
"""How far a track may lie from its person square to the line of sight: the larger of a length and an angle (4°)."""
ALONG_M, ALONG_SHARE = 0.50, 0.40
"""The same along the line of sight, where only the size of a face tells the range."""
MAST_M = np.array([0.0, 0.0, 1.0])
"""Where lines of sight begin."""
HANDOVER_RUN_NS = 500_000_000
"""A camera has somebody when its view of them is the largest that resolves them for this long."""
HANDOVER_GAP_NS = 2_000_000_000
"""Longest way from one camera's view into the next that counts as a hand-over."""
HANDOVER_SETTLED_NS = 1_000_000_000
"""Who follows after this time in the new camera is compared: a track that still waits at the border is no hand-over."""
SAMPLE_WITHIN_NS = 60_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What the tracker stated at one moment."""

    t_mono_ns: int
    track_ids: I64
    positions_m: F64
    """n × 3, robot frame."""


class TrackLog:
    """Collects what the tracker states; `moments` grows by one with each note."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def note(self, t_mono_ns: int, tracks: Sequence[Track]) -> None:
        """Takes in the confirmed tracks that a camera saw lately, moved to `t_mono_ns` at their own velocity."""
        stated = [t for t in tracks if t.confirmed and t.t_mono_ns - t.last_seen_ns <= SEEN_WITHIN_NS]
        places = [t.position_m + t.velocity_m_s * ((t_mono_ns - t.t_mono_ns) * 1e-9) for t in stated]
        ids = np.array([track.track_id for track in stated], dtype=np.int64)
        self.moments.append(Moment(t_mono_ns, ids, np.array(places, dtype=np.float64).reshape(-1, 3)))


class TrackScore(msgspec.Struct, frozen=True):
    """Figures of the tracker in one run. Shares are None where there was nothing to count."""

    visits: int
    """People whom a camera could resolve, each counted anew after an absence of more than ABSENT_S."""
    idf1: float | None
    mota: float | None
    id_switches: int
    id_switches_per_100_people: float | None
    handovers: int
    """How often somebody went from one camera's view into another's."""
    handover_share: float | None
    """How many of these went by on one and the same track."""
    duplicate_verdicts: int
    """First verdicts, of whatever kind, beyond the first of a visit."""
    duplicate_measurements: int
    """Those of them with a temperature, of somebody who had one."""
    duplicate_alarms: int
    duplicates_share: float | None
    """The most frequent of the three, per visit that got a verdict."""


Visit = tuple[int, int]
"""Person, and which visit of theirs it is, counted from 0."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """Somebody whom a camera resolved at one moment, and the track that followed them, if any."""

    t_mono_ns: int
    camera: str
    track_id: int | None


def score_tracks(
    truth: Iterable[Line], moments: Sequence[Moment], events: Iterable[Mapping[str, Any]] = ()
) -> TrackScore | None:
    """Returns the figures of one run, or None where the library `trackeval` is not installed (extra `dev`)."""
    try:
        from trackeval.metrics import CLEAR, Identity
    except ImportError:
        return None
    run = _Run([line for line in truth if isinstance(line, Sample)])
    for moment in moments:
        run.hold(moment)
    data = run.data()
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": 0.5}
    identity, clear = Identity(quiet).eval_sequence(data), CLEAR(quiet).eval_sequence(data)
    people, switches = len(run.sights), int(clear["IDSW"])
    handovers = [same for sights in run.sights.values() for same in _handovers(sights)]
    return TrackScore(
        visits=people,
        idf1=_share(float(identity["IDF1"]), 1.0 * (people > 0)),
        mota=_share(float(clear["MOTA"]), 1.0 * (people > 0)),
        id_switches=switches,
        id_switches_per_100_people=_share(100 * switches, people),
        handovers=len(handovers),
        handover_share=_share(sum(handovers), len(handovers)),
        **_duplicates(run.visit_of_track(), events),
    )


def best_camera(sample: Sample) -> str | None:
    """Returns the camera that sees this face largest among those that can resolve it; None where none can."""
    resolving = [
        (view.box_px[2], name)
        for name, view in sample.cameras.items()
        if view.box_px[2] >= FACE_PX_MIN and view.visible >= VISIBLE_MIN and view.yaw_deg <= YAW_DEG_MAX
    ]
    return max(resolving)[1] if resolving else None


class _Run:
    """Truth and tracks of one run, brought together moment by moment."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._by_time: dict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            self._by_time[sample.t_mono_ns].append(sample)
        self._times = sorted(self._by_time)
        self._visits = _Visits(sorted(samples, key=lambda sample: sample.t_mono_ns))
        self._last: dict[int, int] = {}
        self._followed: dict[int, Counter[Visit]] = defaultdict(Counter)
        self._frames: list[tuple[list[Visit], list[int], F64]] = []
        self.sights: dict[Visit, list[_Sight]] = defaultdict(list)

    def hold(self, moment: Moment) -> None:
        """Pairs the tracks of one moment with the people of that moment."""
        people = self._people_at(moment.t_mono_ns)
        cameras = [best_camera(person) for person in people]
        likeness = similarity(np.array([person.eyes_m for person in people]), moment.positions_m)
        pairs = self._pair(people, cameras, moment.track_ids.tolist(), likeness)
        visits = [self._visits.of(person.person_id, moment.t_mono_ns) for person in people]
        for index, visit in enumerate(visits):
            track = pairs.get(index)
            track_id = None if track is None else int(moment.track_ids[track])
            if track_id is not None:
                self._followed[track_id][visit] += 1
            camera = cameras[index]
            if camera is not None:
                self.sights[visit].append(_Sight(moment.t_mono_ns, camera, track_id))
        # Who is there but cannot be resolved need not be followed, and may: such tracks are neither right nor wrong.
        wanted = [index for index, camera in enumerate(cameras) if camera is not None]
        excused = {track for index, track in pairs.items() if cameras[index] is None}
        kept = [track for track in range(len(moment.track_ids)) if track not in excused]
        self._frames.append(
            ([visits[index] for index in wanted], moment.track_ids[kept].tolist(), likeness[np.ix_(wanted, kept)])
        )

    def _people_at(self, t_mono_ns: int) -> list[Sample]:
        at = bisect.bisect_left(self._times, t_mono_ns - SAMPLE_WITHIN_NS)
        near = self._times[at : bisect.bisect_right(self._times, t_mono_ns + SAMPLE_WITHIN_NS)]
        if not near:
            return []
        return self._by_time[min(near, key=lambda t_ns: abs(t_ns - t_mono_ns))]

    def _pair(
        self, people: Sequence[Sample], cameras: Sequence[str | None], track_ids: Sequence[int], likeness: F64
    ) -> dict[int, int]:
        """Returns which track (column) follows which person (row): yesterday's first, then resolvable people, then the nearest."""
        from scipy.optimize import linear_sum_assignment

        again = np.array([[self._last.get(p.person_id) == t for t in track_ids] for p in people], dtype=float)
        clear = np.array([camera is not None for camera in cameras], dtype=float)
        worth = np.where(likeness >= 0.5, likeness + 2 * clear[:, None] + 4 * again.reshape(likeness.shape), 0.0)
        rows, columns = linear_sum_assignment(-worth)
        pairs = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if likeness[r, c] >= 0.5}
        self._last.update({people[row].person_id: track_ids[column] for row, column in pairs.items()})
        return pairs

    def data(self) -> dict[str, Any]:
        """Returns the run as TrackEval takes it: ids counted from 0, likeness of everybody to each track."""
        visits = {visit: number for number, visit in enumerate(self.sights)}
        tracks = {track: number for number, track in enumerate(sorted({t for _, ts, _ in self._frames for t in ts}))}
        return {
            "num_timesteps": len(self._frames),
            "num_gt_ids": len(visits),
            "num_tracker_ids": len(tracks),
            "num_gt_dets": sum(len(wanted) for wanted, _, _ in self._frames),
            "num_tracker_dets": sum(len(stated) for _, stated, _ in self._frames),
            "gt_ids": [np.array([visits[v] for v in wanted], dtype=np.int64) for wanted, _, _ in self._frames],
            "tracker_ids": [np.array([tracks[t] for t in stated], dtype=np.int64) for _, stated, _ in self._frames],
            "similarity_scores": [likeness for _, _, likeness in self._frames],
        }

    def visit_of_track(self) -> dict[int, Visit]:
        """Returns whom each track followed most of the time."""
        return {track: seen.most_common(1)[0][0] for track, seen in self._followed.items()}


class _Visits:
    """When people who had been away for long came back."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._returns: dict[int, list[int]] = defaultdict(list)
        last: dict[int, int] = {}
        for sample in samples:
            if best_camera(sample) is None:
                continue
            before = last.get(sample.person_id, sample.t_mono_ns)
            if sample.t_mono_ns - before > ABSENT_S * 1e9:
                self._returns[sample.person_id].append(sample.t_mono_ns)
            last[sample.person_id] = sample.t_mono_ns

    def of(self, person_id: int, t_mono_ns: int) -> Visit:
        return person_id, bisect.bisect_right(self._returns.get(person_id, []), t_mono_ns)


def similarity(eyes_m: F64, positions_m: F64) -> F64:
    """Returns how well each person (n × 3) and each stated place (m × 3) agree (n × m): 1 in the same place, 0.5 at the
    border of what counts as that person, 0 at twice that distance and beyond."""
    if not len(eyes_m) or not len(positions_m):
        return np.zeros((len(eyes_m), len(positions_m)))
    sight = eyes_m - MAST_M
    range_m = np.linalg.norm(sight, axis=1)
    delta = positions_m[None, :, :] - eyes_m[:, None, :]
    along = np.einsum("nmk,nk->nm", delta, sight / np.maximum(range_m, 0.1)[:, None])
    across = np.sqrt(np.maximum(np.einsum("nmk,nmk->nm", delta, delta) - along**2, 0.0))
    off = np.hypot(
        across / np.maximum(ACROSS_M, ACROSS_RAD * range_m)[:, None],
        along / np.maximum(ALONG_M, ALONG_SHARE * range_m)[:, None],
    )
    likeness: F64 = np.maximum(1.0 - off / 2, 0.0)
    return likeness


def _handovers(sights: Sequence[_Sight]) -> list[bool]:
    """Returns for each change of camera in one visit whether the track stayed the same."""
    runs: list[list[_Sight]] = []
    for sight in sights:
        if runs and runs[-1][-1].camera == sight.camera and sight.t_mono_ns - runs[-1][-1].t_mono_ns <= HANDOVER_GAP_NS:
            runs[-1].append(sight)
        else:
            runs.append([sight])
    runs = [run for run in runs if run[-1].t_mono_ns - run[0].t_mono_ns >= HANDOVER_RUN_NS]
    found = []
    for before, after in itertools.pairwise(runs):
        if before[-1].camera == after[0].camera or after[0].t_mono_ns - before[-1].t_mono_ns > HANDOVER_GAP_NS:
            continue
        settled_ns = after[0].t_mono_ns + HANDOVER_SETTLED_NS
        first = [sight.track_id for sight in before if sight.track_id is not None]
        second = [s.track_id for s in after if s.track_id is not None and s.t_mono_ns <= settled_ns]
        found.append(bool(first and second and first[-1] == second[-1]))
    return found


def _duplicates(visit_of_track: Mapping[int, Visit], events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns how often somebody got what everybody gets once; an event's `person` is the number of a track."""
    verdicts: Counter[Visit] = Counter()
    measured: Counter[Visit] = Counter()
    alarms: Counter[Visit] = Counter()
    for event in events:
        data = event.get("data") or {}
        visit = visit_of_track.get(int(data.get("person", -1)))
        if visit is None:
            continue
        if event.get("type") == "alarm.raised":
            alarms[visit] += 1
        elif event.get("type") == "screening.completed" and not data.get("revision"):
            verdicts[visit] += 1
            measured[visit] += data.get("reading") is not None and data.get("verdict") != "not_measured"
    extra = [sum(max(count - 1, 0) for count in kind.values()) for kind in (verdicts, measured, alarms)]
    return {
        "duplicate_verdicts": extra[0],
        "duplicate_measurements": extra[1],
        "duplicate_alarms": extra[2],
        "duplicates_share": _share(max(extra), len(verdicts)),
    }


def table(result: TrackScore | None) -> Table:
    """Returns the figures as a table for the terminal."""
    out = Table(title="tracking", show_header=False, title_justify="left")
    out.add_column(style="bold")
    out.add_column(justify="right")
    out.add_column(style="dim")
    if result is None:
        out.add_row("not computed", "", "the library trackeval is missing (pip install trackeval)")
        return out
    out.add_row("visits", str(result.visits), f"absent for more than {ABSENT_S:g} s: a visit of its own")
    out.add_row("IDF1", _shown(result.idf1), f"MOTA {_shown(result.mota)}")
    per_100 = _shown(result.id_switches_per_100_people)
    out.add_row("identity switches", str(result.id_switches), f"{per_100} per 100 people")
    out.add_row("hand-overs kept", _shown(result.handover_share), f"of {result.handovers}")
    kinds = f"verdicts {result.duplicate_verdicts}, temperatures {result.duplicate_measurements}"
    out.add_row("duplicates", _shown(result.duplicates_share), f"{kinds}, alarms {result.duplicate_alarms}")
    return out


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
