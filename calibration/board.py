"""The calibration targets: a ChArUco board for the lenses, an ArUco tag with a warm spot for the registration.

Both share one dictionary and no marker, so that one cannot be taken for the other. Frame of a target: origin in its middle,
x right and y down as its front is read, z into it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
from msgspec import Meta

from calibration.results import Say
from robot.errors import CalibrationError
from robot.types import F64, U8

DICTIONARY = "DICT_5X5_100"
OTHER_DICTIONARIES = ("DICT_4X4_100", "DICT_6X6_250", "DICT_7X7_100", "DICT_ARUCO_ORIGINAL", "DICT_APRILTAG_36h11")
"""Looked for when nothing of our own is found, to tell a wrong board from none."""
RULER_MM = 100.0
"""Length of the ruler printed beside each target."""
RULER_TOLERANCE = 0.005
"""Printers that scale do so by 3 % or more; a ruler is read to half a millimetre."""

Length = Annotated[float, Meta(gt=0.005, lt=2.0)]


class BoardSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ChArUco board: a chessboard whose white squares carry markers 0, 1, 2 …"""

    squares_x: Annotated[int, Meta(ge=3, le=20)] = 9
    squares_y: Annotated[int, Meta(ge=3, le=20)] = 6
    square_m: Length = 0.028
    marker_share: Annotated[float, Meta(gt=0.4, lt=0.95)] = 0.75
    """Edge of a marker as a share of its square's."""
    dictionary: str = DICTIONARY

    @property
    def size_m(self) -> tuple[float, float]:
        return self.squares_x * self.square_m, self.squares_y * self.square_m

    @property
    def corner_count(self) -> int:
        return (self.squares_x - 1) * (self.squares_y - 1)

    @property
    def marker_count(self) -> int:
        return self.squares_x * self.squares_y // 2

    def charuco(self) -> cv2.aruco.CharucoBoard:
        """Returns OpenCV's form of the board, in metres."""
        edge_m = self.square_m * self.marker_share
        return cv2.aruco.CharucoBoard(
            (self.squares_x, self.squares_y), self.square_m, edge_m, dictionary(self.dictionary)
        )

    def corners_m(self) -> F64:
        """Returns the inner corners (n × 3) by number, in OpenCV's frame of the board: origin in its upper left corner."""
        corners: F64 = np.asarray(self.charuco().getChessboardCorners(), dtype=np.float64).reshape(-1, 3)
        return corners

    def image(self, px_per_square: int) -> U8:
        """Returns the board as printed, without margin (grey)."""
        size = (self.squares_x * px_per_square, self.squares_y * px_per_square)
        return np.asarray(self.charuco().generateImage(size, marginSize=0, borderBits=1), dtype=np.uint8)


class TagSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ArUco tag with a heated disc behind its middle, warmer than anything beside it."""

    edge_m: Length = 0.16
    """Of the black square."""
    spot_m: Length = 0.04
    """Diameter of the heated disc."""
    tag_id: Annotated[int, Meta(ge=0, le=99)] = 90
    dictionary: str = DICTIONARY

    def corners_m(self) -> F64:
        """Returns the black square's corners (4 × 3) in the tag's frame, in the order in which OpenCV finds them."""
        half = self.edge_m / 2
        return np.array([(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)])

    def image(self, px_per_cell: int) -> U8:
        """Returns the black square as printed (grey): 7 × 7 cells for a 5 × 5 code."""
        coded = dictionary(self.dictionary)
        side = (int(coded.markerSize) + 2) * px_per_cell
        return np.asarray(cv2.aruco.generateImageMarker(coded, self.tag_id, side), dtype=np.uint8)


class Paper(msgspec.Struct, frozen=True):
    """A sheet, lying, and the targets that fit on it."""

    name: str
    width_mm: float
    height_mm: float
    board: BoardSpec
    tag: TagSpec


PAPERS = {
    "a4": Paper("A4", 297.0, 210.0, BoardSpec(square_m=0.028), TagSpec(edge_m=0.16, spot_m=0.04)),
    "a3": Paper("A3", 420.0, 297.0, BoardSpec(square_m=0.040), TagSpec(edge_m=0.24, spot_m=0.06)),
}


def dictionary(name: str) -> cv2.aruco.Dictionary:
    """Returns OpenCV's marker dictionary of that name; raises CalibrationError."""
    number = getattr(cv2.aruco, name, None) if name.startswith("DICT_") else None
    if number is None:
        raise CalibrationError(f"{name}: OpenCV has no marker dictionary of this name (ours is {DICTIONARY})")
    return cv2.aruco.getPredefinedDictionary(number)


def ruler_scale(measured_mm: float) -> float:
    """Returns the printed size over the intended one from the printed ruler's length.

    Raises CalibrationError where that is not a scale any printer makes: the ruler was read in other units or another line
    was measured. A scale within 0.5 % counts as 1.
    """
    scale = measured_mm / RULER_MM
    if not 0.8 <= scale <= 1.25:
        raise CalibrationError(
            f"the printed ruler is {RULER_MM:g} mm long; {measured_mm:g} mm is no possible reading of it "
            "(measure from the first to the last mark, in millimetres)"
        )
    return 1.0 if abs(scale - 1) <= RULER_TOLERANCE else scale


def scaled_board(spec: BoardSpec, scale: float) -> BoardSpec:
    """Returns the board as a printer that scales has made it."""
    return msgspec.structs.replace(spec, square_m=spec.square_m * scale)


def equipment(kind: Literal["board", "tag"], edge_m: float, ruler_mm: float | None) -> Say:
    """Returns what the report says of a printed target: a square's or the tag's edge, and whether its ruler was measured."""
    key = f"equip.{kind}_unmeasured" if ruler_mm is None else f"equip.{kind}"
    return Say(key, {"edge_mm": round(1e3 * edge_m, 2), "ruler_mm": 0.0 if ruler_mm is None else ruler_mm})


def scaled_tag(spec: TagSpec, scale: float) -> TagSpec:
    """Returns the tag as a printer that scales has made it; the heated disc is not printed and keeps its size."""
    return msgspec.structs.replace(spec, edge_m=spec.edge_m * scale)
