"""`patrol-calibrate site` and `evaluate`: people with a thermometer beside the robot, and clinical data."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.arguments import add_person, person
from robot.errors import ConfigError
from robot.types import RoiName

# NumPy, OpenCV and the calibration's parts are imported by the command that needs them.

if TYPE_CHECKING:
    from calibration.clinical_csv import Clinical, Sighting
    from calibration.evaluate import Evaluation
    from calibration.site_fit import SiteModel


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds both to the program's commands."""
    evaluation = commands.add_parser(
        "evaluate",
        help="the robot's own site model over clinical data: error, detection, plots",
        description="Runs the robot's own site model over clinical data, tidy or in PhysioNet's form (docs/clinical.md). "
        "Without --fit the parameters are the published ones, or those of --calibration.",
    )
    evaluation.add_argument("csv", type=Path, metavar="CSV", help="the people to be estimated")
    evaluation.add_argument(
        "--fit", type=Path, metavar="CSV", help="the people to fit to; the same file: cross-validated by subject"
    )
    evaluation.add_argument("--folds", type=int, metavar="N", help="cross-validate on CSV itself (the same file: 10)")
    evaluation.add_argument("--calibration", type=Path, metavar="FILE", help="take its site model")
    evaluation.add_argument(
        "--regions",
        metavar="NAMES",
        help=f"as a robot that reads only these, with commas between ({', '.join(RoiName)}; default: all)",
    )
    evaluation.add_argument("--json", action="store_true", help="one JSON object as the last line")
    evaluation.add_argument("--plot", type=Path, metavar="DIR", help="write roc.svg and bland_altman.svg there")
    evaluation.set_defaults(command=_evaluate)

    pairs = commands.add_parser(
        "site",
        help="the offset from skin to body, from pairs of robot and clinical thermometer",
        description="Corrects the site offsets of a calibration by pairs of the robot's skin reading and a clinical "
        "thermometer (docs/clinical.md), and installs the result beside the one before.",
    )
    pairs.add_argument("csv", type=Path, metavar="PAIRS.csv")
    pairs.add_argument("--calibration", type=Path, required=True, metavar="FILE", help="the robot's calibration file")
    pairs.add_argument("--out", type=Path, metavar="FILE", help="write there instead of replacing FILE")
    pairs.add_argument(
        "--target-sd",
        type=float,
        default=0.05,
        metavar="C",
        help="wanted standard uncertainty of an offset (%(default)s)",
    )
    pairs.add_argument("--dry-run", action="store_true", help="say what the pairs tell; write nothing")
    pairs.add_argument("--json", action="store_true", help="one JSON object as the last line")
    add_person(pairs)
    pairs.set_defaults(command=_site)


def _site(options: argparse.Namespace) -> int:
    from calibration import files
    from calibration.kept import alone

    if options.dry_run:
        return _corrected(options)
    if options.out is not None and options.out.is_file():
        files.load(options.out)  # a file that is no calibration keeps its place
    # From reading the calibration to writing it: what another one installs in between would be undone.
    with alone(options.out or options.calibration, person(options), dt.datetime.now(dt.UTC)):
        return _corrected(options)


def _corrected(options: argparse.Namespace) -> int:
    from calibration import files, history, site, site_pairs
    from calibration.results import Say
    from calibration.texts import say
    from robot.errors import CalibrationError

    pairs, left_out = site_pairs.load(options.csv)
    try:
        before = files.load(options.calibration)
        found = site.update(before, pairs, options.target_sd)
    except CalibrationError as error:
        raise ConfigError([f"{options.csv}: {line}" for line in str(error).splitlines()]) from error
    result = site.result(found, len(pairs))
    language = options.language
    lines = [say(Say("site.people", {"people": len(pairs)}), language)]
    lines += [say(Say("site.left_out", {"what": what, "count": n}), language) for what, n in left_out.items()]
    print("\n".join([*lines, *site.as_text(found, options.target_sd, language)]))
    answer = {"command": "site", "people": len(pairs), "left_out": left_out, **site.as_json(found, options.target_sd)}
    if not result.passed:
        print(say(Say("site.not_written"), language))
    elif not options.dry_run:
        path, now_utc = options.out or options.calibration, dt.datetime.now(dt.UTC)
        if warning := history.clock_warning(before, now_utc):
            print(say(warning, language))
        who = person(options)
        made = history.stamped(
            site.applied(before, found), before, [result], by=who, now_utc=now_utc, conditions=before.conditions
        )
        kept = history.History(path)
        kept.install(
            made, history.merged(history.History(options.calibration).results(before.id), [result]), who, now_utc
        )
        written = {"path": str(path), "id": made.id, "until": made.valid_until_utc}
        print(say(Say("live.installed", written), language))
        answer |= {"id": made.id, "file": str(path)}
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    return 0 if result.passed else 1


def _evaluate(options: argparse.Namespace) -> int:
    from calibration import agreement_plots, clinical_csv, evaluate

    _check_arguments(options)
    data = clinical_csv.load(options.csv)
    sightings = _chosen(data.sightings, options)
    how, found, shared = _estimated(options, sightings)
    answer: dict[str, Any] = {
        "command": "evaluate",
        "csv": options.csv.name,
        "form": data.form,
        "parameters_from": how,
        "unit": "a person, all rounds fused; per_round: each round by itself",
        "subjects_in_both": shared,
        "left_out": data.left_out,
        **evaluate.as_json(found),
    }
    if options.plot is not None:
        people = found.people
        paths = agreement_plots.write(options.plot, people.body_c, people.oral_c, f"{answer['n']} people, {how}")
        answer["plots"] = [str(path) for path in paths]
    print("\n".join(_heading(options, data, how, shared) + evaluate.as_text(answer)))
    for path in answer.get("plots", ()):
        print(f"written: {path}")
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    return 0


def _check_arguments(options: argparse.Namespace) -> None:
    problems = []
    if options.calibration is not None and (options.fit is not None or options.folds is not None):
        problems.append("--calibration: takes parameters as they are; leave out --fit and --folds")
    if options.folds is not None and options.fit is not None and not _same(options.csv, options.fit):
        problems.append("--folds: divides CSV itself; leave out --fit, or give the same file")
    unknown = [name for name in _regions(options) or () if name not in set(RoiName)]
    if unknown:
        problems.append(f"--regions: no such region: {', '.join(unknown)} (there are: {', '.join(RoiName)})")
    if problems:
        raise ConfigError(problems)


def _regions(options: argparse.Namespace) -> list[str] | None:
    return None if options.regions is None else [name.strip() for name in options.regions.split(",")]


def _chosen(sightings: list[Sighting], options: argparse.Namespace) -> list[Sighting]:
    from calibration import clinical_csv

    regions = _regions(options)
    if regions is None:
        return sightings
    kept = clinical_csv.only(sightings, regions)
    if not kept:
        raise ConfigError(f"--regions: {options.regions}: nobody has them recorded")
    return kept


def _estimated(options: argparse.Namespace, sightings: list[Sighting]) -> tuple[str, Evaluation, int | None]:
    """Returns where the parameters are from, the estimates, and how many subjects both files hold (None: one file)."""
    from calibration import clinical_csv, evaluate, site_fit

    if options.folds is not None or (options.fit is not None and _same(options.csv, options.fit)):
        folds = evaluate.FOLDS if options.folds is None else options.folds
        return f"{folds}-fold by subject", evaluate.cross_validated(sightings, folds), None
    if options.fit is not None:
        behind = _chosen(clinical_csv.load(options.fit).sightings, options)
        shared = {s.subject for s in behind} & {s.subject for s in sightings}
        found = evaluate.score(sightings, site_fit.fit(behind), behind)
        return f"fitted to {options.fit.name}", found, len(shared)
    if options.calibration is not None:
        model, name = _model_of(options.calibration)
        return f"calibration {name}", evaluate.score(sightings, model), None
    return "published offsets", evaluate.score(sightings, evaluate.NOMINAL), None


def _model_of(path: Path) -> tuple[SiteModel, str]:
    from calibration import files
    from calibration.site_fit import SiteModel
    from robot.errors import CalibrationError

    try:
        calibration = files.load(path)
    except CalibrationError as error:
        raise ConfigError(str(error)) from error
    return SiteModel(calibration.site, calibration.site_blends), calibration.id


def _same(one: Path, other: Path) -> bool:
    """The same file, or a copy of it: nobody may be estimated by parameters that he or she helped to find."""
    try:
        return one.samefile(other) or one.read_bytes() == other.read_bytes()
    except OSError:
        return False  # whichever cannot be read is told when it is read


def _heading(options: argparse.Namespace, data: Clinical, how: str, shared: int | None) -> list[str]:
    lines = [f"{options.csv} ({data.form} form), parameters: {how}"]
    lines += [f"left out: {count} {what}" for what, count in data.left_out.items()]
    if shared:
        lines.append(f"{shared} subjects are in both files: figures on them are no independent test")
    return lines
