"""A simulated GY-MCU90640 module, pure: commands in, answers and frames out, encoded from the user manual v1.0.

A frame: 5A 5A, 02 06, 768 × int16 (°C × 100, row by row, first value upper right as seen from behind), int16 own temperature,
sum of the first 771 words. A command: four bytes, the last the 8-bit sum of the first three.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WIDTH_PX, _HEIGHT_PX = 32, 24
_BAUDS = {1: 9600, 2: 115200, 3: 460800}
_RATES_HZ = {0: 0.5, 1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0}
_HEADER_WORDS = (0x5A5A, 0x0602)
_POWER_UP_EMISSIVITY_PERCENT = 95


class GymcuFirmware:
    """One powered module. What `A5 65 01 0B` saved outlives a power cycle; `continuous` is whether it wakes up sending."""

    def __init__(self, baud: int = 115200, rate_hz: float = 4.0, continuous: bool = False) -> None:
        self._saved = (baud, rate_hz, continuous, _POWER_UP_EMISSIVITY_PERCENT)
        self._input = bytearray()
        self.power_cycle()

    @property
    def width_px(self) -> int:
        return _WIDTH_PX

    @property
    def height_px(self) -> int:
        return _HEIGHT_PX

    def power_cycle(self) -> None:
        """Back to the saved settings."""
        self.baud, self.rate_hz, self.streaming, self.emissivity_percent = self._saved
        self._requested = 0
        self._input.clear()

    def halt(self) -> None:
        """Stops sending without a word, the fault of a stalled module."""
        self.streaming, self._requested = False, 0

    def on_bytes(self, data: bytes) -> bytes:
        """Returns the answers to the commands that these bytes complete; anything else is skipped without a word."""
        self._input += data
        answers = b""
        while True:
            at = self._input.find(b"\xa5")
            del self._input[: at if at >= 0 else len(self._input)]
            if len(self._input) < 4:
                return answers
            a, function, value, check = self._input[:4]
            answer = self._obey(function, value) if (a + function + value) & 0xFF == check else None
            answers += answer or b""
            del self._input[: 1 if answer is None else 4]

    def frame(self, temp_c: NDArray[np.floating], sensor_temp_c: float = 33.0) -> bytes:
        """Returns one encoded frame of the apparent (black body) temperatures, 24 × 32 in °C, left to right as the sensor looks;
        empty when none is wanted."""
        if not self.streaming and not self._requested:
            return b""
        if temp_c.shape != (_HEIGHT_PX, _WIDTH_PX):
            raise ValueError(f"GY-MCU90640 frames are 24×32, not {temp_c.shape}")
        self._requested = max(self._requested - 1, 0)
        celsius = temp_c.astype(np.float64)
        emissivity = self.emissivity_percent / 100
        if emissivity < 1:
            # Total radiance: what is not emitted is taken to be a reflection of surroundings as warm as the module.
            reflected = (1 - emissivity) * (sensor_temp_c + 273.15) ** 4
            celsius = (np.maximum((celsius + 273.15) ** 4 - reflected, 0.0) / emissivity) ** 0.25 - 273.15
        pixels = np.clip(np.rint(np.fliplr(celsius) * 100), -32768, 32767).astype("<i2")
        words = np.empty(772, "<u2")
        words[:2] = _HEADER_WORDS
        words[2:770] = pixels.reshape(-1).view("<u2")
        words[770] = round(sensor_temp_c * 100) & 0xFFFF
        words[771] = int(words[:771].sum(dtype=np.uint64)) & 0xFFFF
        return words.tobytes()

    def _obey(self, function: int, value: int) -> bytes | None:
        """Carries out one command; returns None when it is none."""
        if function == 0x15 and value in _BAUDS:
            self.baud = _BAUDS[value]
        elif function == 0x25 and value in _RATES_HZ:
            self.rate_hz = _RATES_HZ[value]
        elif function == 0x35 and value == 0x01:
            self.streaming, self._requested = False, 1
        elif function == 0x35 and value == 0x02:
            self.streaming = True
        elif function == 0x45 and 1 <= value <= 100:
            self.emissivity_percent = value
        elif function == 0x55 and value == 0x01:
            answer = bytes((0x5A, 0x5A, self.emissivity_percent))
            return answer + bytes((sum(answer) & 0xFF,))
        elif function == 0x65 and value == 0x01:
            self._saved = (self.baud, self.rate_hz, self.streaming, self.emissivity_percent)
        else:
            return None
        return b""
