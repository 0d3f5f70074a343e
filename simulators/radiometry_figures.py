"""How well the radiometry step does on the built-in sensors and on a worse one of each, held against the simulator's truth: what
docs/results/calibration-radiometry.json holds. `python -m simulators.radiometry_figures` prints it; in simulated time, so that every
run gives the same figures."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import sys
from typing import Any

import cv2
import msgspec

from calibration import face_curve
from calibration.files import PointSpread
from calibration.radiometry import RadiometryProcedure
from robot.command import exit_code
from simulators import compare_calibration, settings
from simulators.calibration_radiometry import RadiometryBench
from simulators.calibration_rigs import APERTURE_M, FAMILIES
from simulators.nameplate import calibration_of
from simulators.rig import FOLDER, DeadFile, RigFile, build, load_rig
from simulators.world import Rig

AGED: dict[str, Any] = {
    "gain_error": 0.03,
    "veil_share": 0.02,
    "dead": DeadFile(stuck=2, hot=2, cold=2, noisy=2, slow=2),
}
WORSE = AGED | {"gain_error": -0.03, "veil_share": 0.035, "psf_sigma_px": 0.7, "fixed_pattern_c": 0.25}
SEEDS = ((11, False), (12, False), (13, True))
"""Which robot, and whether it is a worse one."""
FROM_PX = 6.0


def aged(name: str, seed: int, worse: bool) -> Rig:
    """Returns a built-in rig whose sensor has seen better days."""
    file = settings.load(FOLDER / f"{name}.toml", RigFile)
    traits = WORSE if worse else AGED
    return build(msgspec.structs.replace(file, thermal=msgspec.structs.replace(file.thermal, **traits)), seed)


def measure(name: str, seed: int, worse: bool) -> dict[str, Any]:
    """Returns the figures of one sensor."""
    rig = aged(name, seed, worse)
    bench = RadiometryBench(rig, seed, APERTURE_M.get(name, 0.06))
    step = RadiometryProcedure(bench.setup())
    done = bench.whole_job(step).done
    result = step.solve()
    calibration = step.apply(bench.calibration)
    spread, traits = calibration.radiometry.point_spread, rig.traits
    assert spread is not None
    figures = [
        *compare_calibration.radiometry_errors(calibration, rig, seed),
        *compare_calibration.size_of_source_errors(calibration, rig),
    ]
    drift = result.parameters["drift_c_per_min"]
    return {
        "rig": name,
        "seed": seed,
        "worse": worse,
        "sensor_time_s": round(bench.t_s, 1),
        "passed": done and result.passed and all(figure.passed for figure in figures),
        "true_errors": {figure.name: round(figure.value, 4) for figure in figures},
        "dead_planted": len(traits.dead),
        "drift_c_per_min": [round(drift.value, 3), round(drift.sd, 3), round(traits.drift_c_per_min, 3)],
        "sigma_px": [round(spread.sigma_px, 4), traits.psf_sigma_px],
        "veil_share": [round(spread.veil_share, 4), traits.veil_share],
        "pattern_sd_c": calibration.radiometry.fixed_pattern_sd_c,
    }


def against_people(name: str) -> dict[str, dict[str, float]]:
    """Returns by region and width (thermal pixels) how far the derived rows lie from what the whole robot reads of simulated people, in
    °C at a face's contrast in a room of 23 °C."""
    rig = load_rig(name)
    measured = calibration_of(rig, "people", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)).radiometry.size_of_source
    derived = face_curve.rows(PointSpread(sigma_px=rig.traits.psf_sigma_px), float(rig.thermal.matrix[0, 0]))
    found: dict[str, dict[str, float]] = {}
    for region in ("canthi", "upper_face"):
        shown = {row[0]: row[1] for row in measured[region]}
        found[region] = {
            f"{width_px:g}": round(compare_calibration.FACE_CONTRAST_C * (share / shown[width_px] - 1), 3)
            for width_px, share, _ in derived[region]
            if width_px >= FROM_PX and width_px in shown
        }
    return found


def main(arguments: list[str] | None = None) -> int:
    """Prints everything as one JSON object."""
    argparse.ArgumentParser(prog="python -m simulators.radiometry_figures", description=__doc__).parse_args(arguments)
    return exit_code("radiometry_figures", _print)


def _print() -> int:
    cv2.setNumThreads(1)
    report = {
        "made_with": "python -m simulators.radiometry_figures (simulated time: no need for a quiet machine)",
        "python": platform.python_version(),
        "runs": [measure(name, seed, worse) for name in FAMILIES for seed, worse in SEEDS],
        "size_of_source_error_c": {
            "what": "derived rows against simulated people read by the whole robot (patrol-sim size-of-source), °C at "
            f"{compare_calibration.FACE_CONTRAST_C:g} °C of contrast, by face width in thermal pixels",
            "target_c": 0.1,
            "rigs": {name: against_people(name) for name in FAMILIES},
        },
    }
    print(json.dumps(report, ensure_ascii=False, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
