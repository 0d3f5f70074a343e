"""[B] The account under which the service runs the robot: what root may open tells nothing of what the robot may."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

UNIT = Path("/etc/systemd/system/patrol-robot.service")


def become(config: Path, unit: Path = UNIT) -> str:
    """Makes root the account of the service, with its groups, environment and folder, where the service runs this very program with
    these settings (an absolute path); there is no way back. Returns the account's name, empty where nothing has changed.
    """
    if os.geteuid() != 0:
        return ""
    told = _directives(unit)
    users, commands = told.get("User"), told.get("ExecStart")
    if not users or not commands or not _is_this(shlex.split(commands[-1]), config):
        return ""
    try:
        account = pwd.getpwnam(users[-1])
        more = [grp.getgrnam(name).gr_gid for line in told.get("SupplementaryGroups", ()) for name in line.split()]
    except KeyError:  # the service cannot start like this, and says so
        return ""
    os.setgroups([*os.getgrouplist(account.pw_name, account.pw_gid), *more])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ["HOME"] = account.pw_dir
    for pair in (pair for line in told.get("Environment", ()) for pair in shlex.split(line)):
        name, _, value = pair.partition("=")
        os.environ[name] = value
    for folder in told.get("WorkingDirectory", ()):
        os.chdir(folder)
    return account.pw_name


def _is_this(command: Sequence[str], config: Path) -> bool:
    """Returns whether a command line is that of this installation with these settings."""
    if not command or "--config" not in command[:-1]:
        return False
    its_config = Path(command[command.index("--config") + 1])
    # A venv's interpreter is a link to the system's: the folder tells which it is.
    return Path(command[0]).resolve().parents[1] == Path(sys.prefix).resolve() and its_config == config


def _directives(unit: Path) -> dict[str, list[str]]:
    """Returns the values of each key of a unit with its additions; none where it is not installed."""
    found: dict[str, list[str]] = {}
    if not unit.exists():
        return found
    for file in (unit, *sorted(unit.with_name(f"{unit.name}.d").glob("*.conf"))):
        for line in file.read_text(encoding="utf-8").splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.startswith(("#", ";")):
                # An empty value forgets those before it.
                found[key.strip()] = [*found.get(key.strip(), ()), value.strip()] if value.strip() else []
    return found
