"""The codecs under any order of whole frames, torn frames, damage and noise in any pieces: bounded, honest, and back on the next good frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from drivers.plate_codec import PlateCodec
from drivers.thermal_gymcu_codec import GymcuDecoder
from drivers.thermal_senxor_codec import MAX_MESSAGE_BYTES, MI0802, SenxorDecoder
from drivers.thermal_wire import DecodedFrame
from robot.types import PlateReading
from simulators.firmware_gymcu import GymcuFirmware
from simulators.firmware_senxor import SenxorFirmware
from simulators.plate_pty import line

CUTS = st.lists(st.integers(0, 12_000), max_size=4)


def same(found: DecodedFrame | PlateReading) -> bytes:
    """What a frame says, to be compared."""
    return b"%.2f" % found.temp_c if isinstance(found, PlateReading) else found.temp_c.tobytes()


@dataclass(frozen=True)
class Device:
    codec: Callable[[], SenxorDecoder | GymcuDecoder | PlateCodec]
    frames: Sequence[bytes]
    held_bytes: int
    answer: bytes
    flush: int
    """So many good frames outlive the longest false claim."""


def senxor() -> Device:
    device = SenxorFirmware("MI0802")
    answer = device.on_bytes(b"   #000CWREGCA64XXXX   #000CWREGB102XXXX")
    images = np.random.default_rng(1).uniform(10, 40, (3, device.height_px, device.width_px))
    frames = [device.frame(image) for image in images]
    return Device(lambda: SenxorDecoder(MI0802), frames, MAX_MESSAGE_BYTES, answer, 5)


def gymcu() -> Device:
    device = GymcuFirmware(continuous=True)
    frames = [device.frame(image) for image in np.random.default_rng(2).uniform(10, 40, (3, 24, 32))]
    return Device(GymcuDecoder, frames, 1544, device.on_bytes(b"\xa5\x55\x01\xfb"), 2)


def plate() -> Device:
    return Device(PlateCodec, [line(36.5), line(36.61, "HEATING"), line(-4, "FAULT")], 80, b"\r\n", 2)


class Wire(RuleBasedStateMachine):
    """One device's line. `aligned`: everything sent so far was whole, so that the codec waits for nothing."""

    device: Device

    @initialize()
    def begin(self) -> None:
        self.codec = self.device.codec()
        self.aligned = True
        self.firsts_lost = 0
        self.now_ns = 0
        self.newest_ns = 0
        self.faults: dict[str, int] = {}
        self.known = {}
        for frame in self.device.frames:
            (one,) = self.device.codec().feed(frame, 0)
            self.known[same(one)] = frame
        assert len(self.known) == len(self.device.frames)

    def send(self, data: bytes, cuts: Sequence[int]) -> list[bytes]:
        found: list[bytes] = []
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, stop in pairwise(edges):
            self.now_ns += 1
            for one in self.codec.feed(data[start:stop], self.now_ns):
                assert self.newest_ns <= one.t_mono_ns <= self.now_ns
                self.newest_ns = one.t_mono_ns
                found.append(same(one))
        assert all(one in self.known for one in found), "a frame that nobody sent"
        return found

    def sound(self, number: int) -> tuple[bytes, bytes]:
        says, frame = list(self.known.items())[number]
        return says, frame

    @rule(number=st.integers(0, 2), cuts=CUTS)
    def whole_frame(self, number: int, cuts: list[int]) -> None:
        says, frame = self.sound(number)
        found = self.send(frame, cuts)
        if self.aligned:
            assert found == [says], "a whole frame after a whole frame is heard, and it alone"

    @rule(cuts=CUTS)
    def answer(self, cuts: list[int]) -> None:
        found = self.send(self.device.answer, cuts)
        assert not (self.aligned and found)

    @rule(data=st.binary(min_size=1, max_size=200), cuts=CUTS)
    def noise(self, data: bytes, cuts: list[int]) -> None:
        self.aligned = False
        self.send(data, cuts)

    @rule(number=st.integers(0, 2), share=st.floats(0, 1), tail=st.booleans(), cuts=CUTS)
    def torn_frame(self, number: int, share: float, tail: bool, cuts: list[int]) -> None:
        _, frame = self.sound(number)
        at = 1 + int(share * (len(frame) - 2))
        self.aligned = False
        self.send(frame[at:] if tail else frame[:at], cuts)

    @rule(number=st.integers(0, 2), share=st.floats(0, 1), bit=st.integers(0, 7), cuts=CUTS)
    def flipped_bit(self, number: int, share: float, bit: int, cuts: list[int]) -> None:
        _, frame = self.sound(number)
        damaged = bytearray(frame)
        damaged[int(share * (len(frame) - 1))] ^= 1 << bit
        self.aligned = False
        self.send(bytes(damaged), cuts)

    @rule(number=st.integers(0, 2), share=st.floats(0, 1), first=st.integers(0, 2), cuts=CUTS)
    def torn_and_good_again(self, number: int, share: float, first: int, cuts: list[int]) -> None:
        self.torn_frame(number, share, False, cuts)
        self.good_again(first, cuts)

    @rule(first=st.integers(0, 2), cuts=CUTS)
    def good_again(self, first: int, cuts: list[int]) -> None:
        """Whatever came before, of a row of good frames at most the first is lost; all are out when the longest claim is over."""
        sent = [self.sound((first + number) % 3) for number in range(1 + self.device.flush)]
        found = self.send(b"".join(frame for _, frame in sent), cuts)
        assert found[-self.device.flush :] == [says for says, _ in sent[1:]]
        lost = sent[0][0] not in found[: -self.device.flush]
        assert not (self.aligned and lost)
        # Damage that claims its bytes with a right checksum is one in 65,536.
        self.firsts_lost += lost
        assert self.firsts_lost <= 1
        self.aligned = True

    @invariant()
    def bounded_and_counting(self) -> None:
        if not hasattr(self, "codec"):
            return
        codec = self.codec
        held = len(codec._rest) if isinstance(codec, PlateCodec) else codec.buffered_bytes
        assert held <= self.device.held_bytes
        if not isinstance(codec, PlateCodec):
            assert len(codec._stream._arrivals) <= held + 1, "one time for a byte at most"
        assert all(codec.faults.get(kind, 0) >= count for kind, count in self.faults.items())
        self.faults = dict(codec.faults)


class SenxorWire(Wire):
    device = senxor()


class GymcuWire(Wire):
    device = gymcu()


class PlateWire(Wire):
    device = plate()


TestSenxorWire, TestGymcuWire, TestPlateWire = SenxorWire.TestCase, GymcuWire.TestCase, PlateWire.TestCase
TestSenxorWire.settings = TestGymcuWire.settings = TestPlateWire.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None
)
