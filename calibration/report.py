"""`patrol-calibrate report`: what a station files, as one HTML file and a PDF."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from calibration import files
from calibration.history import History
from calibration.report_content import Document, document
from calibration.results import Say
from calibration.texts import Language, say
from robot.config import Settings
from robot.errors import CalibrationError


def write(
    history: History, calibration_id: str, settings: Settings, language: Language, folder: Path | None = None
) -> dict[str, Path]:
    """Writes the report of one version (empty id: the current one) and returns its files by kind: html, pdf.

    Raises CalibrationError for a version that is not there, without the report's library, or if it cannot be written.
    """
    content = _document(history, calibration_id, settings, language)
    enlarged = say(Say("report.arrows", {"factor": "{factor}"}), language)
    try:
        from calibration import report_html, report_pdf
    except ModuleNotFoundError as error:
        raise CalibrationError(
            f"the report needs {error.name}: install it with pip install 'patrol-robot[calibrate]'"
        ) from error
    folder = history.folder if folder is None else folder
    name = f"{content.subtitle.rsplit(' ', 1)[-1]}.report.{language}"
    written = {"html": folder / f"{name}.html", "pdf": folder / f"{name}.pdf"}
    contents = {
        written["html"]: report_html.render(content, enlarged),
        written["pdf"]: report_pdf.render(content, enlarged),
    }
    try:
        files.replace_all(contents)
    except OSError as error:
        raise CalibrationError(f"{folder}: the report cannot be written ({error.strerror})") from error
    return written


def _document(history: History, calibration_id: str, settings: Settings, language: Language) -> Document:
    path = history.path_of(calibration_id) if calibration_id else history.path
    calibration = files.load(path)
    before = None
    if calibration.supersedes:
        try:
            before = history.version(calibration.supersedes)
        except CalibrationError:
            before = None  # made elsewhere: there is nothing to compare with
    return document(
        calibration,
        before,
        history.results(calibration.id),
        settings.robot.place,
        files.seal_of(path),
        dt.datetime.now(dt.UTC),
        language,
    )
