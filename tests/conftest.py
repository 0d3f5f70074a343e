"""Fixtures for every kind of test."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.fetch import fetch
from models.manifest import face_detector


@pytest.fixture(scope="session")
def yunet_path() -> Path:
    """The face detector's file as published, from the user's cache; fetched the first time."""
    return fetch(face_detector())
