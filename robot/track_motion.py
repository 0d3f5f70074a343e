"""How people move, as the tracker expects it: place and velocity after some time, and how sure that is.

A walk goes on unchanged for a moment and then levels off, for people stop and turn: velocity fades with a time constant
and is renewed by chance (an Ornstein-Uhlenbeck process; Singer 1970 has the closed forms). Out of sight the place is
so less and less certain, but at walking pace, not as fast as a free acceleration would have it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.optics import length
from robot.types import F64

_AXES = np.arange(3)


@dataclass(frozen=True, slots=True)
class Motion:
    """What people do. Standard deviations per axis; level, and for the height of the eyes, which barely changes."""

    steady_s: float = 0.3
    """A gap this long is bridged at unchanged velocity."""
    fade_s: float = 1.5
    """After it the expected way levels off with this time constant."""
    change_m_s: float = 0.35
    """How much the velocity of somebody who walks changes in one second."""
    settled_m_s: float = 0.15
    """The same for somebody who stands: most go on standing."""
    brisk_m_s: float = 0.6
    """From this speed on a person walks."""
    climb_m_s: float = 0.02
    sway_m: float = 0.08
    """How far a face moves in one second beside the walk: heads turn and nod; grows with the root of time."""
    nod_m: float = 0.02
    speed_m_s: float = 0.9
    """Of a person whose velocity is not known yet."""
    rise_m_s: float = 0.05

    def ahead_s(self, dt_s: NDArray[np.floating]) -> F64:
        """Returns for how long of `dt_s` a walk goes on, in effect; before its own time (below zero) it is taken as straight."""
        beyond = np.maximum(dt_s - self.steady_s, 0.0)
        ahead: F64 = np.minimum(dt_s, self.steady_s) - self.fade_s * np.expm1(-beyond / self.fade_s)
        return ahead

    def advance(self, state: F64, covariance: F64, dt_s: NDArray[np.floating]) -> tuple[F64, F64]:
        """Returns states (n × 6: place, velocity) and covariances (n × 6 × 6) after `dt_s` (n): F x, F P Fᵀ + Q."""
        ahead_s = self.ahead_s(dt_s)
        kept = np.exp(-np.maximum(dt_s - self.steady_s, 0.0) / self.fade_s)
        moved = np.empty_like(state)
        moved[:, :3] = state[:, :3] + state[:, 3:] * ahead_s[:, None]
        moved[:, 3:] = state[:, 3:] * kept[:, None]
        span, kept = ahead_s[:, None, None], kept[:, None, None]
        place, cross, speed = covariance[:, :3, :3], covariance[:, :3, 3:], covariance[:, 3:, 3:]
        spread = np.empty_like(covariance)
        lever = span * speed
        spread[:, :3, :3] = place + span * (cross + cross.transpose(0, 2, 1)) + span * lever
        spread[:, :3, 3:] = kept * (cross + lever)
        spread[:, 3:, :3] = spread[:, :3, 3:].transpose(0, 2, 1)
        spread[:, 3:, 3:] = kept**2 * speed
        self._add_noise(spread, np.maximum(dt_s, 0.0), state)
        return moved, spread

    def place(self, state: F64, covariance: F64, dt_s: NDArray[np.floating]) -> tuple[F64, F64]:
        """Returns the places (n × 3) and their covariances (n × 3 × 3) that `advance` has, for less work."""
        ahead_s = self.ahead_s(dt_s)[:, None, None]
        cross = covariance[:, :3, 3:]
        lever = ahead_s * covariance[:, 3:, 3:]
        spread = covariance[:, :3, :3] + ahead_s * (cross + cross.transpose(0, 2, 1) + lever)
        spread[:, _AXES, _AXES] += self._place_noise(np.maximum(dt_s, 0.0), self._power(state))
        return state[:, :3] + ahead_s[:, 0] * state[:, 3:], spread

    def _add_noise(self, covariance: F64, dt_s: NDArray[np.floating], state: F64) -> None:
        fade_s, power = self.fade_s, self._power(state)
        lost = -np.expm1(-dt_s / fade_s)
        covariance[:, _AXES, _AXES] += self._place_noise(dt_s, power)
        cross = power * (fade_s**2 / 2 * lost**2)[:, None]
        covariance[:, _AXES, _AXES + 3] += cross
        covariance[:, _AXES + 3, _AXES] += cross
        # 1 − exp(−2 dt/fade), as its parts are at hand.
        covariance[:, _AXES + 3, _AXES + 3] += power * (fade_s / 2 * lost * (2 - lost))[:, None]

    def _power(self, state: F64) -> F64:
        """Returns the variance that each velocity gains in a second (n × 3)."""
        walks = np.minimum(length(state[:, 3:5]) / self.brisk_m_s, 1.0)
        power = np.empty((len(state), 3))
        power[:, :2] = ((self.settled_m_s + (self.change_m_s - self.settled_m_s) * walks) ** 2)[:, None]
        power[:, 2] = self.climb_m_s**2
        return power

    def _place_noise(self, dt_s: NDArray[np.floating], power: F64) -> F64:
        """Returns the variance that each place gains in `dt_s` (n × 3): both integrals of the fading velocity, and heads beside the walk."""
        fade_s = self.fade_s
        lost = -np.expm1(-dt_s / fade_s)
        gain = fade_s**2 * np.maximum(dt_s - 2 * fade_s * lost + fade_s / 2 * lost * (2 - lost), 0.0)
        noise: F64 = power * gain[:, None] + np.minimum(dt_s, 1.0)[:, None] * (
            self.sway_m**2,
            self.sway_m**2,
            self.nod_m**2,
        )
        return noise

    def newcomers(self, positions_m: F64, covariances_m2: F64) -> tuple[F64, F64]:
        """Returns state and covariance of people just met at these places (n × 3, n × 3 × 3), their velocity unknown."""
        state = np.zeros((len(positions_m), 6))
        state[:, :3] = positions_m
        covariance = np.zeros((len(positions_m), 6, 6))
        covariance[:, :3, :3] = covariances_m2
        covariance[:, 3:, 3:] = self.velocity_spread()
        return state, covariance

    def velocity_spread(self) -> F64:
        """Returns the covariance (3 × 3) of the velocities of people nobody knows."""
        spread: F64 = np.diag(np.array([self.speed_m_s, self.speed_m_s, self.rise_m_s]) ** 2)
        return spread
