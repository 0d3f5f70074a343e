"""Recordings as cameras."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.camera_file import FileCamera, natural_key
from robot.errors import ConfigError, DeviceError, DeviceTimeout, EndOfStream
from robot.types import CameraShot


def write_image(path: Path, value: int, width_px: int = 64, height_px: int = 48) -> bytes:
    image = np.full((height_px, width_px, 3), value, np.uint8)
    assert cv2.imwrite(str(path), image)
    return path.read_bytes()


def write_video(path: Path, values: list[int], rate_hz: float) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (64, 48))
    assert writer.isOpened()
    for value in values:
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()


def brightness(shot: CameraShot) -> float:
    frame = shot.decode(1)
    assert frame is not None
    return float(frame.image_bgr.mean())


def read_all(camera: FileCamera) -> list[int]:
    values: list[int] = []
    with pytest.raises(EndOfStream, match="end of file after"):
        while True:
            frame = camera.read(5)
            assert frame.seq == len(values)
            values.append(round(brightness(frame)))
    return values


def test_folder_in_natural_order_with_broken_images_counted(tmp_path: Path) -> None:
    write_image(tmp_path / "img10.JPG", 100)
    write_image(tmp_path / "img2.png", 20)
    write_image(tmp_path / "img3.bmp", 30)
    write_image(tmp_path / "img4.webp", 40)
    torn = write_image(tmp_path / "img5.jpg", 50)
    (tmp_path / "img5.jpg").write_bytes(torn[:-10])
    (tmp_path / "img6.png").write_bytes(b"no picture")
    (tmp_path / "img7.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not an image")
    camera = FileCamera(tmp_path, "walk", as_fast_as_possible=True)
    assert read_all(camera) == [20, 30, 40, 100]
    assert camera.faults == {"truncated_jpeg": 1, "unreadable_image": 2}
    assert camera.info.model == "7 images"
    camera.close()
    camera.close()
    with pytest.raises(DeviceError, match="closed"):
        camera.read(0.1)


def test_only_jpeg_is_reduced_and_keeps_its_original(tmp_path: Path) -> None:
    original = write_image(tmp_path / "1.jpg", 10, 101, 50)
    write_image(tmp_path / "2.png", 20, 101, 50)
    camera = FileCamera(tmp_path, "a", as_fast_as_possible=True)
    first, second = camera.read(1), camera.read(1)
    assert first.full_size_px == second.full_size_px == (101, 50)
    for shot, shape, kept in ((first, (13, 26, 3), original), (second, (50, 101, 3), None)):
        frame = shot.decode(4)
        assert frame is not None and frame.image_bgr.shape == shape
        assert frame.full_size_px == (101, 50) and frame.jpeg == shot.jpeg == kept
    assert first.camera == second.camera == "a"
    camera.close()


def test_video_at_its_own_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "walk.avi", [10, 60, 110, 160, 210], 50)
    camera = FileCamera(tmp_path / "walk.avi", "a")
    frames = [camera.read(5) for _ in range(5)]
    assert [round(brightness(frame), -1) for frame in frames] == [10, 60, 110, 160, 210]
    assert np.diff([frame.t_mono_ns for frame in frames]).tolist() == [20_000_000] * 4
    assert frames[-1].t_mono_ns <= time.monotonic_ns()
    with pytest.raises(EndOfStream):
        camera.read(5)
    with pytest.raises(EndOfStream):
        camera.read(5)
    camera.close()


def test_video_and_folder_loop(tmp_path: Path) -> None:
    write_video(tmp_path / "walk.avi", [10, 200], 10)
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "1.png", 10)
    write_image(tmp_path / "images" / "2.png", 200)
    for path in (tmp_path / "walk.avi", tmp_path / "images"):
        camera = FileCamera(path, "a", loop=True, as_fast_as_possible=True)
        frames = [camera.read(5) for _ in range(5)]
        assert [brightness(frame) > 100 for frame in frames] == [False, True, False, True, False]
        assert [frame.seq for frame in frames] == [0, 1, 2, 3, 4]
        camera.close()


def test_loop_over_files_that_vanished_ends_in_an_error(tmp_path: Path) -> None:
    write_image(tmp_path / "1.png", 10)
    camera = FileCamera(tmp_path, "a", loop=True, as_fast_as_possible=True)
    (tmp_path / "1.png").unlink()
    camera.read(1)
    with pytest.raises(DeviceError, match="can no longer be read") as caught:
        camera.read(1)
    assert not isinstance(caught.value, EndOfStream)


def test_not_yet_due_is_a_timeout_and_loses_nothing(tmp_path: Path) -> None:
    for value in (10, 20):
        write_image(tmp_path / f"{value}.png", value)
    camera = FileCamera(tmp_path, "a", rate_hz=5)
    first = camera.read(0)
    with pytest.raises(DeviceTimeout):
        camera.read(0.01)
    second = camera.read(5)
    assert (second.seq, second.t_mono_ns - first.t_mono_ns) == (1, 200_000_000)
    assert brightness(second) == 20
    camera.close()


def test_close_in_another_thread_ends_a_read(tmp_path: Path) -> None:
    write_image(tmp_path / "1.png", 1)
    camera = FileCamera(tmp_path, "a", rate_hz=0.5, loop=True)
    camera.read(0)
    threading.Timer(0.05, camera.close).start()
    with pytest.raises(DeviceError, match="closed"):
        camera.read(20)


def test_one_image_is_a_recording_too(tmp_path: Path) -> None:
    write_image(tmp_path / "photo.jpg", 90)
    camera = FileCamera(tmp_path / "photo.jpg", "a", as_fast_as_possible=True)
    assert read_all(camera) == [90]
    camera.close()


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such file or folder"):
        FileCamera(tmp_path / "absent.mp4", "a")
    with pytest.raises(DeviceError, match="the folder holds no image"):
        FileCamera(tmp_path, "a")
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(DeviceError, match=r"broken\.mp4: cannot be read as a video"):
        FileCamera(tmp_path / "broken.mp4", "a")
    (tmp_path / "broken.png").write_bytes(b"x")
    with pytest.raises(DeviceError, match=r"nothing in it can be read as a picture \(unreadable_image 1\)"):
        FileCamera(tmp_path, "a")
    for rate_hz in (0.1, 1000, -1):
        with pytest.raises(ConfigError, match="rate_hz"):
            FileCamera(tmp_path, "a", rate_hz=rate_hz)


def test_natural_order() -> None:
    names = ["b1.jpg", "a10.jpg", "A2.jpg", "a1b10.jpg", "a1b9.jpg", "3.jpg", "10.jpg"]
    assert sorted(names, key=natural_key) == ["3.jpg", "10.jpg", "a1b9.jpg", "a1b10.jpg", "A2.jpg", "a10.jpg", "b1.jpg"]
