"""How the command line makes the steps about temperatures: radiometry, reference, verify."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from calibration.files import BesideBlackbody, ReferenceCalibration
from calibration.procedure import Procedure, Step, StepContext
from calibration.steps_geometry import ruler_mm
from robot.command import within

_OPENING_MM = within(5.0, 500.0, "mm")
_EMISSIVITY = within(0.5, 1.0)
_SD_C = within(0.001, 5.0, "°C")
_BLACKBODY_C = within(0.0, 100.0, "°C")


def _set_points(text: str) -> tuple[float, ...]:
    from calibration.radiometry import SET_POINT_SPAN_C

    try:
        points = tuple(_BLACKBODY_C(point) for point in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: is not like 32,38 (°C)") from error
    if max(points) - min(points) < SET_POINT_SPAN_C:
        raise argparse.ArgumentTypeError(f"{text}: two set points at least, {SET_POINT_SPAN_C:g} °C apart or more")
    return points


def _radiometry_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set-points",
        type=_set_points,
        default="32,38",
        metavar="C,C…",
        help="of the blackbody, °C, in the order measured (%(default)s)",
    )
    _blackbody_arguments(parser, "")


def _blackbody_arguments(parser: argparse.ArgumentParser, prefix: str) -> None:
    parser.add_argument(
        f"--{prefix}aperture-mm",
        type=_OPENING_MM,
        default=60.0,
        metavar="MM",
        help="diameter of its opening (%(default)s)",
    )
    parser.add_argument(
        f"--{prefix}blackbody-emissivity",
        type=_EMISSIVITY,
        default=0.99,
        metavar="E",
        help="by its certificate (%(default)s)",
    )
    parser.add_argument(
        f"--{prefix}blackbody-sd-c", type=_SD_C, default=0.05, metavar="C",
        help="its standard uncertainty, °C (%(default)s)",
    )  # fmt: skip


def _radiometry(context: StepContext) -> Procedure:
    from calibration.radiometry import RadiometryProcedure
    from calibration.radiometry_solution import Setup

    options, calibration, here = context.options, context.calibration, context.settings.measurement
    return RadiometryProcedure(
        Setup(
            size_px=(calibration.thermal.width_px, calibration.thermal.height_px),
            focal_px=calibration.thermal.fx_px,
            set_points_c=options["set_points"],
            aperture_m=float(options["aperture_mm"]) / 1000,
            emissivity=float(options["blackbody_emissivity"]),
            set_point_sd_c=float(options["blackbody_sd_c"]),
            ambient_c=here.ambient_c,
            humidity=here.humidity,
            known=calibration.radiometry,
            reference=calibration.reference,
        )
    )


def _reference_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plate-c",
        type=within(25.0, 45.0, "°C"),
        metavar="C",
        help="the plate's set point, °C (default: as calibrated before, or 36.5)",
    )
    parser.add_argument(
        "--plate-sd-c", type=_SD_C, default=0.05, metavar="C", help="its standard uncertainty, °C (%(default)s)"
    )
    parser.add_argument(
        "--plate-emissivity", type=_EMISSIVITY, metavar="E", help="default: as calibrated before, or 0.95"
    )
    parser.add_argument(
        "--plate-emissivity-sd", type=within(0.0, 0.2), metavar="E",
        help="its standard uncertainty (default: as calibrated before, or 0.02)",
    )  # fmt: skip
    parser.add_argument(
        "--beside-blackbody-c", type=_BLACKBODY_C, metavar="C",
        help="a blackbody at this set point stands in view: the plate's emissivity is found",
    )  # fmt: skip
    _blackbody_arguments(parser, "beside-")


def _reference(context: StepContext) -> Procedure:
    from calibration.reference import ReferenceProcedure, ReferenceSetup

    options, calibration, here = context.options, context.calibration, context.settings.measurement
    known, beside_c = calibration.reference, options["beside_blackbody_c"]
    plate_c = options["plate_c"]
    emissivity, emissivity_sd, beside_before = _plate_emissivity(options, known)
    return ReferenceProcedure(
        ReferenceSetup(
            size_px=(calibration.thermal.width_px, calibration.thermal.height_px),
            focal_px=calibration.thermal.fx_px,
            set_point_c=float(plate_c if plate_c is not None else known.set_point_c if known else 36.5),
            set_point_sd_c=float(options["plate_sd_c"]),
            emissivity=emissivity,
            emissivity_sd=emissivity_sd,
            beside_before=beside_before,
            ambient_c=here.ambient_c,
            humidity=here.humidity,
            radiometry=calibration.radiometry,
            known_px=known.roi_px if known else None,
            blackbody_c=None if beside_c is None else float(beside_c),
            blackbody_emissivity=float(options["beside_blackbody_emissivity"]),
            blackbody_sd_c=float(options["beside_blackbody_sd_c"]),
            aperture_m=float(options["beside_aperture_mm"]) / 1000,
        )
    )


def _plate_emissivity(
    options: Mapping[str, Any], known: ReferenceCalibration | None
) -> tuple[float, float, BesideBlackbody | None]:
    """Returns emissivity, its standard uncertainty, and where it was found beside a blackbody: as entered, else as calibrated before."""
    from calibration.reference import EMISSIVITY, EMISSIVITY_SD

    entered, entered_sd, plate_c = (options[key] for key in ("plate_emissivity", "plate_emissivity_sd", "plate_c"))
    if entered is not None or known is None:
        return float(entered or EMISSIVITY), float(EMISSIVITY_SD if entered_sd is None else entered_sd), None
    if entered_sd is not None:
        return known.emissivity, float(entered_sd), None
    # What the plate showed beside a blackbody holds of the set point that it had then.
    same = plate_c is None or float(plate_c) == known.set_point_c
    return known.emissivity, known.emissivity_sd, known.beside_blackbody if same else None


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify-c", type=_BLACKBODY_C, default=37.0, metavar="C", help="the blackbody's set point, °C (%(default)s)"
    )
    _blackbody_arguments(parser, "verify-")
    parser.add_argument("--verify-paper", choices=("a4", "a3"), default="a4", help="sheet the tag is on (%(default)s)")
    parser.add_argument(
        "--verify-ruler-mm", type=ruler_mm, metavar="MM", help="length of the ruler printed beside the tag, as measured"
    )


def _verify(context: StepContext) -> Procedure:
    from calibration import board as boards
    from calibration.verify import VerifyProcedure, VerifySetup

    options, here = context.options, context.settings.measurement
    measured_mm = options["verify_ruler_mm"]
    scale = 1.0 if measured_mm is None else boards.ruler_scale(float(measured_mm))
    return VerifyProcedure(
        VerifySetup(
            calibration=context.calibration,
            blackbody_c=float(options["verify_c"]),
            emissivity=float(options["verify_blackbody_emissivity"]),
            blackbody_sd_c=float(options["verify_blackbody_sd_c"]),
            aperture_m=float(options["verify_aperture_mm"]) / 1000,
            ambient_c=here.ambient_c,
            humidity=here.humidity,
            tag=boards.scaled_tag(boards.PAPERS[str(options["verify_paper"])].tag, scale),
            ruler_mm=None if measured_mm is None else float(measured_mm),
        )
    )


REFERENCE = Step(name="reference", make=_reference, add_arguments=_reference_arguments, needs="thermal")
RADIOMETRY = Step(name="radiometry", make=_radiometry, add_arguments=_radiometry_arguments, needs="thermal")
VERIFY = Step(name="verify", make=_verify, add_arguments=_verify_arguments, needs="both", changes=False)
