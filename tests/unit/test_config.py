"""Settings: a minimal file works, a wrong one tells everything at once, and junk is never more than a ConfigError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_station import settings, table

from robot import config, preflight
from robot.config import Settings
from robot.config_rules import TAKEN_NAMES
from robot.errors import ConfigError
from robot.health import Health

MINIMAL = """
[robot]
name = "p-1"
[[cameras]]
name = "front"
address = "v4l2:/dev/video0"
[thermal]
address = "senxor:/dev/ttyACM0"
[calibration]
file = "calibration.json"
"""


def problems(**sections: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings(**sections)
    return caught.value.problems


def test_a_minimal_file_takes_the_defaults_and_is_anchored_at_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "robot.toml"
    path.write_text(MINIMAL)
    found = config.load(path)
    assert found.screening.threshold_c == 37.3 and found.reference.required
    assert found.calibration.file == str(tmp_path / "calibration.json")
    assert found.store.path == str(tmp_path / "state" / "events.sqlite3")
    assert found.evidence.folder == str(tmp_path / "state" / "evidence")
    assert found.record.folder == str(tmp_path / "state" / "recordings")
    assert found.stream.tokens_file == found.stream.tls_cert == found.stream.tls_key == ""


def test_pictures_lie_beside_the_events_unless_the_settings_say_where() -> None:
    """Settings in /etc that name the database alone left pictures of people there, where nobody looks for them."""
    found = settings(store={"path": "/var/lib/patrol/events.sqlite3"})
    assert found.evidence.folder == "/var/lib/patrol/evidence" and found.record.folder == "/var/lib/patrol/recordings"
    found = settings(store={"path": "/"}, evidence={"folder": "~/e"}, record={"folder": "r"})
    assert found.evidence.folder == str(Path.home() / "e") and found.record.folder == "/robot/r"


def test_paths_are_anchored_wherever_the_command_is_called_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "robot.toml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/p")
    assert config.load(Path("etc/robot.toml")).calibration.file == str(tmp_path / "etc" / "calibration.json")
    found = settings(
        calibration={"file": "/var/lib/c.json"},
        store={"path": "~/events"},
        stream={"tokens_file": "t.toml", "tls_cert": "a/c.pem", "tls_key": "/k.pem"},
    )
    assert found.calibration.file == "/var/lib/c.json"
    assert found.store.path == "/home/p/events"
    assert found.stream.tokens_file == "/robot/t.toml"
    assert (found.stream.tls_cert, found.stream.tls_key) == ("/robot/a/c.pem", "/k.pem")


@pytest.mark.parametrize(
    ("address", "anchored"),
    [
        ("file:walk.mp4", "file:/robot/walk.mp4"),
        (" File:day 1/walk?loop=1&rate_hz=5", "file:/robot/day 1/walk?loop=1&rate_hz=5"),
        ("file:/var/lib/walk.mp4?loop=1", "file:/var/lib/walk.mp4?loop=1"),
        ("file:~/walk.mp4", "file:/home/p/walk.mp4"),
        ("file:", "file:"),
        ("file:?loop=1", "file:?loop=1"),
        ("http://127.0.0.1/file:x", "http://127.0.0.1/file:x"),
        ("v4l2:/dev/video0", "v4l2:/dev/video0"),
    ],
)
def test_recordings_are_anchored_as_other_paths_are(
    monkeypatch: pytest.MonkeyPatch, address: str, anchored: str
) -> None:
    monkeypatch.setenv("HOME", "/home/p")
    cameras = [{"name": "front", "address": address}]
    assert config.parse(table() | {"cameras": cameras}, Path("/robot")).cameras[0].address == anchored


def test_recordings_that_cannot_be_named_are_told() -> None:
    cameras = [{"name": "a", "address": "file:~nobody-of-that-name/x"}, {"name": "b", "address": "file:a\0b"}]
    with pytest.raises(ConfigError) as caught:
        config.parse(table() | {"cameras": cameras}, Path("/robot"))
    first, second = caught.value.problems
    assert first.startswith("cameras[0].address:") and "unknown user" in first
    assert second.startswith("cameras[1].address:") and "zero byte" in second


def test_every_kind_of_problem_at_once() -> None:
    broken = table(
        screening={"treshold_c": 37.0, "threshold_c": 37.25, "policy": "cohrt", "ambient_window_c": [30.0, 20.0]},
        alarm={"hold_s": -1},
        stream={"port": 70000, "host": "0.0.0.0", "tls_cert": "c.pem"},
        store={"retention_hours": "long"},
    )
    broken["cameras"] = [
        {"name": "front", "address": "v4l2:/dev/video0", "network_px": [640, 380]},
        {"name": "front"},
        {"name": "left side", "address": 3},
    ]
    del broken["thermal"]
    broken["thermol"] = {}
    with pytest.raises(ConfigError) as caught:
        config.parse(broken, Path("/robot"))
    found = caught.value.problems
    assert sorted(problem.split(": ")[0] for problem in found) == sorted(
        [
            "thermol",
            "thermal",
            "cameras",
            "cameras[0].network_px[1]",
            "cameras[1].address",
            "cameras[2].name",
            "cameras[2].address",
            "screening.treshold_c",
            "screening.threshold_c",
            "screening.policy",
            "screening.ambient_window_c",
            "alarm.hold_s",
            "stream.port",
            "stream.host",
            "stream.tls_cert and stream.tls_key",
            "store.retention_hours",
        ]
    )
    joined = "\n".join(found)
    for suggestion in ("did you mean 'thermal'?", "did you mean 'threshold_c'?", "did you mean 'cohort'?"):
        assert suggestion in joined


@pytest.mark.parametrize("name", TAKEN_NAMES)
def test_a_camera_may_not_be_called_like_another_stream(name: str) -> None:
    (problem,) = problems_of_cameras([{"name": name, "address": "v4l2:/dev/video0"}])
    assert name in problem and "rename" in problem


def problems_of_cameras(cameras: list[dict[str, Any]]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.parse(table() | {"cameras": cameras}, Path("/robot"))
    return caught.value.problems


def test_between_one_and_eight_cameras() -> None:
    camera = {"address": "v4l2:/dev/video0"}
    assert len(problems_of_cameras([])) == 1
    assert len(problems_of_cameras([camera | {"name": f"c{index}"} for index in range(9)])) == 1


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"screening": {"threshold_c": 39.1}}, "screening.threshold_c"),
        ({"screening": {"threshold_c": 37.35}}, "screening.threshold_c"),
        ({"screening": {"readings_min": 2}}, "screening.readings_min"),
        ({"screening": {"cohort_age_s": float("inf")}}, "screening.cohort_age_s"),
        ({"screening": {"cohort_age_s": 1e300}}, "screening.cohort_age_s"),
        ({"screening": {"ambient_window_c": [20.0, 20.0]}}, "screening.ambient_window_c"),
        ({"indicator": {"night": ["22:00"]}}, "indicator.night"),
        ({"indicator": {"night": ["22:00", "22:00"]}}, "indicator.night"),
        ({"indicator": {"night": ["22:00", "24:00"]}}, "indicator.night[1]"),
        ({"indicator": {"siren_duty": 0.0}}, "indicator.siren_duty"),
        ({"power": {"every_s": 10.0}}, "power.every_s"),
        ({"thermal": {"rate_hz": 1e-300}}, "thermal.rate_hz"),
        ({"thermal": {"warm_up_s": float("nan")}}, "thermal.warm_up_s"),
        ({"robot": {"name": "p-1\n"}}, "robot.name"),
        ({"robot": {"name": ""}}, "robot.name"),
        ({"calibration": {"file": ""}}, "calibration.file"),
        ({"calibration": {"file": "a\0b"}}, "calibration.file"),
        ({"store": {"path": "~no-such-user-here/events"}}, "store.path"),
        ({"store": {"retention_hours": 1e12}}, "store.retention_hours"),
        ({"stream": {"host": "::"}}, "stream.host"),
        ({"stream": {"tls_key": "k.pem"}}, "stream.tls_cert and stream.tls_key"),
        ({"uplink": {"tls_key": "k.pem"}}, "uplink.tls_key"),
        ({"stream": {"origins": ["https://control.example/"]}}, "stream.origins[0]"),
        ({"stream": {"origins": ["https://control.example", "https://Control.example"]}}, "stream.origins[1]"),
        ({"stream": {"origins": ["control.example:8080"]}}, "stream.origins[0]"),
        ({"stream": {"port": 9000}, "record": {"live_port": 9000}}, "record.live_port"),
        ({"record": {"live_port": 8765}}, "record.live_port"),
        ({"detection": {"providers": "CPUExecutionProvider"}}, "detection.providers"),
    ],
)
def test_one_wrong_value_is_one_problem(sections: dict[str, Any], path: str) -> None:
    (problem,) = problems(**sections)
    assert problem.startswith((f"{path}: ", f"{path}["))


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"tracking": {"score_new": 1.0}}, "tracking.score_new"),
        ({"detection": {"score_min": 0.95}}, "detection.score_min"),
        ({"detection": {"score_min": 0.7}}, "detection.score_min"),
        ({"detection": {"nms_iou": 1.0}}, "detection.nms_iou"),
        ({"tracking": {"lost_s": 1e6}}, "tracking.lost_s"),
        ({"tracking": {"lost_s": 0.001}}, "tracking.lost_s"),
        ({"attention": {"unmatched_s": 1e6}}, "attention.unmatched_s"),
        ({"measurement": {"yaw_max_deg": 0.5}}, "measurement.yaw_max_deg"),
        ({"measurement": {"skin_emissivity": 0.8}}, "measurement.skin_emissivity"),
        ({"measurement": {"reflected_c": -39.0}}, "measurement.reflected_c"),
        ({"measurement": {"reflected_c": 20.0, "ambient_c": 46.0}}, "measurement.reflected_c"),
        ({"reference": {"tolerance_c": 5.0}}, "reference.tolerance_c"),
        ({"reference": {"smoothing_s": 600.0}}, "reference.smoothing_s"),
        ({"reference": {"spread_c": 10.0}}, "reference.spread_c"),
        ({"screening": {"readings_min": 40}}, "screening.readings_min"),
        ({"screening": {"decide_s": 600.0}}, "screening.decide_s"),
        ({"screening": {"ambient_window_c": [-30.0, 32.0]}}, "screening.ambient_window_c"),
        ({"screening": {"ambient_window_c": [16.0, 60.0]}}, "screening.ambient_window_c"),
        ({"alarm": {"hold_s": 3600.0}}, "alarm.hold_s"),
        ({"alarm": {"hysteresis_c": 40.0}}, "alarm.hysteresis_c"),
        ({"coverage": {"summary_s": 1e-6}}, "coverage.summary_s"),
        ({"store": {"retention_hours": 0.001}}, "store.retention_hours"),
    ],
)
def test_what_would_judge_nobody_or_wrongly_while_all_looks_well_is_refused(
    sections: dict[str, Any], path: str
) -> None:
    (problem,) = problems(**sections)
    assert problem.startswith((f"{path}: ", f"{path}["))


def test_a_host_in_brackets_is_told_how_it_is_written() -> None:
    (problem,) = problems(stream={"host": "[::1]"})
    assert problem.startswith("stream.host: [::1]") and problem.endswith("(write ::1)")


@pytest.mark.parametrize("key", [{"rate_hz": 0.1}, {"network_px": [32, 32]}])
def test_cameras_that_could_show_nobody_are_refused(key: dict[str, Any]) -> None:
    (problem, *_) = problems_of_cameras([{"name": "front", "address": "v4l2:/dev/video0"} | key])
    assert problem.startswith(f"cameras[0].{next(iter(key))}")


def test_more_pictures_than_a_passer_by_shows_confirm_nobody() -> None:
    camera = {"name": "front", "address": "v4l2:/dev/video0"}
    for rate_hz, hits, right in ((10.0, 20, True), (9.0, 20, False), (2.0, 4, True), (2.0, 5, False), (0.5, 2, True)):
        asked = table(tracking={"confirm_hits": hits}) | {"cameras": [camera | {"rate_hz": rate_hz}]}
        if right:
            config.parse(asked, Path("/robot"))
            continue
        with pytest.raises(ConfigError) as caught:
            config.parse(asked, Path("/robot"))
        assert [problem.partition(":")[0] for problem in caught.value.problems] == ["tracking.confirm_hits"]


def test_whoever_is_lost_before_the_next_picture_is_nobody() -> None:
    slow = {"name": "front", "address": "v4l2:/dev/video0", "rate_hz": 0.5}
    assert config.parse(table() | {"cameras": [slow]}, Path("/robot")).tracking.lost_s == 3.0
    with pytest.raises(ConfigError) as caught:
        config.parse(table(tracking={"lost_s": 1.0}) | {"cameras": [slow]}, Path("/robot"))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["tracking.lost_s"]


def test_every_step_of_a_tenth_is_a_threshold() -> None:
    for tenths in range(340, 391):
        assert settings(screening={"threshold_c": tenths / 10}).screening.threshold_c == tenths / 10


def test_origins_are_what_browsers_send() -> None:
    """Any other would be compared in vain, and its page turned away."""
    origins = ("https://control.example", "http://[::1]:8080", "capacitor://localhost", "null")
    assert settings(stream={"origins": list(origins)}).stream.origins == origins


def test_listening_beyond_the_robot_needs_tokens_only() -> None:
    assert settings(stream={"host": "0.0.0.0", "tokens_file": "tokens.toml"}).stream.host == "0.0.0.0"
    for host in ("127.0.0.1", "::1", "localhost"):
        assert settings(stream={"host": host}).stream.host == host


def test_slowest_declared_rates_suit_health() -> None:
    found = settings(thermal={"rate_hz": 0.1})
    Health({"thermal": found.thermal.rate_hz, "pipeline": 4.0}, cameras=()).evaluate(0)


def test_the_digest_names_the_values() -> None:
    assert config.sha256(settings()) == config.sha256(settings(screening={"threshold_c": 37.3}))
    assert config.sha256(settings()) != config.sha256(settings(screening={"threshold_c": 37.4}))
    assert len(config.sha256(settings())) == 64


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.just("~x/\0"),
    st.lists(st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def sections(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables with the keys of a section and any values."""
    keys = [field.encode_name for field in msgspec.structs.fields(kind)]
    return st.dictionaries(st.sampled_from([*keys, "other"]), junk, max_size=4)


SECTIONS = {field.encode_name: field.type for field in msgspec.structs.fields(Settings)}
TABLES = {
    name: st.lists(sections(config.CameraSettings), max_size=3) if name == "cameras" else sections(kind)
    for name, kind in SECTIONS.items()
}


@given(st.fixed_dictionaries({}, optional=TABLES | {"other": junk}), st.booleans())
def test_junk_gives_settings_or_a_config_error(tables: dict[str, Any], over_good_ones: bool) -> None:
    asked = table() | tables if over_good_ones else tables
    try:
        found = config.parse(asked, Path("/robot"))
    except ConfigError as error:
        assert error.problems
        assert len(set(error.problems)) == len(error.problems)
        examined = config.examine(asked, Path("/robot"))
        assert examined.problems == error.problems
        preflight.problems(examined.settings, examined.wrong)  # nothing that is right trips over what is not
    else:
        assert found.cameras and len({camera.name for camera in found.cameras}) == len(found.cameras)


@given(st.dictionaries(st.sampled_from([*SECTIONS, "other"]), junk))
def test_junk_in_place_of_tables(tables: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        config.parse(tables, Path("/robot"))
    examined = config.examine(tables, Path("/robot"))
    preflight.problems(examined.settings, examined.wrong)


HUGE = "0x" + "f" * 4000
DEEP = ".a" * 3000


@pytest.mark.parametrize(
    "text",
    [
        f"[screening]\nambient_window_c = [{HUGE}, 1]",
        f"[detection]\nproviders = [{HUGE}]",
        f"[[cameras]]\nname = {HUGE}\n[[cameras]]\nname = {HUGE}",
        f"[cameras{DEEP}]",
        f"[[cameras]]\n[cameras.name{DEEP}]\n[[cameras]]\n[cameras.name{DEEP}]",
    ],
    ids=["window", "in a list", "names", "deep", "deep names"],
)
def test_numbers_and_tables_without_end_are_refused_in_words(text: str, tmp_path: Path) -> None:
    path = tmp_path / "robot.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert all(len(problem) < 300 for problem in caught.value.problems)
