"""`python -m models`: fetch | prepare WIDTHxHEIGHT… | show. Progress on standard error, results on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from models.fetch import fetch, sha256_of
from models.manifest import MODEL_DIR_ENV, cache_dir, load_manifest, named_dir
from models.prepare import prepared
from robot.errors import ModelError

DEFAULT_SIZES = ((640, 384), (320, 192))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 when a model cannot be had (with what to do on standard error)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "fetch":
            for model in load_manifest().values():
                print(fetch(model))
        elif options.command == "prepare":
            for width_px, height_px in options.sizes or DEFAULT_SIZES:
                print(prepared(width_px, height_px, options.batch))
        else:
            print(json.dumps(_state(), indent=None if options.json else 2))
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models", description="The face detector's files.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="get the model into the user's cache, checked against its sha256")
    prepare = commands.add_parser("prepare", help="fetch, then make the files that the robot loads (needs onnx)")
    prepare.add_argument("sizes", nargs="*", type=_size, metavar="WIDTHxHEIGHT", help="default: 640x384 320x192")
    prepare.add_argument("--batch", type=int, default=1, help="pictures in one inference (default 1, fastest on a CPU)")
    show = commands.add_parser("show", help="what models there are and what of them is here")
    show.add_argument("--json", action="store_true", help="one object on one line")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, for example 640x384")
    return int(width), int(height)


def _state() -> dict[str, object]:
    cache, named = cache_dir(), named_dir()
    models = []
    for model in load_manifest().values():
        path = cache / model.file
        state = "absent" if not path.is_file() else "ready" if sha256_of(path) == model.sha256 else "damaged"
        models.append(
            {
                "name": model.name,
                "purpose": model.purpose,
                "licence": model.licence,
                "sha256": model.sha256,
                "size_bytes": model.size_bytes,
                "sources": [str(source) for source in model.sources],
                "path": str(path),
                "state": state,
                "prepared": sorted(str(file) for file in (cache / "prepared").glob(f"{model.name}-*.onnx")),
            }
        )
    return {"cache": str(cache), MODEL_DIR_ENV: str(named) if named else None, "models": models}


if __name__ == "__main__":
    sys.exit(main())
