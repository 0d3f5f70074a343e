"""[P] What to look at next: which pictures whole, which parts of them closer, within a share of one core.

A look at a whole picture finds everybody who is large enough in the detector's input; every camera gets one within
`full_look_s`, those that overlap the thermal view within `front_look_s`. In between, known people and warm places that
have no face yet are looked at in crops at full resolution, which cost a fifth of a whole look and see small and masked
faces better. Costs come in as arguments (`charge`); until then a look is taken to cost what its pixels suggest.

When the share runs short, detail is left out in the order of SHED and told (`shed`). The basic look of the front cameras is
never left out, whatever it costs; the rest then waits until its cost has been earned.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SHED = ("far_faces", "side_crops", "side_resolution", "front_crops", "side_rate")
"""What is left out under overload, in this order: crops of people beyond measuring; all crops of side cameras; their whole looks go
through the small input; crops of the front cameras; side cameras' looks come later than `full_look_s`."""
_SHED_BELOW = (0.75, 0.6, 0.45, 0.3, 0.15)
"""A step of SHED is taken when less than this share of what may be saved up is left …"""
_RESTORED_AFTER = 0.1
"""… and taken back when that much more is there again."""
_SAVED_S = 1.0
"""So many seconds' worth of the CPU share may be saved up: the longest burst."""
_TOLD_FOR_NS = 5_000_000_000
"""A shedding is told for this long after it ended, so that health does not flicker."""
_LATE_SIDES = 4.0
"""Under the last step of SHED side cameras' whole looks come this many times later."""

CROP_PX = (320, 192)
"""Input of the detector for crops, and for whole pictures at low resolution: width, height."""
CROPS_MAX = 4
"""As many crops of 320 × 192 cost as much as one whole look at 640 × 384."""
_FACE_IN_CROP_PX = 96.0
"""A face wider than this is looked at in a crop of reduced scale; a masked one is found safely from 48."""
_DECODE_PER_PX = (0.045, 0.05)
"""Cost of decoding, per pixel of the full picture: at any scale, and (by the square of the scale) for the pixels made;
in units of one pixel of the detector's input. Measured with 1280 × 720 JPEG and YuNet."""
NEVER_NS = -(1 << 62)
_NS_PER_UNIT = 25.0
"""First guess of what a unit costs; `charge` corrects it."""


class Kind(enum.Enum):
    """Why something deserves a closer look; the order is that of importance."""

    WARM = 0
    """A warm place without a face."""
    NEW = 1
    """A track that is not confirmed yet."""
    MEASURED = 2
    """Somebody who is being measured."""
    KNOWN = 3
    """Anybody else."""


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody, or a warm place, in one camera's picture, due for a look."""

    kind: Kind
    center_px: tuple[float, float]
    """Column, row, in pixels of the full picture."""
    face_px: float
    """Width of the face there."""
    number: int = 0
    """Of the track or the warm place; of no meaning here."""

    @property
    def box_px(self) -> tuple[float, float, float, float]:
        """Where the face should be: left, top, width, height."""
        (x, y), side = self.center_px, self.face_px
        return x - side / 2, y - side / 2, side, side


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture, in its full-size pixels, and how far it may be reduced."""

    left: int
    top: int
    width: int
    height: int
    scale: int
    targets: tuple[Target, ...] = ()

    def holds(self, target: Target) -> bool:
        """Returns whether the target's face lies inside with room for an error of half a face."""
        x, y = target.center_px
        return (
            self.left + target.face_px <= x <= self.left + self.width - target.face_px
            and self.top + target.face_px <= y <= self.top + self.height - target.face_px
        )


class Whole(enum.Enum):
    """How a whole picture is looked at."""

    NO = "no"
    SMALL = "small"
    """Through the input for crops."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with one picture: either a look at the whole, or crops, or nothing."""

    whole: Whole = Whole.NO
    crops: tuple[Crop, ...] = ()

    def __bool__(self) -> bool:
        return self.whole is not Whole.NO or bool(self.crops)


@dataclass(frozen=True, slots=True)
class CameraTraits:
    """What attention knows of a camera."""

    size_px: tuple[int, int]
    network_px: tuple[int, int]
    scale: int
    """At which a whole picture is decoded for its network."""
    period_ns: int
    """Declared time between pictures."""
    front: bool
    """It overlaps the thermal view."""


@dataclass(frozen=True, slots=True)
class AttentionRules:
    cpu_share: float = 0.4
    full_look_s: float = 0.5
    front_look_s: float = 0.3
    crop_px: tuple[int, int] = CROP_PX


@dataclass(slots=True)
class Budget:
    """CPU time that may be spent: earned as time passes, saved up to a limit."""

    share: float
    saved_ns: float = field(init=False)
    step: int = 0
    """How many of SHED are in force."""
    _at_ns: int | None = None
    _told: int = 0
    _told_until_ns: int = 0

    def __post_init__(self) -> None:
        self.saved_ns = self.limit_ns

    @property
    def limit_ns(self) -> float:
        return self.share * _SAVED_S * 1e9

    def advance(self, now_ns: int) -> None:
        """Earns what the time since the last call brings, and decides what is shed now."""
        elapsed_ns = 0 if self._at_ns is None else max(0, now_ns - self._at_ns)
        self._at_ns = now_ns if self._at_ns is None else max(now_ns, self._at_ns)
        self.saved_ns = min(self.limit_ns, self.saved_ns + self.share * elapsed_ns)
        left = self.saved_ns / self.limit_ns
        while self.step < len(SHED) and left < _SHED_BELOW[self.step]:
            self.step += 1
        while self.step and left >= _SHED_BELOW[self.step - 1] + _RESTORED_AFTER:
            self.step -= 1
        if self.step >= self._told or now_ns >= self._told_until_ns:
            self._told, self._told_until_ns = self.step, now_ns + _TOLD_FOR_NS

    def sheds(self, what: str) -> bool:
        return SHED.index(what) < self.step

    def told(self) -> tuple[str, ...]:
        """Returns what was shed lately."""
        return SHED[: self._told]


class Attention:
    """Decides picture by picture. `cameras` are all there are; times are those of the pictures' light and of the clock."""

    def __init__(self, cameras: Mapping[str, CameraTraits], rules: AttentionRules) -> None:
        self._cameras = dict(cameras)
        self._rules = rules
        self._budget = Budget(rules.cpu_share)
        self._looked_ns: dict[str, int] = {}
        self._ns_per_unit = _NS_PER_UNIT
        self._planned_units = 0.0

    def plan(
        self, now_ns: int, camera: str, t_ns: int, targets: Sequence[Target], size_px: tuple[int, int] | None = None
    ) -> Plan:
        """Returns what to do with the picture taken at `t_ns` that has just arrived; `targets` are what is due in it.

        `size_px` is the picture's, where that is not the camera's own.

        The look counts as done and paid at its expected cost: `charge` corrects that, `failed` takes it back.
        """
        self._budget.advance(now_ns)
        traits = self._cameras[camera]
        plan = self._whole(traits, t_ns - self._looked_ns.get(camera, NEVER_NS))
        if not plan:
            plan = self._crops(traits, targets, size_px or traits.size_px)
        if not plan:
            return plan
        units = self._units(traits, plan)
        must = traits.front and plan.whole is not Whole.NO and self._overdue(traits, camera, t_ns)
        if not must and units * self._ns_per_unit > self._budget.saved_ns:
            return Plan()
        self._budget.saved_ns -= units * self._ns_per_unit
        self._planned_units += units
        if plan.whole is not Whole.NO:
            self._looked_ns[camera] = t_ns
        return plan

    def charge(self, cost_ns: int) -> None:
        """Takes in what the looks planned since the last call really cost, in CPU time."""
        if not self._planned_units:
            return
        self._budget.saved_ns += self._planned_units * self._ns_per_unit - cost_ns
        self._ns_per_unit += 0.1 * (cost_ns / self._planned_units - self._ns_per_unit)
        self._planned_units = 0.0

    def spare(self, factor: float) -> None:
        """From now on only this part of the CPU share may be spent."""
        self._budget.share = self._rules.cpu_share * factor
        self._budget.saved_ns = min(self._budget.saved_ns, self._budget.limit_ns)

    def failed(self, camera: str) -> None:
        """The picture could not be decoded: the camera's next one is to be looked at."""
        self._looked_ns.pop(camera, None)

    def shed(self) -> tuple[str, ...]:
        """Returns what is left out at present, or was until a moment ago: names of SHED, in its order."""
        return self._budget.told()

    def _whole(self, traits: CameraTraits, since_ns: int) -> Plan:
        """Returns a whole look if one is due: the next picture would come too late."""
        full_look_s = self._rules.full_look_s
        within_s = min(self._rules.front_look_s, full_look_s) if traits.front else full_look_s
        late = not traits.front and self._budget.sheds("side_rate")
        within_ns = within_s * (_LATE_SIDES if late else 1.0) * 1e9
        if traits.front and self._budget.sheds("front_crops"):
            within_ns = full_look_s * 1e9
        # Half a period for pictures that do not come quite evenly.
        if since_ns + 1.5 * traits.period_ns <= within_ns:
            return Plan()
        small = not traits.front and self._budget.sheds("side_resolution")
        return Plan(Whole.SMALL if small else Whole.FULL)

    def _overdue(self, traits: CameraTraits, camera: str, t_ns: int) -> bool:
        since_ns = t_ns - self._looked_ns.get(camera, NEVER_NS)
        return since_ns + 1.5 * traits.period_ns > self._rules.full_look_s * 1e9

    def _crops(self, traits: CameraTraits, targets: Sequence[Target], size_px: tuple[int, int]) -> Plan:
        wanted = [target for target in targets if self._allowed(traits, target)]
        if not wanted:
            return Plan()
        crops = arrange(wanted, size_px, self._rules.crop_px)
        if len(crops) > CROPS_MAX and (traits.front or not self._budget.sheds("side_crops")):
            return Plan(Whole.FULL)
        return Plan(crops=tuple(crops[:CROPS_MAX]))

    def _allowed(self, traits: CameraTraits, target: Target) -> bool:
        if self._budget.sheds("front_crops" if traits.front else "side_crops"):
            return False
        return target.kind is not Kind.KNOWN or not self._budget.sheds("far_faces")

    def _units(self, traits: CameraTraits, plan: Plan) -> float:
        """Returns the expected cost of a look in pixels of the detector's input."""
        crop_px = self._rules.crop_px[0] * self._rules.crop_px[1]
        if plan.whole is Whole.FULL:
            return traits.network_px[0] * traits.network_px[1] + _decode_units(traits.size_px, traits.scale)
        if plan.whole is Whole.SMALL:
            return crop_px + _decode_units(traits.size_px, 2 * traits.scale)
        return len(plan.crops) * crop_px + _decode_units(traits.size_px, min(crop.scale for crop in plan.crops))


def arrange(targets: Sequence[Target], size_px: tuple[int, int], crop_px: tuple[int, int] = CROP_PX) -> list[Crop]:
    """Returns crops that hold all targets, the most important first; one crop may hold several.

    Each is `crop_px` times its scale (1, 2, 4 or 8) large where the picture is, and lies inside the picture.
    """
    waiting = sorted(targets, key=lambda target: target.kind.value)
    crops: list[Crop] = []
    while waiting:
        first = waiting[0]
        crop = _around(first, size_px, crop_px)
        inside = [t for t in waiting[1:] if _scale(t, crop_px) == crop.scale and crop.holds(t)]
        crops.append(
            Crop(crop.left, crop.top, crop.width, crop.height, crop.scale, (first, *inside)),
        )
        waiting = [t for t in waiting[1:] if t not in inside]
    return crops


def _scale(target: Target, crop_px: tuple[int, int]) -> int:
    largest_px = _FACE_IN_CROP_PX * crop_px[0] / CROP_PX[0]
    return next((scale for scale in (1, 2, 4) if target.face_px <= scale * largest_px), 8)


def _around(target: Target, size_px: tuple[int, int], crop_px: tuple[int, int]) -> Crop:
    scale = _scale(target, crop_px)
    width, height = (min(side * scale, full) for side, full in zip(crop_px, size_px, strict=True))
    left = round(min(max(target.center_px[0] - width / 2, 0), size_px[0] - width))
    top = round(min(max(target.center_px[1] - height / 2, 0), size_px[1] - height))
    # Whole pixels of the reduced picture.
    return Crop(left - left % scale, top - top % scale, width, height, scale)


def _decode_units(size_px: tuple[int, int], scale: int) -> float:
    return size_px[0] * size_px[1] * (_DECODE_PER_PX[0] + _DECODE_PER_PX[1] / scale**2)
