"""The GStreamer driver before a real GStreamer, where the system's own Python has an OpenCV with it (apt-get install python3-opencv
gstreamer1.0-plugins-base); pip's OpenCV has none."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]
PROBE = "import sys, cv2; sys.exit('GStreamer:                   YES' not in cv2.getBuildInformation())"
DRIVE = """
import json
from drivers.address import parse
from drivers.camera_gstreamer import GstreamerCamera
from robot.errors import DeviceError

def camera(pipeline):
    return GstreamerCamera(parse("gstreamer:" + pipeline), "front")

source = "videotestsrc pattern=ball {} ! video/x-raw,width=320,height=240,framerate=20/1 ! videoconvert ! video/x-raw,format=BGR"
said = {"errors": []}
one = camera(source.format("is-live=true"))
shots = [one.read(2.0) for _ in range(10)]
said["info"] = [one.info.width_px, one.info.height_px]
said["times"] = [shot.t_mono_ns for shot in shots]
said["seqs"] = [shot.seq for shot in shots]
frame = shots[-1].decode(4)
said["shape"], said["moves"] = list(frame.image_bgr.shape), bool((frame.image_bgr != shots[0].decode(1).image_bgr).any())
one.close()
one.close()
for pipeline in ("nosuchsource", source.format("num-buffers=3")):
    try:
        one = camera(pipeline)
        for _ in range(9):
            one.read(2.0)
    except DeviceError as error:
        said["errors"].append(str(error))
print(json.dumps(said))
"""


def has_gstreamer() -> bool:
    if not os.access(PYTHON, os.X_OK):
        return False
    return subprocess.run([PYTHON, "-c", PROBE], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_gstreamer(), reason="the system's Python has no OpenCV with GStreamer")
def test_a_real_pipeline_runs_ends_and_fails_in_words() -> None:
    done = subprocess.run([PYTHON, "-c", DRIVE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["info"] == [320, 240] and said["shape"] == [240, 320, 3] and said["moves"]
    assert said["seqs"] == list(range(1, 11)) and said["times"] == sorted(set(said["times"]))
    never, ended = said["errors"]
    assert "does not start" in never and "gst-launch-1.0 nosuchsource" in never
    assert "ended" in ended
