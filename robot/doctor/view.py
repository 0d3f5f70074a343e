"""[P] What `patrol doctor` shows: a table with what to do, and one JSON object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text as Styled

from robot.doctor import checks
from robot.doctor.checks import Finding, Level
from robot.doctor.texts import BESIDE, CHECKS, FIT, HEADINGS, LEVELS, UNFIT

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold white on red", Level.SKIP: "dim"}


def table(findings: Sequence[Finding], language: str, everything: bool = False) -> Table:
    """Returns the findings as a table in `language` (en or zh), those that are good only if `everything` is wanted; what to do
    stands beside what is not."""
    out = Table(show_lines=False, header_style="bold")
    out.add_column("")
    for heading in HEADINGS.values():
        out.add_column(getattr(heading, language), overflow="fold")
    for finding in findings:
        if finding.level is Level.OK and not everything:
            continue
        name, todo = CHECKS[finding.check]
        out.add_row(
            Styled(getattr(LEVELS[finding.level], language), style=_STYLES[finding.level]),
            getattr(name, language),
            finding.device,
            Styled(getattr(finding.found, language)),
            getattr(todo, language) if finding.level in (Level.WARN, Level.FAIL) else "",
        )
    return out


def verdict(findings: Sequence[Finding], beside: bool, language: str) -> str:
    """Returns the last words."""
    bad = sum(finding.level is Level.FAIL for finding in findings)
    good = sum(finding.level is Level.OK for finding in findings)
    said = getattr(FIT if not bad else UNFIT, language).format(count=bad, good=good, all=len(findings))
    return f"{getattr(BESIDE, language)}\n{said}" if beside else said


def as_json(robot: str, findings: Sequence[Finding], beside: bool) -> dict[str, Any]:
    """Returns what `--json` prints (schema `patrol.doctor/1`)."""
    return {
        "schema": checks.SCHEMA,
        "robot": robot,
        "fit": checks.fit(findings),
        "robot_running": beside,
        "findings": [
            msgspec.to_builtins(finding) | {"found": finding.found.en} | _advice(finding) for finding in findings
        ],
    }


def _advice(finding: Finding) -> dict[str, str]:
    bad = finding.level in (Level.WARN, Level.FAIL)
    return {"what_to_do": CHECKS[finding.check][1].en} if bad else {}
