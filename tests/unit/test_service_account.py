"""The doctor looks with the rights of the service's account where root asks it, and says whose they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robot import service_account
from robot.__main__ import main
from robot.doctor import checks
from robot.doctor.checks import Level

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
SCRIPT = """
import json, os, sys
from pathlib import Path
from robot import service_account
folder, config = Path(sys.argv[1]), Path(sys.argv[2])
name = service_account.become(config, folder / "patrol-robot.service")
try:
    (folder / "device").open("rb").close()
    opens = True
except PermissionError:
    opens = False
print(json.dumps({"name": name, "uid": os.getuid(), "groups": os.getgroups(), "opens": opens,
                  "cwd": os.getcwd(), "models": os.environ.get("PATROL_MODEL_DIR", "")}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A unit for the account nobody and this very program, and a device that root alone may open."""
    device = tmp_path / "device"
    device.touch()
    device.chmod(0o600)
    unit(tmp_path)
    return tmp_path


def unit(folder: Path, user: str = "nobody", program: str = f"{sys.prefix}/bin/patrol") -> None:
    (folder / "patrol-robot.service").write_text(
        f"[Service]\n#User=root\nUser={user}\nExecStart={program} run --config {folder}/robot.toml\n"
        "Environment=PATROL_MODEL_DIR=/opt/models\nWorkingDirectory=/\n"
    )


def become(folder: Path, config: str = "robot.toml") -> dict[str, object]:
    command = [sys.executable, "-c", SCRIPT, str(folder), str(folder / config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@as_root
def test_root_becomes_the_account_of_the_service(folder: Path) -> None:
    told = become(folder)
    assert told["name"] == "nobody" and told["uid"] != 0 and not told["opens"]
    assert 0 not in told["groups"]  # type: ignore[operator]
    assert told["cwd"] == "/" and told["models"] == "/opt/models"


@as_root
def test_additions_to_the_unit_count(folder: Path) -> None:
    (folder / "patrol-robot.service.d").mkdir()
    (folder / "patrol-robot.service.d" / "more.conf").write_text(
        "[Service]\nUser=\nUser=daemon\nSupplementaryGroups=video\n"
    )
    told = become(folder)
    assert told["name"] == "daemon" and len(told["groups"]) == 2  # type: ignore[arg-type]


@as_root
@pytest.mark.parametrize("other", ["config", "program", "account", "no unit"])
def test_what_is_not_the_service_is_looked_at_as_it_is(folder: Path, other: str) -> None:
    if other == "program":
        unit(folder, program="/opt/elsewhere/venv/bin/patrol")
    elif other == "account":
        unit(folder, user="nobody-of-that-name")
    elif other == "no unit":
        (folder / "patrol-robot.service").unlink()
    told = become(folder, "other.toml" if other == "config" else "robot.toml")
    assert told["name"] == "" and told["uid"] == 0 and told["opens"]


@pytest.mark.parametrize("command", [["doctor", "--config"], ["check-config"]])
def test_settings_are_found_from_where_they_were_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The account of the service starts in a folder of its own."""

    def becomes(config: Path) -> str:
        assert config == tmp_path / "robot.toml"
        monkeypatch.chdir("/")
        return "nobody"

    (tmp_path / "robot.toml").write_text("[robot]\nname = 'p-1'\nwheels = 4\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(service_account, "become", becomes)
    assert main([*command, "robot.toml"]) == 2
    assert "robot.wheels" in capsys.readouterr().err


def test_the_unit_of_the_project_is_understood() -> None:
    told = service_account._directives(Path(__file__).parents[2] / "systemd" / "patrol-robot.service")
    assert told["User"] == ["patrol"] and told["WorkingDirectory"] == ["/var/lib/patrol"]
    assert told["ExecStart"] == ["/opt/patrol/current/venv/bin/patrol run --config /etc/patrol/robot.toml"]


def test_the_doctor_says_whose_rights_they_were() -> None:
    (service,) = checks.account("patrol", is_root=False)
    assert service.level is Level.OK and "as patrol" in service.found.en and "patrol" in service.found.zh
    (root,) = checks.account("", is_root=True)
    assert root.level is Level.SKIP and "may open everything" in root.found.en and "root" in root.found.zh
    assert checks.account("", is_root=False) == [] and checks.fit([root, service])
