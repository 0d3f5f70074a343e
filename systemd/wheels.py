"""`python systemd/wheels.py FOLDER aarch64 3.13`: whether the wheels in a folder are all that the robot needs on that computer.

pip resolves for another processor and another Python, but weighs conditions such as `python_version < "3.12"` by its own. Here they are
weighed by the target's. Prints each wheel; exit code 1 and what is missing, if anything is.
"""

from __future__ import annotations

import email
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

WANTED = "patrol-robot[robot]"
GLIBC_MINOR = 36
"""Debian 12 and Raspberry Pi OS Bookworm; Ubuntu 24.04 and Debian 13 have newer ones."""


def target(arch: str, python: str) -> tuple[dict[str, str], frozenset[Tag]]:
    """Returns the target's environment, by which conditions are weighed, and the tags of wheels that it takes."""
    environment: dict[str, str] = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": arch,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    major, minor = (int(part) for part in python.split("."))
    platforms = [f"manylinux_2_{number}_{arch}" for number in range(GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux2014_{arch}", f"linux_{arch}"]
    tags = [*cpython_tags((major, minor), platforms=platforms)]
    tags += compatible_tags((major, minor), f"cp{major}{minor}", platforms)
    return environment, frozenset(tags)


def missing(folder: Path, environment: dict[str, str], tags: Iterable[Tag]) -> list[str]:
    """Returns what is missing or does not fit, one line each."""
    found: list[str] = []
    wheels: dict[str, tuple[Version, list[Requirement]]] = {}
    for path in sorted(folder.glob("*.whl")):
        name, version, _, fits = parse_wheel_filename(path.name)
        if not fits & frozenset(tags):
            found.append(f"{path.name}: is not for this computer")
        wheels[name] = version, _requirements(path)
    asked, todo = set(), [Requirement(WANTED)]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name not in wheels:
            found.append(f"{wanted}: there is none")
            continue
        version, needs = wheels[name]
        if not wanted.specifier.contains(version, prereleases=True):
            found.append(f"{wanted}: there is {version}")
        for extra in wanted.extras or {""}:
            if (name, extra) in asked:
                continue
            asked.add((name, extra))
            for need in needs:
                if need.marker is None or need.marker.evaluate(environment | {"extra": extra}):
                    todo.append(need)
    return found


def _requirements(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    return [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]


def main(arguments: list[str]) -> int:
    folder, arch, python = Path(arguments[0]), arguments[1], arguments[2]
    lines = missing(folder, *target(arch, python))
    for path in sorted(folder.glob("*.whl")):
        print(path.name)
    for line in lines:
        print(f"bundle: {line}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
