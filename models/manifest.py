"""What models there are: models/manifest.toml as frozen values, and where their files are kept."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from robot.errors import ModelError

MANIFEST = Path(__file__).with_name("manifest.toml")
FACE_DETECTOR = "yunet-2023mar"
MODEL_DIR_ENV = "PATROL_MODEL_DIR"
"""Environment variable that names a directory with model files, for robots without a network."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that a model's file may come from; which fields are set follows from `kind`."""

    kind: Literal["directory", "wheel", "https"]
    env: str = ""
    requirement: str = ""
    member: str = ""
    url: str = ""

    def __str__(self) -> str:
        return {
            "directory": f"directory named by {self.env}",
            "wheel": f"Python package {self.requirement}",
            "https": self.url,
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its file, how to know it, its sources in order, and its input and output as the manifest says them."""

    name: str
    purpose: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    origin: str
    multiple_px: int
    strides: tuple[int, ...]
    output_names: tuple[str, ...]
    output_channels: tuple[int, ...]
    sources: tuple[Source, ...]


def load_manifest(path: Path = MANIFEST) -> dict[str, Model]:
    """Returns every model by name; raises ModelError if the file cannot be read or lacks something."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
        models = [_model(table) for table in tables]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: the list of models cannot be read: {error!r} (reinstall the software)") from error
    return {model.name: model for model in models}


def _model(table: dict[str, Any]) -> Model:
    output = table["output"]
    return Model(
        name=table["name"],
        purpose=table["purpose"],
        file=table["file"],
        sha256=table["sha256"].lower(),
        size_bytes=table["size_bytes"],
        licence=table["licence"],
        origin=table["origin"],
        multiple_px=table["input"]["multiple_px"],
        strides=tuple(output["strides"]),
        output_names=tuple(output["names"]),
        output_channels=tuple(output["channels"]),
        sources=tuple(Source(**source) for source in table["source"]),
    )


def face_detector() -> Model:
    """Returns the face detector's entry."""
    return load_manifest()[FACE_DETECTOR]


def cache_dir() -> Path:
    """Returns where models are kept: XDG_CACHE_HOME or ~/.cache, then patrol/models. It need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base and Path(base).is_absolute():  # a relative value is to be ignored: XDG Base Directory Specification 0.8
        return Path(base) / "patrol" / "models"
    try:
        return Path.home() / ".cache" / "patrol" / "models"
    except RuntimeError as error:
        raise ModelError("there is no home directory to keep models in: set XDG_CACHE_HOME to a directory") from error


def named_dir() -> Path | None:
    """Returns the directory that PATROL_MODEL_DIR names, or None if it names none."""
    value = os.environ.get(MODEL_DIR_ENV, "")
    return Path(value).expanduser() if value else None
