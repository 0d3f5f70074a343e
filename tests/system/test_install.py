"""systemd/install into a folder, with a Python whose packages are drawn: what is put where, twice, upgraded, rolled back and removed."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.system
REPOSITORY = Path(__file__).parents[2]
FAKE_PYTHON = """#!/bin/sh
# Stands for python3: makes virtual environments whose programs do what the files beside them say.
case "$1 $2" in
  "-m venv")
    shift 2; [ "$1" = --system-site-packages ] && shift
    mkdir -p "$1/bin"
    printf '#!/bin/sh\\necho "$@" >> "{log}"\\nexit $(cat "{pip}")\\n' > "$1/bin/pip"
    printf '#!/bin/sh\\n[ "$2 $3" = "-m models" ] && mkdir -p "$XDG_CACHE_HOME/patrol/models/prepared" && touch "$XDG_CACHE_HOME/patrol/models/prepared/a.onnx"\\n[ "$2" = -c ] && exit $(cat "{imports}")\\nexit 0\\n' > "$1/bin/python"
    printf '#!/bin/sh\\necho "patrol $1" >> "{log}"\\n[ "$1" = doctor ] && exit $(cat "{fit}")\\nexit $(cat "{config}")\\n' > "$1/bin/patrol"
    chmod +x "$1"/bin/* ;;
esac
exit 0
"""


class Machine:
    """A root folder and a checkout that is as small as it may be."""

    def __init__(self, folder: Path) -> None:
        self.root, self.source = folder / "root", folder / "source"
        self.log = folder / "log"
        codes = {name: folder / name for name in ("fit", "config", "pip", "imports")}
        """What the fake programs end with."""
        for path in codes.values():
            path.write_text("0")
        self.fit, self.config, self.pip, self.imports = codes.values()
        self.log.write_text("")
        for name in ("systemd", "configs"):
            shutil.copytree(REPOSITORY / name, self.source / name)
        shutil.copy(REPOSITORY / "setup.cfg", self.source)
        (self.source / "robot").mkdir()
        (self.source / "robot/app.py").write_text("1")
        self.python = folder / "python"
        self.python.write_text(FAKE_PYTHON.format(log=self.log, **codes))
        self.python.chmod(0o755)

    def run(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"ROOT": str(self.root), "PYTHON": str(self.python), "DOCTOR_TRIES": "1", **more}
        return subprocess.run(
            [self.source / "systemd/install", command], env=environment, capture_output=True, text=True, check=False
        )

    @property
    def current(self) -> str:
        return (self.root / "opt/patrol/current").readlink().name

    @property
    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.root / "opt/patrol/releases").iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_everything_is_put_in_place_and_again_changes_nothing(machine: Machine) -> None:
    done = machine.run("install")
    assert done.returncode == 0, done.stderr
    etc = machine.root / "etc"
    for name in (
        "systemd/system/patrol-robot.service",
        "systemd/system/patrol-robot-retry.timer",
        "sysusers.d/patrol.conf",
        "tmpfiles.d/patrol.conf",
        "udev/rules.d/70-patrol.rules",
        "patrol/robot.toml",
    ):
        assert (etc / name).is_file(), name
    for name in ("patrol", "patrol-calibrate", "patrol-sim"):
        assert os.access(machine.root / "usr/local/bin" / name, os.X_OK)
    release = machine.root / "opt/patrol/releases" / machine.current
    assert (release / "models/a.onnx").exists() and (release / "complete").exists()
    assert str((machine.root / "opt/patrol/current").readlink()) == f"/opt/patrol/releases/{machine.current}"
    (etc / "patrol/robot.toml").write_text("mine")
    installs = machine.log.read_text().count("install --quiet")
    assert machine.run("install").returncode == 0
    assert (etc / "patrol/robot.toml").read_text() == "mine"
    assert machine.log.read_text().count("install --quiet") == installs, "nothing was made again"


def test_what_an_earlier_build_left_goes_into_no_release(machine: Machine) -> None:
    left, mine = machine.source / "build/lib/robot/gone.py", machine.source / "build/drawn.png"
    left.parent.mkdir(parents=True)
    left.touch()
    mine.touch()
    assert machine.run("install").returncode == 0
    assert not left.exists() and mine.exists()


def test_an_interrupted_installation_is_finished(machine: Machine) -> None:
    machine.run("install")
    complete = machine.root / "opt/patrol/releases" / machine.current / "complete"
    complete.unlink()
    assert machine.run("install").returncode == 0 and complete.exists()


def test_a_release_whose_packages_cannot_be_had_or_loaded_is_never_used(machine: Machine) -> None:
    for part, code in ((machine.pip, "1"), (machine.imports, "1")):
        part.write_text(code)
        done = machine.run("install")
        assert done.returncode == 1 and not (machine.root / "opt/patrol/current").is_symlink()
        part.write_text("0")
    assert "cannot be used" in done.stderr and "libgl1" in done.stderr
    assert machine.run("install").returncode == 0


def test_wheels_of_the_station_take_the_place_of_packages(machine: Machine) -> None:
    machine.run("install")
    before = machine.current
    wheel = machine.root / "etc/patrol/wheels/onnxruntime_gpu-1.24-cp312-cp312-linux_aarch64.whl"
    wheel.parent.mkdir()
    wheel.write_text("x")
    assert machine.run("upgrade").returncode == 0 and machine.current != before
    log = machine.log.read_text()
    assert "uninstall --quiet --yes onnxruntime" in log and str(wheel) in log


def test_a_jetson_uses_its_own_libraries_where_they_work(machine: Machine) -> None:
    (machine.root / "etc").mkdir(parents=True)
    (machine.root / "etc/nv_tegra_release").touch()
    assert machine.run("install").returncode == 0
    assert (machine.root / "etc/systemd/system/patrol-robot.service.d/jetson.conf").is_file()
    assert "gstreamer" in (machine.root / "etc/patrol/robot.toml").read_text()


def test_wrong_settings_are_told_and_nothing_is_started(machine: Machine) -> None:
    machine.config.write_text("2")
    done = machine.run("install")
    assert done.returncode == 0 and "Not started yet" in done.stdout


def test_an_upgrade_keeps_settings_and_the_release_before(machine: Machine) -> None:
    machine.run("install")
    before = machine.current
    (machine.root / "etc/patrol/robot.toml").write_text("mine")
    assert "in use already" in machine.run("upgrade").stdout
    (machine.source / "robot/app.py").write_text("2")
    done = machine.run("upgrade")
    assert done.returncode == 0, done.stderr
    assert machine.current != before and set(machine.releases) == {before, machine.current}
    assert (machine.root / "etc/patrol/robot.toml").read_text() == "mine"


def test_an_upgrade_that_its_doctor_finds_unfit_is_taken_back(machine: Machine) -> None:
    machine.run("install")
    before = machine.current
    (machine.source / "robot/app.py").write_text("2")
    # Fit with the old release, which is asked first; not with the new one.
    patrol = machine.root / "opt/patrol/releases" / before / "venv/bin/patrol"
    patrol.write_text("#!/bin/sh\nexit 0\n")
    machine.fit.write_text("1")
    unit = machine.root / "etc/systemd/system/patrol-robot.service"
    text = unit.read_text()
    (machine.source / "systemd/patrol-robot.service").write_text(text.replace("WatchdogSec=10", "WatchdogSec=9"))
    done = machine.run("upgrade")
    assert done.returncode == 1 and "not fit for duty" in done.stderr and machine.current == before
    assert unit.read_text() == text, "the old release has its own units"


def test_an_upgrade_of_a_robot_that_was_unfit_before_stays(machine: Machine) -> None:
    machine.run("install")
    before = machine.current
    (machine.source / "robot/app.py").write_text("2")
    machine.fit.write_text("1")
    assert machine.run("upgrade").returncode == 0 and machine.current != before


def test_a_release_that_refuses_the_settings_is_never_used(machine: Machine) -> None:
    machine.run("install")
    before = machine.current
    (machine.source / "robot/app.py").write_text("2")
    machine.config.write_text("2")
    assert machine.run("upgrade").returncode == 1 and machine.current == before


def test_old_releases_go_but_never_the_one_in_use(machine: Machine) -> None:
    machine.run("install")
    for number in range(6):
        (machine.source / "robot/app.py").write_text(f"v{number}")
        assert machine.run("upgrade").returncode == 0
    assert len(machine.releases) == 3 and machine.current in machine.releases


def test_removing_keeps_what_is_the_stations(machine: Machine) -> None:
    machine.run("install")
    (machine.root / "var/lib/patrol").mkdir(parents=True)
    assert machine.run("uninstall").returncode == 0
    left = {str(path.relative_to(machine.root)) for path in machine.root.rglob("*") if path.is_file()}
    assert left == {"etc/patrol/robot.toml"} and (machine.root / "var/lib/patrol").exists()
    assert machine.run("uninstall", PURGE="1").returncode == 0
    assert not [path for path in machine.root.rglob("*") if path.is_file()]


def test_what_others_put_beside_the_units_stays(machine: Machine) -> None:
    machine.run("install")
    own = machine.root / "etc/systemd/system/patrol-robot.service.d/own.conf"
    own.parent.mkdir()
    own.write_text("[Service]\n")
    assert machine.run("uninstall").returncode == 0 and own.exists()


def test_a_damaged_bundle_is_refused(machine: Machine) -> None:
    (machine.source / "wheels").mkdir()
    (machine.source / "wheels/a.whl").write_text("x")
    (machine.source / "models").mkdir()
    (machine.source / "models/a.onnx").write_text("x")
    (machine.source / "SHA256SUMS").write_text(f"{'0' * 64}  wheels/a.whl\n")
    done = machine.run("install")
    assert done.returncode == 1 and "damaged" in done.stderr


def test_nonsense_and_nothing_to_upgrade(machine: Machine) -> None:
    assert machine.run("dance").returncode == 1
    done = machine.run("upgrade")
    assert done.returncode == 1 and "nothing is installed yet" in done.stderr


def test_what_the_proof_breaks_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/install/prove.py takes minutes before it would find that the code of the versions it breaks has moved."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "tests/install"))
    prove = importlib.import_module("prove")
    for _, path, pattern, replacement in prove.BROKEN:
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        broken, count = re.subn(pattern, replacement, text, count=1)
        assert count == 1 and compile(broken, path, "exec")
