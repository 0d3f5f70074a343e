"""`patrol check-config`: addresses, calibration and their fit; all problems at once on stderr, exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from small_station import TWO_CAMERAS, calibration

from calibration import files
from calibration.nominal import ideal_optic
from robot import config
from robot.__main__ import main
from robot.detect import decode_scale
from robot.errors import ConfigError
from robot.preflight import checked, problems
from robot.strict_toml import read_table

GOOD = f"""
[indicator]
address = "gpiozero:?red=17&amber=27&green=22&siren=23"
{TWO_CAMERAS}"""


def station(folder: Path, text: str = GOOD, **changes: object) -> Path:
    files.save(calibration(**{"robot": "p-1"} | changes), folder / "calibration.json")
    path = folder / "robot.toml"
    path.write_text(text)
    return path


def found(path: Path) -> list[str]:
    return problems(config.load(path))


def test_a_good_station_has_no_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = station(tmp_path)
    assert found(path) == []
    assert main(["check-config", str(path)]) == 0
    output = capsys.readouterr()
    assert "2 cameras" in output.out and output.err == ""


def test_cameras_that_all_look_elsewhere_are_told(tmp_path: Path) -> None:
    """A neighbour sees a corner of the thermal view at most: the robot would say that it screens, and measure nobody."""
    front, thermal = (
        ideal_optic(size_px, fov_deg, 0.0, 20.0, (0.0, 0.0, 1.0))
        for size_px, fov_deg in (((1280, 720), 76.0), ((160, 120), 57.0))
    )
    aside = ideal_optic((1280, 720), 76.0, 72.0, 20.0, (0.0, 0.0, 1.0))
    lenses = {"cameras": {"front": front, "rear": aside}, "thermal": thermal}
    alone = GOOD.replace('[[cameras]]\nname = "front"\naddress = "http://127.0.0.1:9/front.mjpg"\n', "")
    (told,) = found(station(tmp_path, alone, **lenses))
    assert told.startswith("cameras: none sees what the thermal sensor sees (rear sees most of it, ")
    assert found(station(tmp_path, GOOD, **lenses)) == []


def test_a_calibration_with_absurd_numbers_is_told_by_its_fields(tmp_path: Path) -> None:
    """The robot does not start with it, as with one that was changed by hand: no step may meet such numbers."""
    path = station(tmp_path)
    content = msgspec.to_builtins(calibration(robot="p-1"))
    content["cameras"]["front"]["fx_px"] = -900.0
    content["radiometry"]["netd_c"] = 1e300
    sealed = {"schema": files.SCHEMA, "sha256": files._digest(content), "content": content}
    (tmp_path / "calibration.json").write_bytes(msgspec.json.encode(sealed))
    (told,) = found(path)
    assert told.startswith(f"calibration.file: {tmp_path}/calibration.json: cameras.front.fx_px: ")
    assert "; radiometry.netd_c: " in told and told.endswith("restore the file or calibrate again")
    with pytest.raises(ConfigError, match="fx_px"):  # exit code 2, which the service does not try again at once
        checked(path)


def test_addresses_calibration_names_and_plate_are_told_together(tmp_path: Path) -> None:
    text = GOOD.replace("http://127.0.0.1:9/front.mjpg", "htpt://127.0.0.1:9/front.mjpg").replace(
        'name = "rear"', 'name = "back"'
    )
    text = text.replace("senxor:/dev/ttyACM0", "file:walk.mp4").replace("gpiozero:?red=17", "gpiozero:?rde=17")
    listed = found(station(tmp_path, text, reference=None, valid_until_utc="2026-02-01T00:00:00+00:00"))
    paths = {problem.split(": ")[0] for problem in listed}
    assert paths == {
        "cameras[0].address",
        "cameras[1].name",
        "thermal.address",
        "indicator.address",
        "calibration.file",
        "reference.required",
    }
    joined = "\n".join(listed)
    assert "front, rear" in joined, "the names that the calibration has"
    assert "there are: " in joined, "the drivers that fit"


def test_pins_of_lamp_buttons_and_supplies(tmp_path: Path) -> None:
    text = GOOD.replace("&siren=23", "&siren=23&ack=5&test=6").replace(
        'address = "senxor:/dev/ttyACM0"', 'address = "senxor:/dev/ttyACM0"\npower = "gpiozero:?pin=24"'
    )
    assert found(station(tmp_path, text)) == []
    (same,) = found(station(tmp_path, text.replace("pin=24", "pin=5")))
    assert same.startswith("thermal.power (pin): pin 5 is taken by indicator.address (ack)")
    (none,) = found(station(tmp_path, text.replace("?pin=24", "")))
    assert none.startswith("thermal.power: ") and "which pin" in none
    (lamp,) = found(station(tmp_path, text.replace("?pin=24", "?red=24")))
    assert lamp.startswith("thermal.power: ") and "which pin" in lamp
    (wrong,) = found(station(tmp_path, text.replace('power = "gpiozero:?pin=24"', 'power = "senxor:/dev/ttyACM1"')))
    assert wrong.startswith("thermal.power: senxor: has no driver here")
    (other,) = found(station(tmp_path, text.replace("red=17&amber=27&green=22&siren=23&ack=5&test=6", "pin=17")))
    assert other.startswith("indicator.address: pin= is for supplies")
    front = text.replace('front.mjpg"', 'front.mjpg"\npower = "gpiozero:?pin=24"')
    assert "thermal.power (pin): pin 24 is taken by cameras[0].power (pin)" in found(station(tmp_path, front))[0]


def test_an_expired_calibration_can_be_allowed(tmp_path: Path) -> None:
    path = station(tmp_path, valid_until_utc="2020-02-01T00:00:00+00:00", created_utc="2020-01-01T00:00:00+00:00")
    (problem,) = found(path)
    assert "cal-1" in problem and "2020-02-01" in problem and 'expired = "warn"' in problem
    path.write_text(GOOD + 'expired = "warn"\n')
    assert found(path) == []


@pytest.mark.parametrize("allow", ["[reference]\nrequired = false", '[screening]\npolicy = "cohort"'])
def test_a_calibration_without_a_plate_can_be_allowed(tmp_path: Path, allow: str) -> None:
    assert found(station(tmp_path, GOOD + allow, reference=None)) == []


@pytest.mark.parametrize(("face_px_min", "right"), [(7.0, True), (32.0, True), (33.0, False), (1000.0, False)])
def test_a_face_that_nobody_shows_from_a_distance_is_refused(tmp_path: Path, face_px_min: float, right: bool) -> None:
    """Everybody would be too far, which is no fault of the robot's and is not warned of."""
    problems = found(station(tmp_path, f"{GOOD}[measurement]\nface_px_min = {face_px_min}"))
    assert [problem.partition(":")[0] for problem in problems] == ([] if right else ["measurement.face_px_min"])


def test_no_calibration_and_a_damaged_one(tmp_path: Path) -> None:
    path = station(tmp_path)
    (tmp_path / "calibration.json").write_text("{}")
    assert [problem.split(": ")[0] for problem in found(path)] == ["calibration.file"]
    (tmp_path / "calibration.json").unlink()
    assert "cannot be read" in found(path)[0]


def test_no_lamp_is_no_problem(tmp_path: Path) -> None:
    assert found(station(tmp_path, GOOD.replace("gpiozero:?red=17&amber=27&green=22&siren=23", ""))) == []


def told(path: Path) -> dict[str, str]:
    """Returns what is told of a file, by the key that is wrong."""
    with pytest.raises(ConfigError) as caught:
        checked(path)
    return {where: what for where, _, what in (problem.partition(": ") for problem in caught.value.problems)}


def test_all_problems_of_the_file_go_to_stderr_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = station(tmp_path, GOOD.replace("[robot]", "[robto]").replace("file = ", "flie = "))
    assert main(["check-config", str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert len(lines) == 4 and all(line.startswith("patrol: ") for line in lines)
    assert "did you mean 'robot'?" in output.err and "did you mean 'file'?" in output.err


def test_mistakes_of_keys_hide_none_of_what_right_keys_name(tmp_path: Path) -> None:
    """Each once, in one run: mended one after the other they would take as many."""
    text = GOOD.replace("senxor:", "senxer:").replace('name = "rear"', 'name = "back"\nrate_hz = "ten"')
    text += '[stream]\nport = "8765"\ntokens_file = "tokens.toml"\n[alarm]\nhold = 1\n[screening]\ntreshold_c = 37.3\n'
    listed = told(station(tmp_path, text, valid_until_utc="2026-02-01T00:00:00+00:00"))
    tokens = str(tmp_path / "tokens.toml")
    keys = {"cameras[1].rate_hz", "stream.port", "alarm.hold", "screening.treshold_c"}
    assert listed.keys() == keys | {"cameras[1].name", "thermal.address", "calibration.file", tokens}


@pytest.mark.parametrize(
    ("right", "broken", "changes"),
    [
        ('name = "p-1"', 'nmae = "p-1"', {}),
        ('name = "p-1"', "name = 1", {}),
        ('name = "rear"', "name = 5", {}),
        ("[thermal]", "[thermel]", {}),
        ('address = "senxor:/dev/ttyACM0"', "address = 3", {}),
        ('file = "calibration.json"', 'flie = "calibration.json"', {}),
        ('file = "calibration.json"', 'file = "~nobody-of-that-name/c.json"', {}),
        ('file = "calibration.json"', 'file = "calibration.json"\nexpierd = "warn"', {"valid_until_utc": "2020-02-01"}),
        ('file = "calibration.json"', 'file = "calibration.json"\nexpired = "wran"', {"valid_until_utc": "2020-02-01"}),
        ("[thermal]", "[refrence]\nrequired = false\n[thermal]", {"reference": None}),
        ("[thermal]", '[reference]\nrequired = "false"\n[thermal]', {"reference": None}),
        ("[thermal]", '[screening]\npolicy = "cohrot"\n[thermal]', {"reference": None}),
        ("[thermal]", '[store]\npaht = "x.sqlite3"\n[thermal]', {}),
    ],
)
def test_nothing_is_told_that_hangs_on_a_mistake(
    tmp_path: Path, right: str, broken: str, changes: dict[str, object]
) -> None:
    """A wrong key is told as such; that its default does not fit the rest is not the user's mistake."""
    if "valid_until_utc" in changes:
        changes = {"created_utc": "2020-01-01T00:00:00+00:00", "valid_until_utc": "2020-02-01T00:00:00+00:00"}
    (tmp_path / "state").touch()  # where events are by default
    path = station(tmp_path, GOOD + ("" if "[store]" in broken else '[store]\npath = "x.sqlite3"\n'), **changes)
    path.write_text(path.read_text().replace(right, broken, 1))
    of_keys = config.examine(read_table(path), tmp_path).problems
    assert of_keys and [f"{where}: {what}" for where, what in told(path).items()] == of_keys


def test_problems_of_the_station_have_exit_code_2_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = station(tmp_path, GOOD.replace('name = "rear"', 'name = "back"').replace("senxor:", "senxer:"))
    assert main(["check-config", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_the_robot_that_does_not_start_tells_as_much(tmp_path: Path) -> None:
    """Of the keys, and of what right ones name: whoever mends one mistake is not to find the next one at the next start."""
    path = station(tmp_path, GOOD.replace("http:", "htpt:") + "[robto]\n")
    asked, ran = (
        subprocess.run([sys.executable, "-m", "robot", *command], capture_output=True, text=True, timeout=60)
        for command in (["check-config", str(path)], ["run", "--config", str(path)])
    )
    assert asked.returncode == ran.returncode == 2
    assert asked.stderr == ran.stderr and len(ran.stderr.splitlines()) == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"robot = [", b""])
def test_what_is_no_configuration(tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "robot.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert main(["check-config", str(path)]) == 2
    assert capsys.readouterr().err.startswith("patrol: ")


def test_as_a_process(tmp_path: Path) -> None:
    path = station(tmp_path, GOOD.replace("http:", "htpt:").replace("senxor:", "senxer:"))
    done = subprocess.run(
        [sys.executable, "-m", "robot", "check-config", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 2 and "Traceback" not in done.stderr
    assert subprocess.run([sys.executable, "-m", "robot"], capture_output=True, timeout=60).returncode == 2


@given(
    st.tuples(st.integers(8, 8000), st.integers(8, 8000)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)).map(lambda side: (32 * side[0], 32 * side[1])),
)
def test_decoding_never_loses_what_the_detector_would_see(
    full_px: tuple[int, int], network_px: tuple[int, int]
) -> None:
    scale = decode_scale(full_px, network_px)
    assert scale in (1, 2, 4, 8)

    def enough(factor: int) -> bool:
        return full_px[0] / factor >= network_px[0] or full_px[1] / factor >= network_px[1]

    assert scale == 1 or enough(scale)
    assert scale == 8 or not enough(2 * scale) or full_px[0] / network_px[0] == 2 * scale, "no larger than needed"


def test_decoding_of_usual_pictures() -> None:
    assert decode_scale((1280, 720), (640, 384)) == 2
    assert decode_scale((640, 480), (640, 384)) == 1
    assert decode_scale((320, 240), (640, 384)) == 1


def test_tokens_and_tls_files_are_looked_at(tmp_path: Path) -> None:
    lines = '[stream]\ntokens_file = "tokens.toml"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
    told = "\n".join(found(station(tmp_path, GOOD + lines)))
    for name in ("tokens.toml", "stream.tls_cert", "stream.tls_key"):
        assert name in told


@pytest.mark.parametrize("section", ["stream", "uplink"])
def test_certificates_that_cannot_be_used_are_told_before_the_robot_refuses_to_start(
    tmp_path: Path, section: str
) -> None:
    """And nobody is asked for a passphrase, which would hold up a start without a terminal for ever."""
    authority = trustme.CA()
    one, other = (authority.issue_cert("robot.example") for _ in range(2))
    one.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    one.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    for name, issued in (("key", one), ("other", other)):
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.pem")
    key = load_pem_private_key(one.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open-sesame"))
    (tmp_path / "locked.pem").write_bytes(locked)
    (tmp_path / "junk.pem").write_bytes(b"\0junk")

    def told_of(cert: str, key: str, more: str = "") -> list[str]:
        broker = 'broker = "mqtts://127.0.0.1:9"\n' if section == "uplink" else ""
        pair = f'tls_cert = "{cert}.pem"\ntls_key = "{key}.pem"\n'
        return found(station(tmp_path, f"{GOOD}[{section}]\n{broker}{pair}{more}"))

    assert told_of("cert", "key") == told_of("both", "both") == []
    (mismatch,) = told_of("cert", "other")
    assert mismatch.startswith(f"{section}.tls_cert, {section}.tls_key: the key is not that of the certificate")
    for pair in (("cert", "junk"), ("junk", "key"), ("key", "cert")):
        (no_pem,) = told_of(*pair)
        assert no_pem.startswith(f"{section}.tls_cert, {section}.tls_key: one of them does not hold")
    (passphrase,) = told_of("cert", "locked")
    assert passphrase.startswith(f"{section}.tls_key: ") and "passphrase" in passphrase
    (missing,) = told_of("cert", "nowhere")
    assert missing.startswith(f"{section}.tls_key: ") and "cannot be read" in missing
    if section == "uplink":
        for name, why in (("junk", "is no PEM file"), ("nowhere", "cannot be read")):
            (trusted,) = told_of("cert", "key", f'tls_ca = "{name}.pem"\n')
            assert trusted.startswith(f"uplink.tls_ca: {tmp_path}/{name}.pem {why}")


def test_a_sensor_of_another_size_than_the_calibrated_one_is_told(tmp_path: Path) -> None:
    (wrong,) = found(station(tmp_path, GOOD.replace("senxor:", "gymcu:")))
    assert wrong.startswith("thermal.address: this sensor sends 32×24 pixels, the calibration is of one with 160×120")
    (model,) = found(station(tmp_path, GOOD.replace("ttyACM0", "ttyACM0?model=MI0802")))
    assert "sends 80×62 pixels" in model
    assert found(station(tmp_path, GOOD.replace("ttyACM0", "ttyACM0?model=MI1602"))) == []


def test_two_cameras_with_one_picture_and_an_indicator_without_a_pin_are_told(tmp_path: Path) -> None:
    (same,) = found(station(tmp_path, GOOD.replace("file:walk.mp4", "http://127.0.0.1:9/front.mjpg")))
    assert same.startswith("cameras[1].address: is the same picture as cameras[0].address")
    (none,) = found(station(tmp_path, GOOD.replace("?red=17&amber=27&green=22&siren=23", "")))
    assert none.startswith("indicator.address: names no pin")
    (buttons,) = found(station(tmp_path, GOOD.replace("red=17&amber=27&green=22&siren=23", "ack=5&test=6")))
    assert buttons.startswith("indicator.address: names no pin of a lamp or siren")


def test_files_where_folders_are_to_be_and_the_other_way_round_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = GOOD + '[store]\npath = "file/events.sqlite3"\n[record]\nmode = "ring"\nfolder = "file"\n'
    text += '[evidence]\nface = true\nfolder = "file/deeper/down"\n'
    assert [problem.split(": ")[0] for problem in found(station(tmp_path, text))] == [
        "store.path",
        "record.folder",
        "evidence.folder",
    ]
    (folder,) = found(station(tmp_path, GOOD + '[store]\npath = "."\n'))
    assert folder.startswith("store.path: ") and "is a folder" in folder
    assert found(station(tmp_path, GOOD + '[store]\npath = "not/yet/there.sqlite3"\n')) == []


@pytest.mark.parametrize("name", ["robot.toml", "calibration.json", "notes.txt", "/dev/null"])
def test_what_can_be_no_event_database_is_told(tmp_path: Path, name: str) -> None:
    """It was taken for a damaged one and moved aside: the robot put its own settings away."""
    (tmp_path / "notes.txt").write_text("夜班记录" * 100)
    (told,) = found(station(tmp_path, f'{GOOD}[store]\npath = "{name}"\n'))
    assert told.startswith("store.path: ") and name in told


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(84), bytes(4096), b"\xff\xfe damaged"])
def test_a_damaged_event_database_is_no_mistake_in_the_settings(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.sqlite3").write_bytes(content)
    assert found(station(tmp_path, f'{GOOD}[store]\npath = "events.sqlite3"\n')) == []


def test_a_place_that_the_kernel_does_not_let_us_look_at_is_no_reason_to_end(tmp_path: Path) -> None:
    """As a folder of somebody else's would be; a name that is too long is refused to root, too."""
    beyond = "n" * 300
    text = GOOD + f'[store]\npath = "{beyond}/events.sqlite3"\n[record]\nmode = "ring"\nfolder = "{beyond}/r"\n'
    assert found(station(tmp_path, text + f'[evidence]\nface = true\nfolder = "{beyond}/e"\n')) == []
