"""A Debian computer to install on: a root made by debootstrap, with systemd as its first process (systemd-nspawn). Needs root."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "ca-certificates", "iproute2", "procps")
"""What a computer has before anybody thinks of the robot."""
BOOT_S, HALT_S = 60.0, 30.0
LENT = ("/etc/ssl/certs", "/etc/pip.conf")
"""How this computer reaches the package index, lent to the other one."""


class Debian:
    """One computer in `folder`, fresh from `base`. `online` lends it this computer's network; else it has none at all."""

    def __init__(self, base: Path, folder: Path, *, online: bool) -> None:
        self.root = folder
        if folder.exists():
            shutil.rmtree(folder)
        subprocess.run(["cp", "-a", "--reflink=auto", base, folder], check=True)
        (folder / "etc/machine-id").write_text("")
        lent = [f"--bind-ro={path}" for path in LENT if online and Path(path).exists()]
        network = ["--resolv-conf=copy-host"] if online else ["--private-network"]
        container = [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            f"--directory={folder}",
            *network,
            *lent,
        ]
        # Where processes are still counted by the old hierarchy of control groups, the new one is put in its place, for this one alone.
        script = (
            "stat -f -c %T /sys/fs/cgroup | grep -q cgroup2fs || mount -t cgroup2 none /sys/fs/cgroup; "
            f"exec {shlex.join([*container, '--boot', '--console=pipe'])}"
        )
        self._outer = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        try:
            self._leader = self._booted()
        except BaseException:
            self._outer.kill()
            raise

    def _booted(self) -> int:
        """Returns the process that is the container's first, as soon as its services are up."""
        deadline_s = time.monotonic() + BOOT_S
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        while time.monotonic() < deadline_s and self._outer.poll() is None:
            for pid in children.read_text().split():
                self._leader = int(pid)
                said = self.run("systemctl is-system-running", check=False).stdout.strip()
                if said in ("running", "degraded"):
                    return int(pid)
            time.sleep(0.2)
        raise RuntimeError(f"{self.root}: does not start; try: systemd-nspawn --boot --directory={self.root}")

    def run(self, script: str, *, check: bool = True, timeout_s: float = 900.0) -> subprocess.CompletedProcess[str]:
        """Runs a shell script inside, as root, and returns what it said; raises RuntimeError when it fails and `check` is set."""
        inside = [
            "env",
            "-i",
            "HOME=/root",
            "LANG=C.UTF-8",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        command = ["nsenter", "--all", f"--target={self._leader}", *inside, "bash", "-c", script]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{script}: code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def halt(self) -> None:
        """Shuts it down; its files stay."""
        with contextlib.suppress(ProcessLookupError):  # gone already
            os.kill(self._leader, signal.SIGRTMIN + 4)  # systemd(1): power off
        try:
            self._outer.wait(HALT_S)
        except subprocess.TimeoutExpired:
            os.kill(self._leader, signal.SIGKILL)
            self._outer.kill()
            self._outer.wait()


def base_root(suite: str, packages: Sequence[str], folder: Path, arch: str = "") -> Path:
    """Returns a root of this Debian with these packages, made once and kept in `folder`."""
    root = folder / f"base-{suite}{f'-{arch}' if arch else ''}"
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        wanted = ",".join(PACKAGES)
        made = ["debootstrap", "--variant=minbase", f"--include={wanted}", *([f"--arch={arch}"] if arch else [])]
        # By apt, as the documentation says: it knows by which name another Debian has a package.
        added = ["chroot", str(root), "apt-get", "install", "--yes", "--no-install-recommends", *packages]
        log = folder / f"debootstrap-{suite}.log"
        with log.open("w") as stream:
            for command in ([*made, suite, str(root), MIRROR], added):
                done = subprocess.run(
                    command,
                    stdout=stream,
                    stderr=stream,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    check=False,
                )
                if done.returncode:
                    raise RuntimeError(f"{command[0]} {suite} failed: {log}")
        shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
        (root / "complete").touch()
    return root
