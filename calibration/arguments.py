"""What several commands of `patrol-calibrate` take: how a measurement runs, who is at work, in which language."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

from calibration import history
from robot.command import port, within

PATIENCE_S = 300.0
"""How long a run without questions (--yes) waits for progress, unless --timeout says otherwise."""
_DAYS_MOST = 3650


def add_common(parser: argparse.ArgumentParser) -> None:
    """Adds what every measuring command takes."""
    parser.add_argument("--config", type=Path, required=True, metavar="ROBOT.toml", help="devices and calibration file")
    add_person(parser)
    parser.add_argument("--json", action="store_true", help="the outcome as one JSON object on the last line")
    parser.add_argument("--yes", action="store_true", help="no questions: for runs that nobody watches")
    parser.add_argument(
        "--timeout",
        type=within(0.01, 1e6, "seconds"),
        metavar="S",
        help=f"give up after S seconds without progress ({PATIENCE_S:g} with --yes)",
    )
    samples = parser.add_mutually_exclusive_group()
    samples.add_argument("--resume", action="store_true", help="go on with samples of an earlier run, however old")
    samples.add_argument("--fresh", action="store_true", help="forget samples of an earlier run")
    parser.add_argument(
        "--picture", type=port, metavar="PORT", help="live picture at http://127.0.0.1:PORT/ (0: a free one)"
    )
    parser.add_argument("--ambient", type=float, metavar="C", help="air temperature in °C, instead of the settings'")
    parser.add_argument("--humidity", type=float, metavar="SHARE", help="0 to 1, instead of the settings'")
    parser.add_argument(
        "--equipment",
        action="append",
        default=[],
        metavar="TEXT",
        help="what was used, for the report: maker, number, certificate; may be repeated",
    )
    parser.add_argument(
        "--valid-days",
        type=within(1, _DAYS_MOST, "days"),
        default=history.VALID_DAYS,
        metavar="N",
        help="(%(default)s)",
    )


def add_person(parser: argparse.ArgumentParser) -> None:
    """Adds who is at work, and in which language."""
    parser.add_argument("--by", metavar="NAME", help="who is at work, for the record (default: this account)")
    add_language(parser)


def add_language(parser: argparse.ArgumentParser) -> None:
    default = "zh" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("zh") else "en"
    parser.add_argument("--language", choices=("en", "zh"), default=default, help="(%(default)s)")


def person(options: argparse.Namespace) -> str:
    """Returns who is at work."""
    try:
        return str(options.by or getpass.getuser())
    except (KeyError, OSError):  # an account without a name
        return "unknown"
