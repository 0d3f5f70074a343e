"""Fixtures that system tests share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from stream_station import TOKENS, Robot, running

from robot.config import StreamSettings
from robot.stream_session import Limits


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Robot]:
    with running(tmp_path) as one:
        yield one


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Robot]:
    """A robot with tokens."""
    path = tmp_path / "tokens.toml"
    entries = [
        f'[[token]]\nname = "{role}-1"\nrole = "{role}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
        for role, token in TOKENS.items()
    ]
    path.write_text("".join(entries))
    with running(
        tmp_path, settings=StreamSettings(port=0, tokens_file=str(path)), limits=Limits(auth_timeout_s=1.5)
    ) as one:
        yield one
