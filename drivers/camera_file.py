"""Camera made of a recording: a video, a folder of images, or one image, at its own pace or as fast as possible."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np

from drivers.jpeg import SOI, is_complete, size_px
from drivers.jpeg_image import LateFaults, loader
from robot.errors import ConfigError, DeviceError, DeviceTimeout, EndOfStream
from robot.types import U8, CameraShot, DeviceInfo

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_DEFAULT_IMAGE_RATE_HZ = 2.0
_DEFAULT_VIDEO_RATE_HZ = 10.0
_RATES_HZ = (0.5, 240.0)
_MAX_LATENESS_NS = 1_000_000_000
_UNREADABLE = "unreadable_image"


@dataclass(frozen=True, slots=True)
class _Picture:
    load: Callable[[int], tuple[U8, tuple[int, int]] | None]
    full_size_px: tuple[int, int]
    jpeg: bytes | None


def _decoded(image_bgr: U8) -> _Picture:
    """A picture that came decoded: at full size, whatever scale is asked for."""
    size_px = (image_bgr.shape[1], image_bgr.shape[0])
    return _Picture(lambda scale: (image_bgr, size_px), size_px, None)


class _Source(Protocol):
    """Pictures in order; None at the end."""

    model: str
    rate_hz: float

    def next(self) -> _Picture | None: ...
    def rewind(self) -> None: ...
    def close(self) -> None: ...


class FileCamera:
    """A recording as a camera. Raises DeviceError if nothing in `path` can be read, ConfigError for settings out of range.

    Frames come at `rate_hz`, or the video's own rate, or 2 Hz for images; with `as_fast_as_possible` without a pause. No frame is
    left out: after a delay of more than a second the timetable moves. `loop` starts over at the end, otherwise `read` raises
    EndOfStream. JPEG files are decoded when somebody asks for it, at the scale asked for; everything else comes at full size.
    """

    def __init__(
        self,
        path: str | Path,
        name: str,
        rate_hz: float | None = None,
        loop: bool = False,
        as_fast_as_possible: bool = False,
    ) -> None:
        if rate_hz is not None and not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
            raise ConfigError(
                f"rate_hz: {rate_hz:g} is not between {_RATES_HZ[0]:g} and {_RATES_HZ[1]:g} frames a second"
            )
        self._path = Path(path).expanduser()
        self._name = name
        self._loop = loop
        self._faults: Counter[str] = Counter()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._seq = 0
        self._due_ns: int | None = None
        self._late_faults = LateFaults()
        self._source = _open(self._path, self._faults, self._late_faults)
        self._period_ns = 0 if as_fast_as_possible else round(1e9 / (rate_hz or self._source.rate_hz))
        first = self._source.next()
        if first is None:
            self._source.close()
            raise DeviceError(f"{self._path}: nothing in it can be read as a picture ({_spell(self._faults)})")
        self._pending: _Picture | None = first
        self._info = DeviceInfo(f"file:{self._path}", self._source.model, "", *first.full_size_px)

    @property
    def info(self) -> DeviceInfo:
        """Width and height of the first picture; images of a folder may differ."""
        return self._info

    @property
    def faults(self) -> Mapping[str, int]:
        """`truncated_jpeg`, `unreadable_image`: files left out, or found damaged when decoded."""
        return dict(self._faults + Counter(self._late_faults.counts()))

    def read(self, timeout_s: float) -> CameraShot:
        """Returns the next frame when it is due.

        Raises DeviceTimeout if that is later than `timeout_s` from now, EndOfStream after the last, DeviceError once closed.
        """
        picture = self._load()
        t_mono_ns = self._await_due(timeout_s)
        self._pending = None
        shot = CameraShot(self._name, self._seq, t_mono_ns, picture.full_size_px, picture.load, picture.jpeg)
        self._seq += 1
        return shot

    def close(self) -> None:
        """Idempotent; ends a waiting `read` in another thread."""
        self._closed.set()
        with self._lock:
            self._source.close()

    def _load(self) -> _Picture:
        """The next picture, read ahead of the moment at which it is due."""
        with self._lock:
            if self._closed.is_set():
                raise DeviceError(f"{self._path}: closed")
            if self._pending is None:
                self._pending = self._source.next()
            if self._pending is None and self._loop:
                self._source.rewind()
                self._pending = self._source.next()
                if self._pending is None:
                    raise DeviceError(f"{self._path}: can no longer be read ({_spell(self._faults)})")
            if self._pending is None:
                raise EndOfStream(f"{self._path}: end of file after {self._seq} frames")
            return self._pending

    def _await_due(self, timeout_s: float) -> int:
        now_ns = time.monotonic_ns()
        if self._due_ns is None or now_ns - self._due_ns > _MAX_LATENESS_NS or not self._period_ns:
            self._due_ns = now_ns
        wait_ns = self._due_ns - now_ns
        if wait_ns > 0:
            limited_s = min(wait_ns / 1e9, timeout_s)
            if self._closed.wait(limited_s):
                raise DeviceError(f"{self._path}: closed")
            if limited_s < wait_ns / 1e9:
                raise DeviceTimeout(f"{self._path}: the next frame is due later than {timeout_s:g} s from now")
        due_ns, self._due_ns = self._due_ns, self._due_ns + self._period_ns
        return due_ns


class _Images:
    """Files of a folder in natural order; those that cannot be read are counted and left out."""

    rate_hz = _DEFAULT_IMAGE_RATE_HZ

    def __init__(self, files: list[Path], faults: Counter[str], late_faults: LateFaults) -> None:
        self.model = f"{len(files)} image{'s' if len(files) > 1 else ''}"
        self._files = files
        self._faults = faults
        self._late_faults = late_faults
        self._index = 0

    def next(self) -> _Picture | None:
        while self._index < len(self._files):
            picture = self._read(self._files[self._index])
            self._index += 1
            if picture is not None:
                return picture
        return None

    def rewind(self) -> None:
        self._index = 0

    def close(self) -> None:
        self._index = len(self._files)

    def _read(self, file: Path) -> _Picture | None:
        try:
            data = file.read_bytes()
        except OSError:
            data = b""
        if data.startswith(SOI):
            if not is_complete(data):
                self._faults["truncated_jpeg"] += 1
                return None
            size = size_px(data)
            if size is not None:
                return _Picture(loader(data, self._late_faults, _UNREADABLE), size, data)
        else:
            image_bgr = _decode_other(data)
            if image_bgr is not None:
                return _decoded(image_bgr)
        self._faults[_UNREADABLE] += 1
        return None


class _Video:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture = self._open()
        own_rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        # Containers without a rate report 0, some report the time base (1000 and more).
        self.rate_hz = own_rate_hz if _RATES_HZ[0] <= own_rate_hz <= _RATES_HZ[1] else _DEFAULT_VIDEO_RATE_HZ
        self.model = f"video at {self.rate_hz:g} Hz"

    def next(self) -> _Picture | None:
        good, image = self._capture.read()
        if not good:
            return None
        image_bgr = cast(U8, image)
        return _decoded(image_bgr)

    def rewind(self) -> None:
        # Seeking to the start fails for some containers; opening again does not.
        self._capture.release()
        self._capture = self._open()

    def close(self) -> None:
        self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            capture.release()
            raise DeviceError(f"{self._path}: cannot be read as a video (is it a video file, and complete?)")
        return capture


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `img2` before `img10`, regardless of case."""
    return [
        (0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", name.casefold())
    ]


def _open(path: Path, faults: Counter[str], late_faults: LateFaults) -> _Source:
    try:
        return _choose(path, faults, late_faults)
    except PermissionError as error:
        raise DeviceError(f"{path}: may not be read by this user (check its owner and mode)") from error


def _choose(path: Path, faults: Counter[str], late_faults: LateFaults) -> _Source:
    if path.is_dir():
        files = [
            file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
        ]
        if not files:
            raise DeviceError(f"{path}: the folder holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
        return _Images(sorted(files, key=lambda file: natural_key(file.name)), faults, late_faults)
    if not path.exists():
        raise DeviceError(f"{path}: no such file or folder (a relative path starts from {Path.cwd()})")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _Images([path], faults, late_faults)
    return _Video(path)


def _decode_other(data: bytes) -> U8 | None:
    if not data:
        return None
    try:
        return cast("U8 | None", cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    except cv2.error:
        return None


def _spell(faults: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in faults.items()) or "it is empty"
