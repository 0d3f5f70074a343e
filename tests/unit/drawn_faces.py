"""Faces drawn with a few filled shapes, enough for the detector to find: test pictures without any person in them."""

from __future__ import annotations

import cv2
import numpy as np

from robot.types import U8

SHIFT = 4  # cv2 draws at a sixteenth of a pixel, so that sizes and places vary smoothly


def draw_face(image: U8, center: tuple[float, float], height_px: float, seed: int = 0, mask: bool = False) -> None:
    """Draws one frontal face of this height (chin to hairline) into the picture (BGR)."""
    rng = np.random.default_rng(seed)
    skin = np.array([135, 165, 215]) * rng.uniform(0.65, 1.1)
    hair = np.array([30, 35, 45]) * rng.uniform(0.5, 1.8)
    u = height_px / 2.6

    def ellipse(dx: float, dy: float, rx: float, ry: float, colour: object, start: float = 0, end: float = 360) -> None:
        x, y = round((center[0] + dx * u) * 2**SHIFT), round((center[1] + dy * u) * 2**SHIFT)
        axes = (max(1, round(rx * u * 2**SHIFT)), max(1, round(ry * u * 2**SHIFT)))
        bgr = tuple(float(c) for c in np.clip(np.asarray(colour, float), 0, 255))
        cv2.ellipse(image, (x, y), axes, 0, start, end, bgr, -1, cv2.LINE_AA, SHIFT)

    ellipse(0, 1.6, 0.5, 0.9, skin * 0.75)  # neck
    ellipse(0, -0.25, 1.12, 1.4, hair)
    for step in range(6):  # shading towards the middle
        f = 1 - 0.06 * step
        ellipse(0.02 * step, 0.05, 0.95 * f, 1.3 * f, skin * (0.8 + 0.045 * step))
    ellipse(0, -0.95, 0.8, 0.35, hair, 180, 360)
    for side in (-1, 1):
        ellipse(0.38 * side, -0.36, 0.24, 0.05, hair * 0.8)  # brow
        ellipse(0.38 * side, -0.14, 0.22, 0.12, skin * 0.7)
        ellipse(0.38 * side, -0.12, 0.18, 0.09, (235, 235, 235))  # sclera
        ellipse(0.38 * side, -0.12, 0.09, 0.09, (40, 45, 60))
    ellipse(0, 0.15, 0.09, 0.3, skin * 1.12)
    ellipse(0, 0.4, 0.2, 0.08, skin * 0.62)  # shadow under the nose
    ellipse(0, 0.75, 0.36, 0.12, (85, 85, 165))  # lips
    ellipse(0, 0.74, 0.34, 0.02, (45, 45, 95))
    if mask:
        ellipse(0, 0.62, 0.82, 0.62, (225, 215, 195))
        ellipse(0, 0.5, 0.75, 0.03, (190, 180, 160))


def scene(width_px: int, height_px: int, faces: int, seed: int, smallest_px: float = 24, masks: float = 0.3) -> U8:
    """Returns a picture (BGR) with a smooth, slightly noisy background and this many faces at random places, maybe overlapping."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 210, (5, 7, 3)).astype(np.float32)
    image: U8 = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    for index in range(faces):
        size_px = float(np.exp(rng.uniform(np.log(smallest_px), np.log(height_px * 0.45))))
        center = (float(rng.uniform(0, width_px)), float(rng.uniform(0, height_px)))
        draw_face(image, center, size_px, seed=seed * 1000 + index, mask=bool(rng.random() < masks))
    noise = rng.normal(0, 3, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)
