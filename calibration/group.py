"""Several procedures in one walk: all cameras look for the board at once, whichever sees it takes its sample; pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from calibration.procedure import Guidance, Procedure
from calibration.results import Grid, Say
from robot.types import CameraFrame, ThermalFrame


class Group:
    """Feeds the procedures that are not done, and speaks for the one that something happens to."""

    def __init__(self, procedures: Sequence[Procedure]) -> None:
        self.procedures = tuple(procedures)
        self._guidance: dict[str, Guidance] = {}
        self._focus = self.procedures[0].name

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        """Returns the guidance of all as one."""
        for procedure in self.procedures:
            before = self._guidance.get(procedure.name)
            if before is not None and before.done:
                continue
            now = self._guidance[procedure.name] = procedure.offer(frames, thermals, now_ns)
            if before is not None and (now.accepted != before.accepted or (now.refusal and not before.refusal)):
                self._focus = procedure.name
        if self._guidance[self._focus].done:
            self._focus = next((name for name, guidance in self._guidance.items() if not guidance.done), self._focus)
        return self._merged()

    def guidance(self, name: str) -> Guidance:
        """Returns the newest guidance of one procedure."""
        return self._guidance[name]

    def _merged(self) -> Guidance:
        focus = self._guidance[self._focus]
        if len(self.procedures) == 1:
            return focus
        every = list(self._guidance.values())
        return msgspec.structs.replace(
            focus,
            progress=sum(guidance.progress for guidance in every) / len(every),
            accepted=sum(guidance.accepted for guidance in every),
            done=all(guidance.done for guidance in every),
            state=(Say("state.about", {"what": self._focus.split(" ", 1)[-1]}), *focus.state),
            coverage=(self._overview(), *focus.coverage),
        )

    def _overview(self) -> Grid:
        """Percent of each procedure."""
        return Grid(
            title=Say("cov.each"),
            rows=("%",),
            columns=tuple(name.split(" ", 1)[-1] for name in self._guidance),
            counts=(tuple(guidance.percent for guidance in self._guidance.values()),),
            needed=((100,) * len(self._guidance),),
        )
