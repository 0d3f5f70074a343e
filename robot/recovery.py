"""The supply of one device, cut and given back by its reader while the device is closed (rules: robot/power.py)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from robot.awaited import Awaited
from robot.backoff import Backoff
from robot.errors import DeviceError, DeviceRefused
from robot.interfaces import PowerSwitch
from robot.power import PowerCycle, PowerRules

log = logging.getLogger(__name__)

IN_VAIN = 3
"""So many cuts in a row that did not help are said aloud: a person is needed."""


class PowerCycler:
    """Used by one reader thread; the counts may be read by anyone. While its switch cannot be had nothing is cut."""

    def __init__(
        self, name: str, switch: Awaited[PowerSwitch], rules: PowerRules, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._switch, self._rules, self._clock_s = name, switch, rules, clock_s
        self._cycle = PowerCycle(rules, clock_s())
        self._is_cut = False
        self.cycles = 0
        """Since the start."""
        self.problem = ""
        """What is wrong with the switch itself."""

    @property
    def in_vain(self) -> bool:
        """True while cutting does not help."""
        return self._cycle.in_vain >= IN_VAIN

    def good(self) -> None:
        """A usable frame came."""
        self._cycle.good(self._clock_s())

    def failed(self, error: DeviceError, pause: Callable[[float], object]) -> bool:
        """The device has failed and is closed: cuts its supply if that is due; returns True if so. `pause` waits so many seconds,
        less when the robot stops; the supply is back in any case."""
        if isinstance(error, DeviceRefused):
            self._cycle.refused()
            return False
        if self._is_cut:  # it could not be given back the last time
            self._restore()
        if not self._cycle.failed(self._clock_s()) or self._switch.problem:
            return False
        log.warning("%s: its power is cut for %g s: %s", self._name, self._rules.off_s, error)
        self._is_cut = True
        try:
            self._switch.get().cut()
            self.problem = ""
            self.cycles += 1
            pause(self._rules.off_s)
        except DeviceError as fault:
            self.problem = str(fault)
            log.error("%s: its power cannot be cut: %s", self._name, fault)
        finally:
            self._restore()
            self._cycle.was_cut(self._clock_s())
        log.info("%s: power is back; the next cut comes %g s later at the earliest", self._name, self._cycle.pause_s)
        if self.in_vain:
            log.error(
                "%s: %d cuts of its power did not help: look at cable, supply and device",
                self._name,
                self._cycle.in_vain,
            )
        return True

    def _restore(self) -> None:
        try:
            self._switch.get().restore()
            self._is_cut = False
        except DeviceError as fault:
            self.problem = str(fault)
            log.critical("%s: its power cannot be given back: %s", self._name, fault)


class Supplies:
    """The supplies of all devices that have a switch; one whose switch cannot be had yet goes on without."""

    def __init__(
        self,
        openers: Mapping[str, Callable[[], PowerSwitch]],
        rules: PowerRules,
        new_backoff: Callable[[], Backoff | None] = lambda: None,
    ) -> None:
        self.cyclers: dict[str, PowerCycler] = {}
        self._switches: list[Awaited[PowerSwitch]] = []
        for name, opener in openers.items():
            switch = Awaited(f"power of {name}", opener, new_backoff())
            if problem := switch.problem:
                log.error("%s: its power cannot be switched: %s", name, problem)
            self._switches.append(switch)
            self.cyclers[name] = PowerCycler(name, switch, rules)

    @property
    def codes(self) -> tuple[str, ...]:
        """What must be said aloud (robot/texts.py)."""
        missing = any(switch.problem for switch in self._switches)
        lost = missing or any(cycler.problem for cycler in self.cyclers.values())
        in_vain = any(cycler.in_vain for cycler in self.cyclers.values())
        return (("power_switch_lost",) if lost else ()) + (("power_cycled_in_vain",) if in_vain else ())

    def close(self) -> None:
        """All supplies on, pins released; never raises."""
        for switch in self._switches:
            try:
                switch.close()
            except DeviceError as error:
                log.error("%s", error)
        self._switches.clear()
