"""The whole calibration on drawn rigs in simulated time: every step as the technician does it, then the true errors against their
limits. `patrol-sim calibrate-rigs` runs it; no device, port or clock is involved, so every run gives the same figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import msgspec
from rich.table import Table

from calibration import board, files, history
from calibration.files import Calibration
from calibration.intrinsics import IntrinsicsProcedure
from calibration.procedure import Procedure
from calibration.radiometry import RadiometryProcedure
from calibration.reference import ReferenceProcedure, ReferenceSetup
from calibration.registration import RegistrationProcedure
from calibration.results import StepResult
from calibration.verify import VerifyProcedure, VerifySetup
from robot.errors import CalibrationError
from simulators import compare_calibration, drawn_rigs
from simulators.calibration_geometry import Bench, run
from simulators.calibration_radiometry import AMBIENT_C, HUMIDITY, RadiometryBench
from simulators.compare_calibration import Figure
from simulators.uncalibrated import calibration_of_drawing
from simulators.workers import under_way
from simulators.world import Rig

FAMILIES = ("mi1602", "mi0802", "mlx90640")
APERTURE_M = {"mlx90640": 0.1}
"""Of the blackbody, where not 60 mm."""
STEP_MINUTES_MOST = 15.0
_NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class RigRun(msgspec.Struct, frozen=True):
    """One robot, calibrated."""

    family: str
    seed: int
    rig: dict[str, float]
    """What was drawn: fields of view, baseline, tilt, noise."""
    figures: list[Figure]
    """True errors with their limits."""
    seconds: dict[str, float]
    """Technician's time by step, in simulated seconds."""
    dead: dict[str, int]
    """Planted, by kind."""
    refused: str = ""
    """Why there is no calibration: nothing was installed."""

    @property
    def passed(self) -> bool:
        return not self.refused and all(figure.passed for figure in self.figures)


def calibrate(drawn: tuple[str, int], keep: Path | None = None) -> RigRun:
    """Returns the figures of one robot, drawn about a family with a seed; its calibration is saved in the folder `keep`, if there is one."""
    cv2.setNumThreads(1)
    family, seed = drawn
    file = drawn_rigs.drawing(family, seed)
    rig = drawn_rigs.built(file, seed)
    job = Job(family, seed, rig, calibration_of_drawing(file, drawn_rigs.name(family, seed), _NOW))
    refused = ""
    try:
        job.lenses()
        job.registration()
        job.reference()
        job.radiometry()
        job.verify()
    except CalibrationError as error:
        refused = str(error)
    if keep is not None and not refused:
        job.save(keep)
    figures = [] if refused else [*compare_calibration.true_errors(job.calibration, rig, seed), *job.figures()]
    dead = {kind: sum(pixel.kind == kind for pixel in rig.traits.dead) for kind in drawn_rigs.KINDS}
    return RigRun(family, seed, _drawn(rig), figures, job.seconds, dead, refused)


def calibrate_all(
    families: Sequence[str],
    seeds: Sequence[int],
    processes: int,
    tell: Callable[[RigRun], None],
    keep: Path | None = None,
) -> list[RigRun]:
    """Returns every family with every seed, in that order; their calibrations are saved in the folder `keep`, if there is one."""
    wanted = [(family, seed) for family in families for seed in seeds]
    found: dict[tuple[str, int], RigRun] = {}
    with under_way(partial(calibrate, keep=keep), wanted, processes) as futures:
        for future in as_completed(futures):
            one = future.result()
            found[(one.family, one.seed)] = one
            tell(one)
    return [found[one] for one in wanted]


def report(runs: Sequence[RigRun]) -> dict[str, Any]:
    """Returns everything as one JSON-able object."""
    listed = [
        msgspec.to_builtins(one)
        | {"passed": one.passed}
        | {
            "figures": [
                msgspec.to_builtins(figure) | {"value": round(figure.value, 4), "passed": figure.passed}
                for figure in one.figures
            ]
        }
        for one in runs
    ]
    return {"passed": all(one.passed for one in runs), "runs": listed}


def table(runs: Sequence[RigRun]) -> Table:
    """Returns the worst of every figure by family, and whether all were within their limits."""
    names = list(dict.fromkeys(_general(figure.name) for one in runs for figure in one.figures))
    families = list(dict.fromkeys(one.family for one in runs))
    drawn = Table("the worst true error", *families, "limit", title=f"{len(runs)} robots that no file describes")
    for name in names:
        row, limits = [], set()
        for family in families:
            group = [
                figure
                for one in runs
                if one.family == family
                for figure in one.figures
                if _general(figure.name) == name
            ]
            limits |= {f"{figure.limit:g} {figure.unit}" for figure in group}
            worst = max(group, key=lambda figure: abs(figure.value) / (figure.limit or 1e-9), default=None)
            beyond = sum(not figure.passed for figure in group)
            colour, note = ("red", f" ({beyond} of {len(group)} beyond)") if beyond else ("green", "")
            row.append("" if worst is None else f"[{colour}]{worst.value:+.3f} {worst.unit}{note}[/{colour}]")
        drawn.add_row(name, *row, ", ".join(sorted(limits)))
    minutes = [[sum(one.seconds.values()) / 60 for one in runs if one.family == family] for family in families]
    drawn.add_row("technician's time", *(f"{max(each):.1f} min" for each in minutes), f"{STEP_MINUTES_MOST:g} min")
    return drawn


class Job:
    """One robot's calibration while it grows."""

    def __init__(self, family: str, seed: int, rig: Rig, calibration: Calibration) -> None:
        self.calibration, self._rig, self._seed = calibration, rig, seed
        self._begun = calibration
        self._aperture_m = APERTURE_M.get(family, 0.06)
        self.seconds: dict[str, float] = {}
        self.results: list[StepResult] = []
        self._verified: StepResult | None = None
        self._complete: dict[str, bool] = {}
        self._drift: tuple[float, float] = (0.0, 0.0)

    def lenses(self) -> None:
        names = [camera.name for camera in self._rig.cameras]
        lenses = [IntrinsicsProcedure(self.calibration, name, "a4", 100.0) for name in names]
        self._walk("intrinsics", lenses, "calibrate-intrinsics", thermal=False)
        for lens in lenses:
            self._take(lens)

    def registration(self) -> None:
        walk = RegistrationProcedure(self.calibration, "a4", 100.0)
        self._walk("registration", [walk], "calibrate-registration")
        self._take(walk)

    def reference(self) -> None:
        known = self.calibration.reference
        assert known is not None
        thermal = self.calibration.thermal
        step = ReferenceProcedure(
            ReferenceSetup(
                size_px=(thermal.width_px, thermal.height_px), focal_px=thermal.fx_px, set_point_c=known.set_point_c,
                set_point_sd_c=0.05, emissivity=known.emissivity, emissivity_sd=known.emissivity_sd, ambient_c=AMBIENT_C, humidity=HUMIDITY,
                radiometry=self.calibration.radiometry, known_px=known.roi_px,
            )
        )  # fmt: skip
        bench = self._bench()
        bench.show(step, 90.0)
        self.seconds["reference"] = round(bench.t_s, 1)
        self._take(step)

    def radiometry(self) -> None:
        bench = self._bench()
        step = RadiometryProcedure(bench.setup())
        self._complete["radiometry"] = bench.whole_job(step).done
        self.seconds["radiometry"] = round(bench.t_s, 1)
        drift = self._take(step).parameters["drift_c_per_min"]
        self._drift = (drift.value, drift.sd)

    def verify(self) -> None:
        step = VerifyProcedure(
            VerifySetup(
                calibration=self.calibration, blackbody_c=37.0, emissivity=0.99, blackbody_sd_c=0.05,
                aperture_m=self._aperture_m, ambient_c=AMBIENT_C, humidity=HUMIDITY, tag=board.PAPERS["a4"].tag,
            )
        )  # fmt: skip
        self._walk("verify", [step], "calibrate-verify")
        self._verified = step.solve()
        self.results.append(self._verified)

    def figures(self) -> list[Figure]:
        """Returns what is no error of a value: that steps were complete and the acceptance passed, and the drift."""
        verified, traits = self._verified, self._rig.traits
        assert verified is not None
        found = [
            Figure(f"verify: {name}", check.value, check.high if check.high is not None else 0.0, check.unit)
            for name, check in verified.checks.items()
        ]
        found.append(Figure("steps not passed", sum(not result.passed for result in self.results), 0, ""))
        found += [Figure(f"{name} not complete", float(not done), 0, "") for name, done in self._complete.items()]
        true_drift = traits.drift_c_per_min
        found.append(Figure("drift", self._drift[0] - true_drift, 0.05, "°C/min"))
        return found

    def save(self, folder: Path) -> None:
        """Files the calibration as `patrol-calibrate` would."""
        stamped = history.stamped(
            self.calibration,
            self._begun,
            self.results,
            by="patrol-sim calibrate-rigs",
            now_utc=_NOW,
            conditions=files.Conditions(AMBIENT_C, HUMIDITY),
        )
        files.save(stamped, folder / f"{stamped.robot}.json")

    def _bench(self) -> RadiometryBench:
        return RadiometryBench(self._rig, self._seed, self._aperture_m, self.calibration)

    def _walk(self, name: str, steps: Sequence[Procedure], scenario: str, thermal: bool = True) -> None:
        bench = Bench(scenario, self._rig, self._seed, self._aperture_m)
        done = run(steps, bench, thermal)
        self._complete[name] = all(done)
        self.seconds[name] = round(bench.t_s, 1)

    def _take(self, step: Procedure) -> StepResult:
        result = step.solve()
        self.results.append(result)
        self.calibration = step.apply(self.calibration)
        return result


def _drawn(rig: Rig) -> dict[str, float]:
    front, thermal, traits = rig.cameras[0], rig.thermal, rig.traits
    baseline_m = ((front.position_m - thermal.position_m) ** 2).sum() ** 0.5
    tilt = float(thermal.rotation[2] @ front.rotation[2])
    numbers = {
        "front_focal_px": float(front.matrix[0, 0]),
        "thermal_focal_px": float(thermal.matrix[0, 0]),
        "baseline_mm": 1e3 * float(baseline_m),
        "angle_between_cos": tilt,
    }
    plain = ("netd_c", "fixed_pattern_c", "drift_c_per_min", "psf_sigma_px", "gain_error", "veil_share")
    return {key: round(value, 4) for key, value in (numbers | {k: getattr(traits, k) for k in plain}).items()}


def _general(name: str) -> str:
    """Figures of several cameras share a line."""
    if name.startswith("focal length"):
        return "focal length"
    if name.startswith("verify: registration"):
        return "verify: registration"
    if name.startswith("size of source"):
        return "size of source, from 6 px"
    return name
