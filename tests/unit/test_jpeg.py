"""What is said of a JPEG without decoding agrees with OpenCV's encoder and decoder."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.jpeg import is_complete, size_px
from drivers.jpeg_image import decode


def picture(width_px: int, height_px: int, *flags: int) -> bytes:
    image = np.random.default_rng(1).integers(0, 255, (height_px, width_px, 3), np.uint8)
    return cv2.imencode(".jpg", image, list(flags))[1].tobytes()


def exif_turned(data: bytes, orientation: int) -> bytes:
    """Adds an Exif segment that carries nothing but the orientation."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation, 0, 0]) + bytes(4)
    body = b"Exif\x00\x00" + tiff
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
