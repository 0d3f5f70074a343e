"""Fixtures for every kind of test."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from models.fetch import fetch
from models.manifest import face_detector

# How long an example takes says something about the machine, not about the code: a busy one must not fail a test.
settings.register_profile("correctness", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("correctness")

# Where nobody hears a terminal close (nohup, some runners) programs under test would inherit that, and tests tell them that it did.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def yunet_path() -> Path:
    """The face detector's file as published, from the user's cache; fetched the first time."""
    return fetch(face_detector())
