"""What the simulated cameras' links do to pictures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.camera_faults import CameraWire
from simulators.scenario import CameraFault

PERIOD_NS = 100_000_000


def sent(kind: str, count: int = 40, from_s: float = 1.0) -> list[list[tuple[bytes, int]]]:
    """What arrives at each tick of a tenth of a second; the fault is there from `from_s` on. A picture's bytes are its number."""
    wire = CameraWire(
        [CameraFault(kind, "front", from_s)],  # type: ignore[arg-type]
        lambda picture: bytes([picture.shape[0], picture[0, 0, 0], *b"JPEG"]),
    )

    def picture(number: int) -> NDArray[np.uint8]:
        return np.full((8, 12, 3), number, np.uint8)

    return [wire.send(lambda n=n: picture(n), n / 10, n * PERIOD_NS) for n in range(count)]  # type: ignore[misc]


def numbers(arrived: list[list[tuple[bytes, int]]]) -> list[int | None]:
    assert all(len(tick) <= 1 for tick in arrived)
    return [tick[0][1] // PERIOD_NS if tick else None for tick in arrived]


def test_no_fault_changes_nothing() -> None:
    arrived = sent("black", from_s=100.0)
    assert numbers(arrived) == list(range(40)) and arrived[7] == [(bytes([8, 7, *b"JPEG"]), 7 * PERIOD_NS)]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("black", bytes([8, 0, *b"JPEG"])),
        ("wrong_size", bytes([4, 20, *b"JPEG"])),
        ("truncated_jpeg", bytes([8, 20, *b"J"])),
        ("garbage", bytes([8, 20, *b"JPEG"])[::-1]),
        ("freeze", bytes([8, 9, *b"JPEG"])),
    ],
)
def test_what_is_in_the_picture(kind: str, body: bytes) -> None:
    assert sent(kind)[20] == [(body, 20 * PERIOD_NS)]


def test_when_it_comes() -> None:
    assert numbers(sent("stop"))[10:] == [None] * 30
    assert numbers(sent("late"))[10:] == [None] * 20 + list(range(10, 20))
    assert numbers(sent("slow"))[10:27] == [None] * 14 + [19, None, None]
    assert numbers(sent("out_of_order"))[10:19] == [None, 11, 10, 13, 12, 15, 14, 17, 16]
