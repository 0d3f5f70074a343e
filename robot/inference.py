"""The face detectors that settings ask for, what they run on, and everything else that events depend on beside what devices send."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import metadata

from calibration import files
from models.manifest import face_detector
from models.prepare import prepared
from models.session import YuNetSession
from robot import config
from robot.attention import CROP_PX, CROPS_MAX
from robot.config import Settings
from robot.detect import Detector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inference:
    """What the network really runs on."""

    providers: tuple[str, ...]
    """The first does the work."""
    notes: tuple[str, ...]
    """One line for each preferred provider that is not used."""


def open_detectors(settings: Settings) -> tuple[Detector, Detector | None, Inference]:
    """Returns the detector for whole pictures, for attention the one for crops, and what they run on."""
    detection = settings.detection

    def session(network_px: tuple[int, int], slots: int) -> YuNetSession:
        return YuNetSession(
            prepared(*network_px), slots=slots, threads=detection.threads, providers=detection.providers
        )

    sizes = dict.fromkeys(camera.network_px for camera in settings.cameras)
    sessions = {network_px: session(network_px, len(settings.cameras)) for network_px in sizes}
    by_camera = {camera.name: sessions[camera.network_px] for camera in settings.cameras}
    first = next(iter(sessions.values()))
    inference = Inference(first.providers, first.provider_notes)
    for note in inference.notes:
        log.warning("%s", note)
    whole = Detector(first, by_camera, score_min=detection.score_min, nms_iou=detection.nms_iou)
    if not settings.attention.enabled:
        return whole, None, inference
    close = Detector(session(CROP_PX, CROPS_MAX), score_min=detection.score_min, nms_iou=detection.nms_iou)
    return whole, close, inference


def made_with(settings: Settings, calibration: files.Calibration) -> dict[str, str]:
    """Returns what events depend on beside what devices send: a recording names it, a replay compares it."""
    libraries = {name: metadata.version(name) for name in ("numpy", "opencv-python", "onnxruntime")}
    detector = face_detector()
    return {
        "software": metadata.version("patrol-robot"),
        "settings": config.sha256(settings),
        "calibration": calibration.id,
        "detector": f"{detector.name} {detector.sha256[:16]}",
        **libraries,
    }
