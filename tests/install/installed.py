"""The robot as it is installed on one computer, the simulated devices beside it, and the checkout that it comes from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from debian import Debian
from steps import expect, waited

REPOSITORY = Path(__file__).parents[2]
CONFIG = "/etc/patrol/robot.toml"
HEALTH = "http://127.0.0.1:8765/healthz"
DEVICES = """
[Unit]
Description=Devices that a simulator stands in for
[Service]
User=patrol
RuntimeDirectory=patrol-devices
ExecStart=/usr/local/bin/patrol-sim run quiet --port 9100 --thermal-link /run/patrol-devices/thermal --config /run/patrol-devices
"""
DROP_IN = """
[Service]
DeviceAllow=char-pts rw
Environment=GPIOZERO_PIN_FACTORY=mock
"""


class Robot:
    """The installed robot on one computer."""

    def __init__(self, machine: Debian) -> None:
        self.machine = machine

    def shown(self, name: str) -> str:
        return self.machine.run(f"systemctl show -P {name} patrol-robot.service").stdout.strip()

    @property
    def active(self) -> bool:
        return self.shown("ActiveState") == "active"

    @property
    def restarts(self) -> int:
        return int(self.shown("NRestarts"))

    @property
    def release(self) -> str:
        return Path(self.machine.run("readlink /opt/patrol/current").stdout.strip()).name

    @property
    def screens(self) -> bool:
        script = f"python3 -c 'import urllib.request as u; u.urlopen(\"{HEALTH}\", timeout=2)'"
        return self.machine.run(script, check=False).returncode == 0

    def doctor(self) -> dict[str, Any]:
        """Returns its answer; a robot that has just started gets some seconds to be steady."""
        for _ in range(8):
            done = self.machine.run(f"patrol doctor --config {CONFIG} --json", check=False)
            if done.returncode == 0:
                break
            time.sleep(3.0)
        expect(done.returncode == 0, f"doctor: {done.stdout}{done.stderr}")
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said

    def digest(self, *folders: str) -> str:
        """Returns one digest of every file below these folders."""
        return self.machine.run(
            f"find {' '.join(folders)} -type f -o -type l | sort | xargs -d '\\n' cat | sha256sum"
        ).stdout


def put_devices(machine: Debian) -> None:
    """Puts simulated devices beside the robot, with settings and a calibration that a technician would have made."""
    (machine.root / "etc/systemd/system/patrol-devices.service").write_text(DEVICES)
    folder = machine.root / "etc/systemd/system/patrol-robot.service.d"
    folder.mkdir(exist_ok=True)
    (folder / "trial.conf").write_text(DROP_IN)
    machine.run("systemctl daemon-reload; systemctl start patrol-devices")
    waited(
        "devices",
        lambda: (
            machine.run(
                "test -e /run/patrol-devices/robot.toml -a -e /run/patrol-devices/thermal", check=False
            ).returncode
            == 0
        ),
        30,
    )
    machine.run(
        "install -m644 /run/patrol-devices/*.toml /run/patrol-devices/*.json /etc/patrol/; "
        f'sed -i \'s#"events.sqlite3"#"/var/lib/patrol/events.sqlite3"#\' {CONFIG}'
    )


def checkout(target: Path) -> None:
    """Copies what a clone of the repository has."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


def change(path: Path, pattern: str, replacement: str) -> None:
    """Changes a file of the checkout, as another version would be different."""
    text, count = re.subn(pattern, replacement, path.read_text("utf-8"), count=1)
    expect(count, f"{path.name} has no {pattern}")
    path.write_text(text, "utf-8")


def left(machine: Debian) -> set[str]:
    """Returns what of the robot is on the disk."""
    script = "find /etc /opt /usr/local /var/lib /var/cache /var/log -iname '*patrol*' -prune"
    return set(machine.run(script).stdout.split())
