"""Files of plots: checked before hours of work, written after them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robot.command import check_writable
from robot.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg")


def check(path: Path) -> None:
    """Raises ConfigError if the picture could not be written."""
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"--plot {path}: a picture's name ends with {' or '.join(_SUFFIXES)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib (pip install 'patrol-robot[plots]')") from error
    check_writable(path)


def save(figure: Figure, path: Path) -> None:
    """Writes the picture (the suffix says which format); raises ConfigError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: the picture cannot be written ({error})") from error
