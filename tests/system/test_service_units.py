"""The service's units: accepted by systemd without a word, shut off from the machine, made for the robot that is here."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from robot.__main__ import _parser

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])
SERVICES = ["patrol-robot.service", "patrol-simulation.service"]
EXPOSURE_MAX = 2.0

pytestmark = pytest.mark.system
with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")


def unit(name: str) -> dict[str, list[tuple[str, str]]]:
    """Sections of a unit, with every line of it: keys come several times."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in (FOLDER / name).read_text().splitlines():
        if line.startswith("["):
            sections[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections[list(sections)[-1]].append((key, value))
    return sections


def values(name: str, section: str, key: str) -> list[str]:
    return [value for found, value in unit(name)[section] if found == key]


@with_systemd
def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text().replace("/opt/patrol/current/venv/bin/patrol", shutil.which("true") or "")
        (tmp_path / path.name).write_text(text)
    (tmp_path / "patrol-robot.service.d").mkdir()
    shutil.copy(FOLDER / "jetson.conf", tmp_path / "patrol-robot.service.d" / "jetson.conf")
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # What else is installed on this machine is not under test.
    said = [line for line in (done.stdout + done.stderr).splitlines() if "patrol" in line]
    assert not said and done.returncode == 0, done.stderr


@with_systemd
@pytest.mark.parametrize("name", [path.name for path in UNITS if path.suffix == ".service"])
def test_the_service_sees_little_of_the_machine(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", str(FOLDER / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"exposure level for \S+: (\d+\.\d)", done.stdout)
    assert found and float(found[1]) <= EXPOSURE_MAX, done.stdout


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not here")
def test_the_account_is_made_with_its_groups(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib/sysusers.d").mkdir(parents=True)
    (tmp_path / "usr/lib/sysusers.d/basic.conf").write_text("g dialout - -\ng video - -\n")
    shutil.copy(FOLDER / "patrol.sysusers.conf", tmp_path / "usr/lib/sysusers.d/patrol.conf")
    for _ in range(2):
        subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    groups = dict(line.split(":")[::3] for line in (tmp_path / "etc/group").read_text().splitlines())
    assert "patrol" in (tmp_path / "etc/passwd").read_text()
    assert {name for name, members in groups.items() if "patrol" in members.split(",")} == {"dialout", "video", "gpio"}


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_is_one_that_there_is(name: str) -> None:
    (command,) = values(name, "Service", "ExecStart")
    _parser().parse_args(command.split()[1:])


def test_what_the_watchdog_needs() -> None:
    """The loop turns ten times a second and tells three times within the period; the end of a hung robot is not waited for long."""
    assert values("patrol-robot.service", "Service", "Type") == ["notify"]
    (period_s,) = values("patrol-robot.service", "Service", "WatchdogSec")
    assert 2 <= float(period_s) <= 10
    assert values("patrol-robot.service", "Service", "RestartPreventExitStatus") == ["2"]
    assert values("patrol-robot.service", "Unit", "OnFailure") == ["patrol-robot-retry.timer"]
    assert values("patrol-robot-retry.timer", "Timer", "RemainAfterElapse") == ["no"], (
        "else it could be started once only"
    )
    (first,) = values("patrol-robot-retry.service", "Service", "ExecStartPre")
    assert first == "-systemctl reset-failed patrol-robot.service", "a full count of starts would refuse the try"


def test_udev_takes_the_rules() -> None:
    udevadm = shutil.which("udevadm")
    if udevadm is None or subprocess.run([udevadm, "verify", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("udevadm is not here, or older than systemd 254, which brought `verify`")
    command = [udevadm, "verify", "--resolve-names=never", str(FOLDER / "70-patrol.rules")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_journald_and_tmpfiles_are_well_formed() -> None:
    journald = configparser.ConfigParser()
    journald.optionxform = str  # type: ignore[assignment,method-assign]
    journald.read(FOLDER / "patrol.journald.conf")
    assert set(journald["Journal"]) >= {"Storage", "SystemMaxUse", "SystemKeepFree"}
    for line in (FOLDER / "patrol.tmpfiles.conf").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, path, mode, *_ = line.split()
            assert kind == "d" and path.startswith("/") and int(mode, 8) <= 0o755
