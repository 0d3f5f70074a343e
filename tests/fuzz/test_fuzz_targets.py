"""The fuzz targets themselves, without the fuzzer: they stand what is known, and they see what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fuzz_documents
import fuzz_wire
import numpy as np
import pytest
from fuzz_contract import Finding, Target, kept
from fuzz_flood import DAMAGES, damaged, flood
from fuzz_targets import TARGETS
from fuzz_wire import GYMCU_LINE, LINES, MI0802_LINE, PLATE_LINE, Line, ThermalEar, listen

from drivers import mjpeg_stream
from drivers.thermal_gymcu_codec import GymcuDecoder
from robot.recording import Recording


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_seed_and_what_a_little_damage_makes_of_it(target: Target) -> None:
    rng = np.random.default_rng(1)
    for seed in target.seeds():
        target.one(seed)
        for _ in range(12):
            body = bytearray(seed)
            for at in rng.integers(0, max(len(body), 1), 3) if body else ():
                body[at] = int(rng.integers(256))
            del body[int(rng.integers(len(body) + 1)) :]
            target.one(bytes(body))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_kept_corpus(target: Target) -> None:
    """What the fuzzer once found worth keeping; it reaches far more of a parser than the seeds."""
    inputs = list(kept(target.name))
    assert inputs, "make fuzz ARGS=--keep"
    for one in inputs:
        target.one(one)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_flood_is_survived(line: Line) -> None:
    result = flood(line, 300_000, 7)
    assert result.damaged_bytes >= 300_000 and result.rounds > 0 and result.faults > 0
    assert result.held_max_bytes <= line.bound_bytes


def test_damage_is_of_every_kind_and_the_same_for_the_same_seed() -> None:
    one, other = (damaged(GYMCU_LINE, np.random.default_rng(seed)) for seed in (3, 4))
    assert one != other and one == damaged(GYMCU_LINE, np.random.default_rng(3))
    changed = set()
    for damage in DAMAGES:
        piece = bytearray(GYMCU_LINE.good[0])
        damage(piece, GYMCU_LINE, np.random.default_rng(5))
        if piece != GYMCU_LINE.good[0]:
            changed.add(damage.__name__)
    assert len(changed) == len({damage.__name__ for damage in DAMAGES} - {"_nothing", "_seal"})


def broken(line: Line, **methods: Any) -> Line:
    """The line with an ear that does some things wrong."""

    def ear() -> Any:
        return type("BrokenEar", (type(line.ear()),), methods)(*([GymcuDecoder()] if line is GYMCU_LINE else []))

    return Line(line.name, ear, line.good, line.heard, line.bound_bytes, line.seal, line.spoken)


class Forgetful(ThermalEar):
    """Loses everything after damage."""

    def feed(self, data: bytes, t_mono_ns: int) -> list[bytes]:
        return [] if self.faults else super().feed(data, t_mono_ns)


class Hoarder(ThermalEar):
    @property
    def held_bytes(self) -> int:
        return 1_000_000


class Raising(ThermalEar):
    def feed(self, data: bytes, t_mono_ns: int) -> list[bytes]:
        if self.faults:
            raise IndexError("bytearray index out of range")
        return super().feed(data, t_mono_ns)


class Liar(ThermalEar):
    """Fault counts that fall."""

    calls = 0

    @property
    def faults(self) -> Mapping[str, int]:
        self.calls += 1
        return {"bad_length": 10 - self.calls}


@pytest.mark.parametrize(
    ("ear", "says"),
    [(Forgetful, "good frame was lost"), (Hoarder, "bytes are held"), (Raising, "out of range"), (Liar, "faults fell")],
)
def test_an_ear_that_does_wrong_is_found(ear: type[ThermalEar], says: str) -> None:
    line = Line(
        "x",
        lambda: ear(GymcuDecoder()),
        *[getattr(GYMCU_LINE, name) for name in ("good", "heard", "bound_bytes", "seal")],
    )
    with pytest.raises((Finding, IndexError), match=says):
        listen(line, bytes.fromhex("5a5a0206") * 600, 100)
    if ear is not Liar:
        with pytest.raises((Finding, IndexError), match=says):
            flood(line, 100_000, 1)


def test_a_parser_of_pictures_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    torn = b"\0" + fuzz_wire.part(fuzz_wire.jpeg(b"abc"))[:-9]
    fuzz_wire.mjpeg(torn)
    monkeypatch.setattr(mjpeg_stream.MjpegParser, "_fault", lambda self, kind, at: self._skip_to(self._end))
    with pytest.raises(Finding):
        fuzz_wire.mjpeg(torn)


def test_a_reader_that_hides_its_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "messages", lambda self: setattr(self, "problem", "x") or iter(()))
    with pytest.raises(Finding):
        fuzz_documents.recording(b"")


def test_checksums_are_put_right() -> None:
    for line, at in ((MI0802_LINE, 5000), (GYMCU_LINE, 700), (PLATE_LINE, 8)):
        body = bytearray(line.good[0])
        body[at] = ord("9") if line is PLATE_LINE else body[at] ^ 0xFF
        assert line.ear().feed(bytes(body), 1) == []
        line.seal(body)
        (heard,) = line.ear().feed(bytes(body), 1)
        assert heard != line.heard[0]


def test_what_is_found_is_kept_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    import fuzz_run

    monkeypatch.setattr(fuzz_run, "FOLDER", tmp_path)
    monkeypatch.setenv("PATROL_FUZZ_FOLDER", str(tmp_path))
    result = fuzz_run.fuzz("self_test", 20, 1)
    assert result.crashes == 1 and "Finding" in result.said
    (kept,) = tmp_path.glob("self_test-crash-*")
    assert b"bad" in kept.read_bytes()
