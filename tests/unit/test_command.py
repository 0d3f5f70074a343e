"""Exit codes of every command: one meaning each, errors in words, bugs with their trace."""

from __future__ import annotations

import pytest

from robot.command import exit_code
from robot.errors import ConfigError, DeviceError


def raising(error: Exception) -> int:
    raise error


def test_codes_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("patrol", lambda: 7) == 7
    assert exit_code("patrol", lambda: raising(ConfigError(["a: wrong", "b: missing"]))) == 2
    assert capsys.readouterr().err == "patrol: a: wrong\npatrol: b: missing\n"
    assert exit_code("patrol", lambda: raising(DeviceError("gone"))) == 1
    assert capsys.readouterr().err == "patrol: gone\n"


def test_only_what_is_expected_is_turned_into_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("patrol-sim", lambda: raising(FileNotFoundError("no such file")), OSError) == 1
    capsys.readouterr()
    assert exit_code("patrol-sim", lambda: raising(ZeroDivisionError()), OSError) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err
