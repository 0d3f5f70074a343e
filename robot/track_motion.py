"""How people move, as the tracker expects it: place and velocity after some time, and how sure that is.

A walk goes on unchanged for a moment and then levels off, for people stop and turn: velocity fades with a time constant
and is renewed by chance (an Ornstein-Uhlenbeck process; Singer 1970 has the closed forms). Out of sight the place is
so less and less certain, but at walking pace, not as fast as a free acceleration would have it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.types import F64


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

    def advance(self, state: F64, covariance: F64, dt_s: NDArray[np.floating]) -> tuple[F64, F64]:
        """Returns states (n × 6: place, velocity) and covariances (n × 6 × 6) after `dt_s` (n): F x, F P Fᵀ + Q."""
        ahead_s, kept = self._walk(dt_s)
        moved = np.empty((len(state), 6))
        np.multiply(state[:, 3:], ahead_s[:, None], out=moved[:, :3])
        moved[:, :3] += state[:, :3]
        np.multiply(state[:, 3:], kept[:, None], out=moved[:, 3:])
        span, kept = ahead_s[:, None, None], kept[:, None, None]
        cross, speed = covariance[:, :3, 3:], covariance[:, 3:, 3:]
        spread = np.empty((len(state), 6, 6))
        far = cross + span * speed
        spread[:, :3, :3] = covariance[:, :3, :3] + span * (far + cross.transpose(0, 2, 1))
        far *= kept
        spread[:, :3, 3:] = far
        spread[:, 3:, :3] = far.transpose(0, 2, 1)
        np.multiply(speed, kept * kept, out=spread[:, 3:, 3:])
        self._add_noise(spread, np.maximum(dt_s, 0.0), state)
        return moved, spread

    def whereabouts(self, state: F64, dt_s: NDArray[np.floating]) -> F64:
        """Returns the places (n × 3) alone."""
        return state[:, :3] + self._walk(dt_s)[0][:, None] * state[:, 3:]

    def place(self, state: F64, covariance: F64, dt_s: NDArray[np.floating]) -> tuple[F64, F64]:
        """Returns the places (n × 3) and their covariances (n × 3 × 3) that `advance` has, for less work."""
        ahead_s = self._walk(dt_s)[0][:, None]
        span, cross = ahead_s[:, :, None], covariance[:, :3, 3:]
        spread = np.empty((len(state), 3, 3))
        np.add(cross + span * covariance[:, 3:, 3:], cross.transpose(0, 2, 1), out=spread)
        spread *= span
        spread += covariance[:, :3, :3]
        dt_s = np.maximum(dt_s, 0.0)
        spread.reshape(-1, 9)[:, ::4] += self._place_noise(dt_s, self._lost(dt_s), self._power(state))
        return state[:, :3] + ahead_s * state[:, 3:], spread

    def _walk(self, dt_s: NDArray[np.floating]) -> tuple[F64, F64]:
        """Returns for how long of `dt_s` a walk goes on, in effect, and what share of the velocity is left then.

        Before its own time (below zero) it is taken as straight.
        """
        faded = np.expm1(np.maximum(dt_s - self.steady_s, 0.0) * (-1 / self.fade_s))
        return np.minimum(dt_s, self.steady_s) - self.fade_s * faded, 1.0 + faded

    def _lost(self, dt_s: NDArray[np.floating]) -> F64:
        """Returns the share of a velocity that is another's after `dt_s`, by the fading alone: 1 − exp(−dt/fade)."""
        lost: F64 = -np.expm1(dt_s * (-1 / self.fade_s))
        return lost

    def _add_noise(self, covariance: F64, dt_s: NDArray[np.floating], state: F64) -> None:
        fade_s, power, lost = self.fade_s, self._power(state), self._lost(dt_s)
        flat = covariance.reshape(-1, 36)  # diagonals of the four blocks: every seventh, from 0, 3, 18 and 21 on
        flat[:, 0:15:7] += self._place_noise(dt_s, lost, power)
        cross = power * (fade_s**2 / 2 * lost * lost)[:, None]
        flat[:, 3:18:7] += cross
        flat[:, 18:33:7] += cross
        # 1 − exp(−2 dt/fade), as its parts are at hand.
        flat[:, 21::7] += power * (fade_s / 2 * lost * (2 - lost))[:, None]

    def _power(self, state: F64) -> F64:
        """Returns the variance that each velocity gains in a second (n × 3)."""
        walks = np.minimum(np.hypot(state[:, 3], state[:, 4]) * (1 / self.brisk_m_s), 1.0)
        level = self.settled_m_s + (self.change_m_s - self.settled_m_s) * walks
        power = np.empty((len(state), 3))
        power[:, :2] = (level * level)[:, None]
        power[:, 2] = self.climb_m_s**2
        return power

    def _place_noise(self, dt_s: NDArray[np.floating], lost: F64, power: F64) -> F64:
        """Returns the variance that each place gains in `dt_s` (n × 3): both integrals of the fading velocity, and heads beside the walk."""
        fade_s = self.fade_s
        gain = fade_s**2 * np.maximum(dt_s - fade_s * lost * (1 + lost / 2), 0.0)
        beside = np.minimum(dt_s, 1.0)[:, None] * (self.sway_m**2, self.sway_m**2, self.nod_m**2)
        noise: F64 = power * gain[:, None] + beside
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
