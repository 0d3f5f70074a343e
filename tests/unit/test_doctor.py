"""What the doctor makes of measured values, and what it asks the computer."""

from __future__ import annotations

import datetime as dt
import io
import json
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from small_station import calibration, settings

from robot import computer
from robot.doctor import checks, streams, view
from robot.doctor.checks import Finding, Level
from robot.doctor.run import ask_robot, from_health
from robot.doctor.streams import Stream
from robot.doctor.texts import CHECKS
from robot.texts import DETAILS
from robot.types import PlateReading, ThermalFrame
from simulators.sub_pages import SubPages

TENTH_NS = 100_000_000


def stream(count: int = 60, step_ns: int = TENTH_NS, age_ns: int = 40_000_000, **values: object) -> Stream:
    times = [10**9 + step_ns * index for index in range(count)]
    one = Stream("front", 10.0, times, [t_ns + age_ns for t_ns in times], 6.0, (1280, 720), {})
    return replace(one, **values)  # type: ignore[arg-type]


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings}


def test_a_good_stream_is_good_in_every_respect() -> None:
    assert set(levels(streams.stream(stream())).values()) == {Level.OK}


def test_a_picture_from_before_anybody_looked_says_nothing_of_the_cable() -> None:
    one = stream()
    old = [one.t_mono_ns[0] - 900_000_000, *one.t_mono_ns[1:]]
    assert levels(streams.stream(replace(one, t_mono_ns=old)))["timestamps"] is Level.OK
    late = [*one.t_mono_ns[:30], *(t_ns + 900_000_000 for t_ns in one.t_mono_ns[30:])]
    arrived = [t_ns + 40_000_000 for t_ns in late]
    assert levels(streams.stream(replace(one, t_mono_ns=late, t_arrived_ns=arrived)))["timestamps"] is Level.WARN


def test_a_file_system_without_any_room_is_no_bug() -> None:
    found = computer.disk(Path("/proc/not/there"))
    assert found.share == 0.0 and found.problem


def test_what_a_running_robot_says_of_its_devices() -> None:
    """A lens that is covered is no plug that is loose; both are told in both languages."""
    sends = {"alive": True, "rate_ok": True, "valid": True, "rate_hz": 9.9, "declared_hz": 10.0, "detail": ""}
    devices = {
        "front": sends,
        "left": sends | {"valid": False, "detail": "pictures show nothing: lens covered, fogged, or no light"},
        "right": sends | {"alive": False},
        "position": sends | {"valid": False, "detail": "no fix"},
    }
    health = {"screening": "unavailable", "reasons": ["no_camera"], "warnings": ["siren_quiet"], "devices": devices}
    found = {(finding.check, finding.device): finding for finding in from_health(health)}
    assert [key for key, finding in found.items() if finding.level is Level.FAIL] == [
        ("service", ""),
        ("valid", "left"),
        ("open", "right"),
    ]
    told = {key: finding.found.zh for key, finding in found.items()}
    assert told["service", ""].endswith("没有与热成像视野重合的可用摄像头") and "夜间模式" in told["warning", ""]
    assert told["valid", "left"].startswith("画面无内容") and told["open", "right"] == "无数据"
    assert found["place", "position"].level is Level.WARN and told["place", "position"] == "未定位"


@pytest.mark.parametrize(
    ("bad", "check", "level"),
    [
        (stream(count=0, error="no such device"), "open", Level.FAIL),
        (stream(error="unplugged"), "open", Level.FAIL),
        (stream(step_ns=125_000_000), "rate", Level.WARN),
        (stream(step_ns=200_000_000), "rate", Level.FAIL),
        (stream(age_ns=700_000_000), "timestamps", Level.FAIL),
        (stream(age_ns=-1), "timestamps", Level.FAIL),
        (stream(faults={"truncated_jpeg": 1}), "faults", Level.WARN),
        (stream(faults={"truncated_jpeg": 30}), "faults", Level.FAIL),
    ],
)
def test_what_is_wrong_is_named(bad: Stream, check: str, level: Level) -> None:
    assert levels(streams.stream(bad))[check] is level


def test_a_frozen_picture_and_a_covered_lens_are_told() -> None:
    noise = np.random.default_rng(1).integers(90, 150, (90, 160), np.uint8)
    good = streams.pictures(stream(grey=[noise, noise + 1]))
    frozen = streams.pictures(stream(grey=[noise, noise, noise]))
    dark = streams.pictures(stream(grey=[noise // 16, noise // 15]))
    assert levels(good) == {"exposure": Level.OK, "sharpness": Level.SKIP, "alive": Level.OK}
    assert levels(frozen)["alive"] is Level.WARN and levels(dark)["exposure"] is Level.WARN
    assert streams.pictures(stream())[0].level is Level.FAIL
    covered = streams.pictures(stream(grey=[noise // 16, noise // 15], blind=True))
    assert levels(covered)["exposure"] is Level.FAIL, "the robot takes such a camera for none"
    assert "sharpness" not in levels(covered), "one thing is wrong with it, and told"


def test_a_lens_out_of_focus_is_told() -> None:
    noise = np.random.default_rng(1).integers(90, 150, (90, 160), np.uint8)
    for spread, level in ((0.0, Level.OK), (0.003, Level.OK), (0.005, Level.WARN), (0.008, Level.FAIL)):
        found = streams.pictures(stream(grey=[noise, noise + 1], spread=spread))
        assert levels(found) == {"exposure": Level.OK, "sharpness": level, "alive": Level.OK}
    assert found[1].found == DETAILS["blurred"]


@pytest.mark.parametrize(
    ("ambient_c", "level"), [(16.0, Level.OK), (32.0, Level.OK), (10.0, Level.FAIL), (33.0, Level.FAIL)]
)
def test_air_in_which_nobody_is_screened_is_not_fit(ambient_c: float, level: Level) -> None:
    known = settings()
    air = msgspec.structs.replace(known.measurement, ambient_c=ambient_c)
    assert checks.ambient(msgspec.structs.replace(known, measurement=air)).level is level


def test_a_sensor_that_repeats_itself_is_quiet_and_not_fit() -> None:
    random = np.random.default_rng(3)
    live = [
        ThermalFrame(index, index * TENTH_NS, (30 + 0.1 * random.standard_normal((12, 16))).astype(np.float32))
        for index in range(40)
    ]
    assert streams.moves(live).level is Level.OK and streams.moves(live[:1]).level is Level.OK
    frozen = [*live[:10], *(replace(live[10], seq=one.seq, t_mono_ns=one.t_mono_ns) for one in live[10:])]
    found = streams.moves(frozen)
    assert found.level is Level.FAIL and "again and again" in found.found.en and "同一帧" in found.found.zh
    rail = [replace(one, temp_c=np.full_like(one.temp_c, 300.0 + one.seq)) for one in live]
    assert streams.moves(rail).level is Level.FAIL


def test_noise_is_held_against_the_calibrated_one() -> None:
    known = calibration()
    random = np.random.default_rng(2)
    shape = (known.thermal.height_px, known.thermal.width_px)

    def level(times: float) -> Level:
        sd_c = times * known.radiometry.netd_c
        return streams.noise(
            [(30 + sd_c * random.standard_normal(shape)).astype(np.float32) for _ in range(40)], known
        ).level

    assert (level(1.0), level(2.2), level(6.0)) == (Level.OK, Level.WARN, Level.FAIL)
    assert streams.noise([], known).level is Level.SKIP


def test_the_noise_of_a_sensor_that_measures_in_halves_is_that_of_its_pixels() -> None:
    known = calibration()
    random, shape = np.random.default_rng(2), (known.thermal.height_px, known.thermal.width_px)
    halves, now = SubPages(8.0), []
    for index in range(40):
        frame = (30 + known.radiometry.netd_c * random.standard_normal(shape)).astype(np.float32)
        halves.keep(frame, index / 8)
        now.append(frame)
    found = streams.noise(now, known)
    assert found.level is Level.OK and found.value == pytest.approx(known.radiometry.netd_c, rel=0.03)


@pytest.mark.parametrize("quantum_c", [0.0, 0.1])
def test_somebody_who_passes_close_by_is_no_noise(quantum_c: float) -> None:
    """Warm and as wide as a third of the picture, from one side to the other and back: every pixel sees them come and go."""
    known = calibration()
    random = np.random.default_rng(3)
    rows, columns = known.thermal.height_px, known.thermal.width_px
    frames = []
    for step in range(54):
        frame = 22 + known.radiometry.netd_c * random.standard_normal((rows, columns))
        centre = columns * abs((step / 27) % 2 - 1)
        near = np.abs(np.arange(columns) - centre) < columns / 6
        frame[:, near] += 9 + np.linspace(-2, 2, rows)[:, np.newaxis]
        frames.append((np.round(frame / quantum_c) * quantum_c if quantum_c else frame).astype(np.float32))
    found = streams.noise(frames, known)
    assert found.level is Level.OK and found.value == pytest.approx(
        known.radiometry.netd_c, rel=0.15 if not quantum_c else 0.5
    )
    broken = [frame + np.float32(1.0) * random.standard_normal(frame.shape, np.float32) for frame in frames]
    assert streams.noise(broken, known).level is Level.FAIL
    assert streams.noise([np.full((rows, columns), np.nan, np.float32)] * 5, known).level is Level.FAIL


def test_an_old_calibration_is_bad_only_where_it_is_refused() -> None:
    known = calibration()
    late = dt.datetime.fromisoformat(known.valid_until_utc) + dt.timedelta(days=1)
    found = levels(checks.calibration_findings(known, settings(), late))["calibration_age"]
    assert found is (Level.FAIL if settings().calibration.expired == "refuse" else Level.WARN)
    soon = dt.datetime.fromisoformat(known.valid_until_utc) - dt.timedelta(days=3)
    assert levels(checks.calibration_findings(known, settings(), soon))["calibration_age"] is Level.WARN


@pytest.mark.parametrize(
    ("flags", "level"), [(0, Level.OK), (1, Level.FAIL), (0x50000, Level.WARN), (4, Level.FAIL), (None, Level.SKIP)]
)
def test_the_supply_of_a_pi(flags: int | None, level: Level) -> None:
    assert checks.power(flags).level is level


def test_slow_usb_is_bad_for_a_camera_and_good_for_a_thermal_sensor() -> None:
    assert checks.usb("front", 12.0, "camera").level is Level.FAIL
    assert checks.usb("front", 480.0, "camera").level is Level.OK
    assert checks.usb("thermal", 12.0, "thermal").level is Level.OK


@given(st.floats(-1e6, 1e6), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_larger_value_is_never_better(value: float, look: float, more: float) -> None:
    order = [Level.OK, Level.WARN, Level.FAIL]
    now, then = checks.graded(value, look, look + more), checks.graded(value + 1, look, look + more)
    assert order.index(now) <= order.index(then)
    assert checks.graded(float("nan"), look, look + more) is Level.FAIL


def test_table_and_json_say_what_to_do() -> None:
    findings = [checks.temperature(90.0), checks.temperature(40.0), checks.clock(None, 0.0)]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(view.table(findings, "zh"))
    assert "清理风扇" in console.export_text()
    said = json.loads(json.dumps(view.as_json("r1", findings, False)))
    assert not said["fit"] and "fan" in said["findings"][0]["what_to_do"] and "what_to_do" not in said["findings"][1]
    assert "1 of 3" in view.verdict(findings, True, "en")


def test_the_plates_controller_is_asked_too() -> None:
    steady = PlateReading(1, 0, 35.02, steady=True)
    assert levels(streams.plate([steady], "")) == {"plate": Level.OK}
    assert levels(streams.plate([steady, replace(steady, steady=False)], "")) == {"plate": Level.WARN}
    assert levels(streams.plate([], "no such device")) == {"open": Level.FAIL}


def test_a_chinese_table_says_in_chinese_what_was_found() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(view.table(streams.stream(stream(model="SenXor")), "zh", everything=True))
    for words in ("SenXor, 1280×720", "应为 10 Hz", "延迟 40 ms", "60 帧中无错误"):
        assert words in out.getvalue()


def test_every_check_has_texts_in_both_languages() -> None:
    for name, (title, todo) in CHECKS.items():
        assert all((*title, *todo)), name


def test_the_computer_is_read_from_the_kernel(tmp_path: Path) -> None:
    zones = tmp_path / "sys/class/thermal"
    for number, text in enumerate(("48312\n", "garbage", "0\n", "61000\n")):
        (zones / f"thermal_zone{number}").mkdir(parents=True)
        (zones / f"thermal_zone{number}/temp").write_text(text)
    assert computer.hottest_c(tmp_path) == 61.0
    assert computer.hottest_c(tmp_path / "nothing") is None
    flags = tmp_path / "sys/devices/platform/soc/soc:firmware"
    flags.mkdir(parents=True)
    (flags / "get_throttled").write_text("50005\n")
    assert computer.throttled_flags(tmp_path) == 0x50005
    assert computer.throttled_flags(tmp_path / "nothing") is None


def test_usb_speed_is_that_of_the_port_above(tmp_path: Path) -> None:
    port = tmp_path / "sys/devices/usb1/1-2"
    (port / "1-2:1.0/ttyACM0").mkdir(parents=True)
    (port / "speed").write_text("480\n")
    (tmp_path / "sys/class/tty/ttyACM0").mkdir(parents=True)
    (tmp_path / "sys/class/tty/ttyACM0/device").symlink_to(port / "1-2:1.0")
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/ttyACM0").touch()
    (tmp_path / "dev/serial/by-id/usb-sensor").symlink_to("../../ttyACM0")
    assert computer.usb_mbit("/dev/serial/by-id/usb-sensor", tmp_path) == 480.0
    assert computer.usb_mbit("/dev/ttyS9", tmp_path) is None


def test_a_disk_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    found = computer.disk(tmp_path / "not/yet")
    assert found.free_bytes > 0 and found.write_s is not None and not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    problem = computer.disk(tmp_path / "file/deeper").problem
    assert problem is not None and "Not a directory: a file is where a folder should be" in problem.en
    assert "请将其移走" in problem.zh
    assert computer.disk(tmp_path / ("n" * 300)).problem is None, (
        "of a place that may not be looked at the next higher one tells"
    )
    known, error_s = computer.clock()
    assert known in (True, False, None) and error_s >= 0


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"robot": settings().robot.name, "screening": "available"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _SixOnly(HTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


def test_a_robot_that_listens_on_every_ipv6_address_is_asked_there() -> None:
    """Else its devices would be opened under its hands."""
    with _SixOnly(("::", 0), _Healthy) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            stream = {"host": "::", "tokens_file": "t.toml", "port": server.server_address[1]}
            assert (ask_robot(settings(stream=stream)) or {}).get("screening") == "available"
        finally:
            server.shutdown()
