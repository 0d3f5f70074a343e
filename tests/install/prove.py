"""Installs the robot on a fresh Debian, as a technician would, and tries every promise of docs/installation.md there. Needs root.

`make prove-install`, or `python tests/install/prove.py [--suites bookworm trixie] [--json FILE]`. The service runs under a real systemd with
all its restrictions; its devices are simulated beside it. Minutes a suite, so no part of the tests that run for every change.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import steps
from debian import Debian, base_root
from installed import CONFIG, REPOSITORY, Robot, change, checkout, left, put_devices
from steps import Trial, expect, waited

BUILD = REPOSITORY / "build/prove"
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
DOCUMENTED = ("python3-venv", "make", "libgl1", "libglib2.0-0")
"""What docs/installation.md has installed beforehand (git apart: the checkout is copied)."""
BROKEN = (
    (
        "which does not understand the sensor",
        "drivers/thermal_port.py",
        r"(    def read\(self[^\n]*\n)",
        r"\1        raise DeviceError('broken')\n",
    ),
    (
        "which does not start",
        "robot/app.py",
        r"(    def run\(self\)[^\n]*\n)",
        r"\1        raise RuntimeError('broken')\n",
    ),
)
"""Versions that an upgrade must not leave in use: what is said of them, the file, what is in it and what comes in its place."""
READY_MAX_S = STOP_MAX_S = 3.0
WATCHDOG_S, ABORT_S, RESTART_S = 10.0, 5.0, 2.0
"""Of patrol-robot.service: a stopped process may take the whole time to abort."""


def online(trial: Trial, machine: Debian) -> None:
    """From a clone, over the network: installed, tried, upgraded, taken back, removed."""
    robot, source = Robot(machine), machine.root / "root/patrol"
    checkout(source)
    with trial.step("make install") as row:
        done = machine.run("cd /root/patrol && make install")
        expect("Not started yet" in done.stdout, "it is not said that there is no calibration")
        row["release_mb"] = int(machine.run("du -sm /opt/patrol/current/ | cut -f1").stdout)
        row["python"] = machine.run("/opt/patrol/current/venv/bin/python -V").stdout.split()[-1]
    put_devices(machine)
    with trial.step("make install again, with a calibration: it starts"):
        machine.run("cd /root/patrol && make install")
        expect(robot.active, "not active")
    runs(trial, robot)
    with trial.step("make install once more changes nothing"):
        before = robot.digest("/etc", "/opt/patrol", "/usr/local"), robot.release
        machine.run("cd /root/patrol && make install")
        expect((robot.digest("/etc", "/opt/patrol", "/usr/local"), robot.release) == before, "something is different")
    survives(trial, robot)
    upgrades(trial, robot, source)
    removal(trial, robot)


def runs(trial: Trial, robot: Robot) -> None:
    """The installed service does what it should."""
    machine = robot.machine
    with trial.step("ready after start") as row:
        took_s = []
        for _ in range(3):  # the least: other programs run on this computer, too
            machine.run("systemctl stop patrol-robot")
            begin_s = time.monotonic()
            machine.run("systemctl start patrol-robot")  # returns after READY=1
            took_s.append(time.monotonic() - begin_s)
        row["ready_s"] = round(min(took_s), 2)
        expect(row["ready_s"] <= READY_MAX_S * steps.slow, f"ready after {row['ready_s']} s")
    with trial.step("patrol doctor beside the service finds it fit") as row:
        said = robot.doctor()
        expect(said["fit"] and said["robot_running"], json.dumps(said))
        row["checks"] = len(said["findings"])
        expect(robot.restarts == 0 and robot.active, "the service has been disturbed")
    with trial.step("runs as its own user, in the groups of its devices"):
        pid = robot.shown("MainPID")
        expect(machine.run(f"ps -o user= -p {pid}").stdout.strip() == "patrol", "another user")
        expect({"dialout", "video", "gpio"} <= set(machine.run("id -nG patrol").stdout.split()), "groups are missing")
    with trial.step("systemd verifies every unit in silence, and rates the service") as row:
        verified = machine.run(
            "systemd-analyze verify --man=no /etc/systemd/system/patrol-*.service /etc/systemd/system/patrol-*.timer"
        )
        expect(not (verified.stdout + verified.stderr).strip(), verified.stdout + verified.stderr)
        if machine.run("udevadm verify --help", check=False).returncode == 0:  # since systemd 254
            machine.run("udevadm verify --resolve-names=never /etc/udev/rules.d/70-patrol.rules")
        rated = machine.run("systemd-analyze security --no-pager patrol-robot.service", check=False).stdout
        row["exposure"] = float(re.findall(r"exposure level for \S+ (\d+\.\d)", rated)[-1])
        expect(row["exposure"] <= 2.0, f"exposure {row['exposure']}")


def robot_stop_s(machine: Debian) -> float:
    """Returns how long the last stop took, by systemd's own clock."""
    shown = machine.run(
        "systemctl show -p InactiveEnterTimestampMonotonic -p ActiveExitTimestampMonotonic patrol-robot"
    ).stdout
    times = dict(line.split("=") for line in shown.split())
    return max(0.0, (int(times["InactiveEnterTimestampMonotonic"]) - int(times["ActiveExitTimestampMonotonic"])) / 1e6)


def survives(trial: Trial, robot: Robot) -> None:
    """Hangs and crashes restart the service, missing devices do not; it stops at once."""
    machine = robot.machine
    with trial.step("a process that hangs is started anew") as row:
        machine.run(f"kill -STOP {robot.shown('MainPID')}")
        within_s = WATCHDOG_S + ABORT_S + RESTART_S + READY_MAX_S
        row["restarted_s"] = waited("restart", lambda: robot.restarts == 1 and robot.active, within_s)
    with trial.step("one that is killed, too") as row:
        machine.run(f"kill -KILL {robot.shown('MainPID')}")
        row["restarted_s"] = waited(
            "restart", lambda: robot.restarts == 2 and robot.active, RESTART_S + READY_MAX_S + 2.0
        )
    with trial.step("missing devices restart nothing; back again, it screens") as row:
        machine.run("systemctl stop patrol-devices")
        waited("unavailable", lambda: not robot.screens, 10)
        time.sleep(1.5 * WATCHDOG_S)
        expect(robot.active and robot.restarts == 2, "it was restarted")
        machine.run("systemctl start patrol-devices")
        row["available_s"] = waited("available", lambda: robot.screens, 20)
    with trial.step("refused settings end it with code 2; it is tried again later, not at once"):
        machine.run(
            f"cp {CONFIG} /root/kept.toml; echo nonsense >> {CONFIG}; systemctl restart patrol-robot", check=False
        )
        expect(robot.shown("ExecMainStatus") == "2" and not robot.active, "it does not end with 2")
        time.sleep(2 * RESTART_S)
        expect(robot.shown("ActiveState") == "failed", "it is started again at once")
        expect(machine.run("systemctl is-active patrol-robot-retry.timer").stdout.strip() == "active", "no timer waits")
    with trial.step(
        "and again and again, also when too many starts were refused (with two seconds in place of five minutes), until the settings are mended"
    ) as row:
        refused = "journalctl -u patrol-robot -o cat | grep -c 'repeated too quickly'"
        machine.run(
            f"for _ in $(seq 20); do systemctl start patrol-robot; [ $({refused}) = 0 ] || exit 0; done", check=False
        )
        expect(int(machine.run(refused, check=False).stdout), "starts are not counted")
        folder = "/run/systemd/system/patrol-robot-retry.timer.d"
        quick = "[Timer]\\nOnActiveSec=\\nOnActiveSec=2s\\nAccuracySec=100ms\\n"
        machine.run(f"mkdir -p {folder}; printf '{quick}' > {folder}/trial.conf")
        machine.run("systemctl daemon-reload; systemctl restart patrol-robot-retry.timer")
        exits = "journalctl -u patrol-robot -o cat | grep -c 'status=2/'"
        before = int(machine.run(exits).stdout)
        waited("three more tries", lambda: int(machine.run(exits).stdout) >= before + 3, 60.0)
        machine.run(f"cp /root/kept.toml {CONFIG}")
        row["mended_s"] = waited("active", lambda: robot.active, 30.0)
        machine.run(f"rm -r {folder}; systemctl daemon-reload; systemctl stop patrol-robot-retry.timer")
    with trial.step("stops at once, and leaves no process") as row:
        took_s = []
        for _ in range(3):  # the least: other programs run on this computer, too
            machine.run("systemctl restart patrol-robot; sleep 3; systemctl stop patrol-robot")
            took_s.append(robot_stop_s(machine))
        row["stop_s"] = round(min(took_s), 2)
        expect(
            row["stop_s"] <= STOP_MAX_S * steps.slow and robot.shown("Result") == "success",
            f"{row['stop_s']} s, {robot.shown('Result')}",
        )
        expect(not machine.run("pgrep -f 'patrol run'", check=False).stdout, "a process is left")
        machine.run("systemctl start patrol-robot")


def upgrades(trial: Trial, robot: Robot, source: Path) -> None:
    """A better version is taken; one that is broken is not, and the one before runs on."""
    machine = robot.machine
    with trial.step("make upgrade keeps settings and calibration") as row:
        settings, before = robot.digest("/etc/patrol"), robot.release
        change(source / "setup.cfg", r"version = .*", "version = 0.9.1")
        machine.run("cd /root/patrol && make upgrade")
        row["release"] = robot.release
        expect(robot.release.startswith("0.9.1-") and robot.release != before and robot.active, "the old one is in use")
        expect(robot.digest("/etc/patrol") == settings, "settings are different")
        version = machine.run(
            "/opt/patrol/current/venv/bin/python -c 'from importlib import metadata; print(metadata.version(\"patrol-robot\"))'"
        )
        expect(version.stdout.strip() == "0.9.1", version.stdout)
    good = robot.release
    for what, path, pattern, replacement in BROKEN:
        with trial.step(f"an upgrade to a version {what} is taken back"):
            kept = (source / path).read_text("utf-8")
            change(source / "setup.cfg", r"version = .*", "version = 0.9.2")
            change(source / path, pattern, replacement)
            done = machine.run("cd /root/patrol && make upgrade", check=False)
            (source / path).write_text(kept, "utf-8")
            expect(done.returncode != 0 and "is in use again" in done.stdout + done.stderr, done.stdout + done.stderr)
            expect(robot.release == good and robot.digest("/etc/patrol") == settings, "the old one is not in use")
            expect(robot.active and robot.doctor()["fit"], "the old one does not run")


def removal(trial: Trial, robot: Robot) -> None:
    """Nothing is left but what is the station's; with PURGE=1 nothing at all."""
    machine = robot.machine
    machine.run("cp -r /opt/patrol/current/systemd /root/systemd")
    remove = "/root/systemd/install uninstall"
    with trial.step("uninstall leaves settings, calibration and events"):
        machine.run(
            "systemctl stop patrol-devices; rm -r /etc/systemd/system/patrol-devices.service /etc/systemd/system/patrol-robot.service.d"
        )
        machine.run(remove)
        expect(
            not left(machine)
            - {"/etc/patrol", "/var/lib/patrol", "/var/lib/patrol-simulation", "/var/cache/patrol", "/var/log/patrol"},
            f"left: {left(machine)}",
        )
        machine.run(f"test -s {CONFIG} -a -s /etc/patrol/calibration.json -a -s /var/lib/patrol/events.sqlite3")
        expect(
            machine.run("systemctl status patrol-robot", check=False).returncode == 4, "systemd still knows the unit"
        )
    with trial.step("uninstall with PURGE=1 leaves nothing"):
        machine.run(f"PURGE=1 {remove}")
        expect(not left(machine), f"left: {left(machine)}")
        expect(machine.run("id patrol", check=False).returncode, "the account is left")


def offline(trial: Trial, machine: Debian, bundle: Path) -> None:
    """From the bundle, without any network."""
    robot = Robot(machine)
    shutil.copy(bundle, machine.root / "root/bundle.tar.gz")
    with trial.step("there is no network"):
        expect(machine.run("ls /sys/class/net").stdout.split() == ["lo"], "there is one")
    with trial.step("systemd/install from the bundle") as row:
        machine.run("cd /root && tar xzf bundle.tar.gz && cd patrol-robot-* && systemd/install")
        row["bundle_mb"] = round(bundle.stat().st_size / 1e6)
    put_devices(machine)
    with trial.step("again, with a calibration: it starts"):
        machine.run("cd /root/patrol-robot-* && systemd/install")
        expect(robot.active, "not active")
    runs(trial, robot)
    with trial.step("the simulated station takes the robot's place, and gives it back"):
        machine.run("systemctl start patrol-simulation")
        expect(not robot.active, "both run")
        waited("it screens", lambda: robot.screens, 60)
        machine.run("systemctl start patrol-robot")
        expect(machine.run("systemctl is-active patrol-simulation", check=False).stdout.strip() != "active", "both run")
    removal(trial, robot)


def bundled(python: str) -> Path:
    """Returns the bundle for this computer's processor and that Python."""
    made = subprocess.run(
        [REPOSITORY / "systemd/bundle", platform.machine(), python, BUILD],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return Path(made.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", choices=sorted(PYTHONS), default=sorted(PYTHONS))
    parser.add_argument("--only", choices=("online", "offline"), help="one way of installing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every step and its figures")
    parser.add_argument("--slow", type=float, default=1.0, help="times as long as everything may take (1)")
    options = parser.parse_args()
    steps.slow = options.slow
    missing = [name for name in ("debootstrap", "systemd-nspawn", "nsenter") if shutil.which(name) is None]
    if missing or os.geteuid():
        print(
            f"this needs root and {', '.join(missing) or 'nothing else'}: apt-get install debootstrap systemd-container",
            file=sys.stderr,
        )
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for suite in options.suites:
        base = base_root(suite, DOCUMENTED, BUILD)
        for kind in ("online", "offline"):
            if options.only not in (None, kind):
                continue
            trial = Trial(suite, kind)
            machine = Debian(base, BUILD / f"{suite}-{kind}", online=kind == "online")
            try:
                if kind == "online":
                    online(trial, machine)
                else:
                    offline(trial, machine, bundled(PYTHONS[suite]))
            except Exception as error:
                print(f"{suite} {kind}: ends here: {error}", file=sys.stderr)
            finally:
                machine.halt()
                rows += trial.rows
    if options.json is not None:
        options.json.write_text(
            json.dumps({"machine": platform.machine(), "slow": options.slow, "steps": rows}, indent=1) + "\n"
        )
    bad = [row for row in rows if not row["good"]]
    print(f"{len(rows) - len(bad)} of {len(rows)} steps are good")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
