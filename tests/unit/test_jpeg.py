"""What is said of a JPEG without decoding agrees with OpenCV's encoder and decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera_file import FileCamera
from drivers.jpeg import is_complete, size_px
from drivers.jpeg_image import decode


def picture(width_px: int, height_px: int, *flags: int) -> bytes:
    image = np.random.default_rng(1).integers(0, 255, (height_px, width_px, 3), np.uint8)
    return cv2.imencode(".jpg", image, list(flags))[1].tobytes()


def exif_turned(data: bytes, orientation: int, order: Literal["big", "little"] = "big", before: int = 0) -> bytes:
    """Adds an Exif segment with the orientation, and with so many other numbers before it."""
    tiff = (b"MM" if order == "big" else b"II") + (42).to_bytes(2, order) + (8).to_bytes(4, order)
    tiff += (before + 1).to_bytes(2, order)
    for tag, value in [(0x0100 + number, 7) for number in range(before)] + [(0x0112, orientation)]:
        tiff += (
            tag.to_bytes(2, order)
            + (3).to_bytes(2, order)
            + (1).to_bytes(4, order)
            + value.to_bytes(2, order)
            + bytes(2)
        )
    body = b"Exif\x00\x00" + tiff + bytes(4)
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize(("width_px", "height_px"), [(64, 48), (1283, 723), (9, 17)])
def test_size_and_completeness(width_px: int, height_px: int, progressive: int) -> None:
    data = picture(width_px, height_px, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    assert size_px(data) == (width_px, height_px)
    assert is_complete(data)
    assert is_complete(data + b"trailer of a phone")
    for cut in (1, 2, len(data) // 2, len(data) - 20, len(data) - 3):
        assert not is_complete(data[:-cut])


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_scaled_decoding_keeps_the_full_size(scale: int) -> None:
    image, full_size_px = decode(picture(1283, 723), scale) or pytest.fail("not decoded")
    assert full_size_px == (1283, 723)
    assert image.shape == (-(-723 // scale), -(-1283 // scale), 3)


@pytest.mark.parametrize("scale", [1, 2])
def test_full_size_follows_exif_rotation(scale: int) -> None:
    image, full_size_px = decode(exif_turned(picture(101, 51), 6), scale) or pytest.fail("not decoded")
    assert full_size_px == (51, 101)
    assert image.shape[0] > image.shape[1]


@pytest.mark.parametrize(("order", "before"), [("big", 0), ("little", 0), ("little", 5), ("big", 3)])
@pytest.mark.parametrize("orientation", range(10))
def test_the_size_is_told_before_decoding_as_it_is_afterwards(
    orientation: int, order: Literal["big", "little"], before: int
) -> None:
    """What is planned for a picture that nobody has decoded yet lies where it will be."""
    data = exif_turned(picture(101, 51), orientation, order, before)
    assert is_complete(data)
    for scale in (1, 2, 4, 8):
        image, full_size_px = decode(data, scale) or pytest.fail("not decoded")
        assert size_px(data) == full_size_px
        assert image.shape[:2] == tuple(-(-side // scale) for side in reversed(full_size_px))


def test_a_folder_of_turned_pictures_says_their_size_before_they_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(exif_turned(picture(101, 51), 6))
    camera = FileCamera(tmp_path, "front", as_fast_as_possible=True)
    shot = camera.read(1.0)
    camera.close()
    assert shot.full_size_px == (51, 101) == (camera.info.width_px, camera.info.height_px)
    for scale in (1, 2, 4, 8):
        frame = shot.decode(scale)
        assert frame is not None and frame.full_size_px == shot.full_size_px


@given(st.binary(max_size=80), st.integers(1, 60))
def test_damaged_exif_data_turns_no_plan(noise: bytes, at: int) -> None:
    """Whatever OpenCV makes of it, the frame's size is that of its picture."""
    data = exif_turned(picture(101, 51), 6, "little", 2)
    broken = data[: 6 + at] + noise + data[6 + at + len(noise) :]
    decoded = decode(broken, 2)
    if decoded is not None:
        image, (width_px, height_px) = decoded
        assert image.shape[:2] == (-(-height_px // 2), -(-width_px // 2))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_nonsense_is_refused_not_raised(noise: bytes, at: int) -> None:
    data = picture(16, 16)
    broken = data[:at] + noise + data[at + len(noise) :]
    for candidate in (noise, b"\xff\xd8\xff" + noise, broken):
        is_complete(candidate)
        size_px(candidate)
    assert decode(noise, 1) is None


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_header_that_claims_more_than_any_camera_has_is_damage(progressive: int) -> None:
    data = bytearray(picture(64, 48, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive))
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[at : at + 4] = (9000).to_bytes(2, "big") * 2
    assert size_px(bytes(data)) == (9000, 9000)
    assert decode(bytes(data), 8) is None
    data[at : at + 4] = (48).to_bytes(2, "big") + (80).to_bytes(2, "big")
    assert decode(bytes(data), 1) is not None
