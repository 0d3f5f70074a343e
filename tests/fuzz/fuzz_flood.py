"""Very many damaged bytes through the codecs: valid streams with flipped bits, losses, doublings, splices and noise, in pieces of any size.

After every damage good frames follow; more than the first of them must not be lost, nothing may be raised, nothing grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from fuzz_contract import require
from fuzz_wire import LINES, Ear, Line, resynchronises

_FRAMES_MAX = 6
"""Of one round, before good ones follow."""


@dataclass
class Flood:
    """What went through one codec."""

    codec: str
    seed: int
    damaged_bytes: int = 0
    good_bytes: int = 0
    rounds: int = 0
    """Times that damage was followed by good frames."""
    first_lost: int = 0
    """Rounds whose first good frame was not heard: damage before it had claimed its bytes, or its start looked like part of it."""
    heard_in_damage: int = 0
    """Frames with a right checksum among the damaged bytes."""
    held_max_bytes: int = 0
    bound_bytes: int = 0
    faults: int = 0
    took_s: float = 0.0

    def row(self) -> dict[str, object]:
        """Returns the figures for a file."""
        values = asdict(self)
        values["took_s"] = round(self.took_s, 1)
        return values


Damage = Callable[[bytearray, Line, np.random.Generator], None]


def _flip(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    for at in rng.integers(0, len(data), rng.integers(1, 9)):
        data[at] ^= 1 << int(rng.integers(8))


def _lose(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.geometric(0.05))]


def _double(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = data[at : at + int(rng.geometric(0.05))]


def _splice(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    other = line.good[int(rng.integers(len(line.good)))]
    begin, at = int(rng.integers(len(other))), int(rng.integers(len(data)))
    data[at:at] = other[begin : begin + int(rng.integers(1, len(other)))]


def _tear(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _noise(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    data[int(rng.integers(len(data))) :] = rng.bytes(int(rng.integers(1, 2 * len(data))))


def _beginnings(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    """What looks like the beginning of a message, in the middle of one."""
    at = int(rng.integers(len(data)))
    start = line.good[0][:12]
    data[at : at + len(start)] = start


def _talk(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    if line.spoken:
        at = int(rng.integers(len(data)))
        data[at:at] = line.spoken[int(rng.integers(len(line.spoken)))]


def _seal(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    """The checksums of damaged messages are put right."""
    line.seal(data)


def _nothing(data: bytearray, line: Line, rng: np.random.Generator) -> None:
    """An intact frame among the damaged."""


DAMAGES: tuple[Damage, ...] = (
    _flip, _flip, _lose, _lose, _double, _double, _splice, _tear, _noise, _beginnings, _talk, _seal, _nothing,
)  # fmt: skip


def damaged(line: Line, rng: np.random.Generator) -> bytes:
    """Returns one round of damaged stream."""
    pieces: list[bytes] = []
    for _ in range(int(rng.integers(1, _FRAMES_MAX))):
        piece = bytearray(line.good[int(rng.integers(len(line.good)))])
        for number in rng.integers(0, len(DAMAGES), rng.integers(1, 4)):
            if piece:
                DAMAGES[number](piece, line, rng)
        pieces.append(bytes(piece))
    return b"".join(pieces)


def flood(line: Line, total_bytes: int, seed: int, ear: Ear | None = None) -> Flood:
    """Returns what came of `total_bytes` damaged bytes; raises Finding, or whatever the codec raises, at the first that is wrong."""
    rng = np.random.default_rng(seed)
    ear = ear or line.ear()
    result = Flood(line.name, seed, bound_bytes=line.bound_bytes)
    begin_s, t_ns = time.monotonic(), 0
    while result.damaged_bytes < total_bytes:
        data = damaged(line, rng)
        most = int(rng.choice((16, 256, 4096, 65_536, 1 << 20)))
        at = 0
        while at < len(data):
            size, t_ns = int(rng.integers(1, most)), t_ns + 1
            result.heard_in_damage += len(ear.feed(data[at : at + size], t_ns))
            result.held_max_bytes = max(result.held_max_bytes, ear.held_bytes)
            require(
                ear.held_bytes <= line.bound_bytes, f"{ear.held_bytes} bytes are held, {line.bound_bytes} is the bound"
            )
            at += size
        result.damaged_bytes += len(data)
        result.good_bytes += sum(map(len, line.good))
        result.rounds += 1
        result.first_lost += not resynchronises(line, ear, t_ns + 1)
        t_ns += len(line.good) + 1
    faults = sum(ear.faults.values())
    result.faults = faults
    result.took_s = time.monotonic() - begin_s
    return result


def floods(total_bytes: int, seed: int) -> list[Flood]:
    """Returns the figures of every codec."""
    return [flood(line, total_bytes, seed) for line in LINES.values()]
