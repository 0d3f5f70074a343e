"""The steps that find lenses and places, as the command line knows them."""

from __future__ import annotations

import argparse

from calibration.procedure import Procedure, Step, StepContext
from robot.errors import CalibrationError


def ruler_mm(text: str) -> float:
    """Returns the printed ruler's length as an argument gives it; for argparse's `type`."""
    from calibration.board import ruler_scale

    value = float(text)
    try:
        ruler_scale(value)
    except CalibrationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return value


def _intrinsics_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board-paper", choices=("a4", "a3"), default="a4", help="sheet the board is on (default %(default)s)"
    )
    parser.add_argument(
        "--board-ruler-mm",
        type=ruler_mm,
        metavar="MM",
        help="length of the ruler printed beside the board, as measured",
    )


def _intrinsics(context: StepContext) -> Procedure:
    from calibration.intrinsics import IntrinsicsProcedure

    options = context.options
    return IntrinsicsProcedure(context.calibration, context.camera, options["board_paper"], options["board_ruler_mm"])


def _registration_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tag-paper", choices=("a4", "a3"), default="a4", help="sheet the tag is on (default %(default)s)"
    )
    parser.add_argument(
        "--tag-ruler-mm", type=ruler_mm, metavar="MM", help="length of the ruler printed beside the tag, as measured"
    )


def _registration(context: StepContext) -> Procedure:
    from calibration.registration import RegistrationProcedure

    options = context.options
    return RegistrationProcedure(context.calibration, options["tag_paper"], options["tag_ruler_mm"])


INTRINSICS = Step(
    name="intrinsics", make=_intrinsics, add_arguments=_intrinsics_arguments, per_camera=True, needs="cameras"
)
REGISTRATION = Step(name="registration", make=_registration, add_arguments=_registration_arguments, needs="both")
