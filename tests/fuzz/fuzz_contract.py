"""What every fuzz target is: bytes in, silence or a Finding out."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class Finding(AssertionError):
    """An oracle was broken: what went in must not do this."""


def require(holds: bool, what: str) -> None:
    """Raises Finding with these words unless it holds; unlike assert also under python -O."""
    if not holds:
        raise Finding(what)


@dataclass(frozen=True)
class Target:
    """One parser under fuzzing.

    `one` takes any bytes and returns, or raises: Finding where an oracle is broken, anything else where the parser raised what
    it should not. The first byte of its input chooses how the rest is used. `seeds` gives inputs worth starting from.
    """

    name: str
    what: str
    one: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    """For the fuzzer's dictionary: what it would take long to guess."""
    max_bytes: int = 4096


CORPUS = Path(__file__).parent / "corpus"
"""What earlier runs of the fuzzer found worth keeping: one archive for each target."""


def kept(name: str) -> Iterator[bytes]:
    """Yields a target's committed corpus."""
    path = CORPUS / f"{name}.zip"
    if path.exists():
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(one) for one in sorted(archive.namelist()))


def keep(name: str, inputs: Mapping[str, bytes]) -> Path:
    """Writes a target's corpus; the same inputs give the same archive."""
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for one in sorted(inputs):
            archive.writestr(zipfile.ZipInfo(one), inputs[one], zipfile.ZIP_DEFLATED)
    return path


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="patrol-fuzz-")


def written(name: str, content: bytes) -> Path:
    """Returns a file of this content, for parsers that read files; the next call of the same name overwrites it."""
    path = Path(_scratch().name) / name
    path.write_bytes(content)
    return path
