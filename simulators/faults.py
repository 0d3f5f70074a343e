"""Faults of a serial thermal sensor, pure: each is a small frozen value with its own time window, all draws come from one seed.

Three places where a fault strikes: the picture before it is encoded, the bytes of one encoded frame, and the cable.
A plan is written as a list of tables: `{kind = "flipped_bit", at_s = 10, for_s = 5, probability = 0.3, count = 2}`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.errors import ConfigError

Image = NDArray[np.float64]
_HEX = b"0123456789ABCDEF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """When a fault is there; `probability` is drawn once for every frame in the window."""

    at_s: float = 0.0
    for_s: float = math.inf
    probability: float = 1.0

    def active(self, t_s: float) -> bool:
        return self.at_s <= t_s < self.at_s + self.for_s


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFault(Fault, ABC):
    """Changes the bytes of one encoded frame."""

    @abstractmethod
    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        """Returns the bytes that leave instead of `data` (never empty input)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFault(Fault, ABC):
    """Changes the temperatures of one frame."""

    @abstractmethod
    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        """Returns the picture that is encoded instead; `rng` is the same at every call, so that what it picks stays put."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn(WireFault):
    """The frame ends early; `keep` is the fraction that leaves (drawn when negative)."""

    keep: float = -1.0

    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        keep = rng.uniform(0.05, 0.95) if self.keep < 0 else self.keep
        return data[: int(keep * len(data))]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedBit(WireFault):
    """`count` bits at drawn places are inverted."""

    count: int = 1

    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        changed = bytearray(data)
        for place in rng.integers(0, 8 * len(data), self.count):
            changed[place // 8] ^= 1 << (place % 8)
        return bytes(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostByte(WireFault):
    """`count` bytes at drawn places are missing."""

    count: int = 1

    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        changed = bytearray(data)
        for _ in range(min(self.count, len(data))):
            del changed[int(rng.integers(len(changed)))]
        return bytes(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatedByte(WireFault):
    """`count` bytes at drawn places leave twice."""

    count: int = 1

    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        changed = bytearray(data)
        for _ in range(self.count):
            at = int(rng.integers(len(changed)))
            changed.insert(at, changed[at])
        return bytes(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBurst(WireFault):
    """`count` random bytes leave before the frame."""

    count: int = 200

    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        return rng.bytes(self.count) + data


@dataclass(frozen=True, slots=True, kw_only=True)
class BadChecksum(WireFault):
    """The last byte is another one; where the checksum is written in hex digits it stays a hex digit."""

    def wire(self, data: bytes, rng: np.random.Generator) -> bytes:
        last = data[-1]
        other = _HEX[(_HEX.index(last) + 1) % 16] if last in _HEX else last ^ 0x01
        return data[:-1] + bytes((other,))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadPixels(ImageFault):
    """`count` pixels (up to four are within specification) stand still at `stuck_c`, at the same places in every frame."""

    count: int = 4
    stuck_c: float = 120.0

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        changed = temp_c.copy()
        changed.flat[rng.choice(temp_c.size, min(self.count, temp_c.size), replace=False)] = self.stuck_c
        return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Chessboard(ImageFault):
    """Sub-pages that do not belong together (MLX90640): every second pixel is `delta_c` off."""

    delta_c: float = 3.0

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        rows, columns = np.indices(temp_c.shape)
        return temp_c + self.delta_c * ((rows + columns) % 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded(ImageFault):
    """All pixels at a rail until the window ends or the power is cycled (the next `unplug` of the plan)."""

    rail_c: float = 300.0

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        return np.full_like(temp_c, self.rail_c)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(ImageFault):
    """All pixels move away by `c_per_min` from the start of the window on."""

    c_per_min: float = 0.1

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        return temp_c + self.c_per_min * (t_s - self.at_s) / 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ImageFault):
    """All pixels jump by `step_c`, as after a self-calibration."""

    step_c: float = 0.5

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        return temp_c + self.step_c


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen(ImageFault):
    """The first picture of the window again and again; the plan keeps it."""

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        return temp_c


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongVariant(ImageFault):
    """Another variant of the sensor with the same frame size: the scale is off by `scale` around `around_c`."""

    scale: float = 1.3
    around_c: float = 25.0

    def image(self, temp_c: Image, t_s: float, rng: np.random.Generator) -> Image:
        return self.around_c + self.scale * (temp_c - self.around_c)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Fault):
    """No frames leave. With `forget` the sensor drops out of streaming at `at_s` and stays silent until it is told to stream again."""

    forget: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplug(Fault):
    """The device is gone and comes back, powered up afresh, after `for_s`; under `replug_as` if that is not empty."""

    replug_as: str = ""


KINDS: Mapping[str, type[Fault]] = {
    "torn": Torn,
    "flipped_bit": FlippedBit,
    "lost_byte": LostByte,
    "duplicated_byte": DuplicatedByte,
    "noise_burst": NoiseBurst,
    "bad_checksum": BadChecksum,
    "stall": Stall,
    "unplug": Unplug,
    "dead_pixels": DeadPixels,
    "chessboard": Chessboard,
    "flooded": Flooded,
    "drift": Drift,
    "step": Step,
    "frozen": Frozen,
    "wrong_variant": WrongVariant,
}
_NAMES = {cls: name for name, cls in KINDS.items()}
_LIMITS: Mapping[str, tuple[float, float]] = {
    "at_s": (0.0, math.inf),
    "for_s": (0.0, math.inf),
    "probability": (0.0, 1.0),
    "keep": (-1.0, 1.0),
    "count": (0, 100_000),
}
_ANY_LIMITS = (-10_000.0, 10_000.0)
"""Of every other number: far beyond any temperature, and still one that can be reckoned with."""


class FaultPlan:
    """The faults of one device over time; the same seed and calls give the same bytes. `counts` says how many frames each kind hit."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self.faults = tuple(faults)
        self.counts: dict[str, int] = {}
        self._seed = seed
        self._kept: dict[int, Image] = {}
        self._rngs = [np.random.default_rng((seed, index)) for index in range(len(self.faults))]

    @classmethod
    def from_dicts(cls, tables: Sequence[Mapping[str, object]], seed: int = 0) -> FaultPlan:
        """Returns the plan; raises ConfigError with every unknown kind, unknown parameter and wrong value."""
        problems: list[str] = []
        faults = [
            fault for i, table in enumerate(tables) if (fault := _read(f"faults[{i}]", table, problems)) is not None
        ]
        if problems:
            raise ConfigError(problems)
        return cls(faults, seed)

    def image(self, t_s: float, temp_c: NDArray[np.floating]) -> NDArray[np.floating]:
        """Returns the picture to encode at `t_s` (the same array when no fault is there)."""
        changed = temp_c
        for index, fault in enumerate(self.faults):
            if isinstance(fault, ImageFault) and self._strikes(index, fault, t_s) and not self._cured(fault, t_s):
                fixed = np.random.default_rng((self._seed, index, 1))
                changed = fault.image(changed.astype(np.float64), t_s, fixed)
                if isinstance(fault, Frozen):
                    changed = self._kept.setdefault(index, changed)
        return changed

    def wire(self, t_s: float, data: bytes) -> bytes:
        """Returns the bytes that leave for one frame encoded at `t_s`; may be shorter, longer or other bytes."""
        for index, fault in enumerate(self.faults):
            if isinstance(fault, WireFault) and data and self._strikes(index, fault, t_s):
                data = fault.wire(data, self._rngs[index])
        return data

    def stalled(self, t_s: float) -> bool:
        """Whether no frame may leave at `t_s`."""
        return any(isinstance(fault, Stall) and not fault.forget and fault.active(t_s) for fault in self.faults)

    def halts(self, after_s: float, until_s: float) -> bool:
        """Whether the sensor silently drops out of streaming in `after_s` < t ≤ `until_s`."""
        return any(
            isinstance(fault, Stall) and fault.forget and after_s < fault.at_s <= until_s for fault in self.faults
        )

    def unplugged(self, t_s: float) -> Unplug | None:
        """Returns the fault that keeps the device away at `t_s`."""
        for fault in self.faults:
            if isinstance(fault, Unplug) and fault.active(t_s):
                return fault
        return None

    def active(self, t_s: float) -> tuple[str, ...]:
        """Returns the kinds whose window is open at `t_s`."""
        return tuple(_NAMES[type(fault)] for fault in self.faults if fault.active(t_s))

    def _strikes(self, index: int, fault: Fault, t_s: float) -> bool:
        if not fault.active(t_s):
            return False
        if fault.probability < 1.0 and self._rngs[index].random() >= fault.probability:
            return False
        kind = _NAMES[type(fault)]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return True

    def _cured(self, fault: Fault, t_s: float) -> bool:
        if not isinstance(fault, Flooded):
            return False
        return any(isinstance(other, Unplug) and fault.at_s < other.at_s <= t_s for other in self.faults)


def _read(place: str, table: Mapping[str, object], problems: list[str]) -> Fault | None:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        problems.append(f"{place}.kind: unknown fault {kind!r} ({_suggest(str(kind), KINDS)})")
        return None
    known = {field.name: field.default for field in dataclasses.fields(KINDS[kind])}
    values: dict[str, object] = {}
    before = len(problems)
    for name, value in table.items():
        if name == "kind":
            continue
        if name not in known:
            problems.append(f'{place}.{name}: "{kind}" has no such parameter ({_suggest(name, known)})')
        elif not _fits(value, known[name]):
            problems.append(f"{place}.{name}: {value!r} is not {_WORDS[type(known[name])]}")
        elif isinstance(value, (int, float)) and not _in_limits(name, value):
            low, high = _LIMITS.get(name, _ANY_LIMITS)
            bounds = f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
            problems.append(f"{place}.{name}: {value!r} is out of range ({bounds})")
        else:
            values[name] = value
    return KINDS[kind](**values) if len(problems) == before else None  # type: ignore[arg-type]


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not math.isnan(value)
    if isinstance(default, int):
        return isinstance(value, int) and value >= 0
    return isinstance(value, type(default))


_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number of 0 or more",
    float: "a number",
    str: "text",
}


def _in_limits(name: str, value: float) -> bool:
    low, high = _LIMITS.get(name, _ANY_LIMITS)
    return low <= value <= high


def _suggest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return (f'did you mean "{near[0]}"? ' if near else "") + f"known: {', '.join(names)}"
