"""Both drivers with real pyserial over pseudo-terminals against the simulated devices, faults included."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import serial

from drivers.address import parse
from drivers.thermal_gymcu import GymcuSensor
from drivers.thermal_port import PENDING_FRAMES
from drivers.thermal_senxor import SenxorSensor
from robot.errors import DeviceError, DeviceTimeout
from robot.types import ThermalFrame
from simulators.faults import FaultPlan
from simulators.firmware_gymcu import GymcuFirmware
from simulators.firmware_senxor import SenxorFirmware
from simulators.pty import Firmware, PtyDevice

TIMEOUT_S = 3.0
Start = Callable[..., PtyDevice]


def scene(firmware: SenxorFirmware | GymcuFirmware) -> np.ndarray:
    """A ramp that differs along rows and columns, so that a mirrored or transposed frame is another one."""
    rows, columns = np.mgrid[0 : firmware.height_px, 0 : firmware.width_px]
    return np.asarray(20 + 0.1 * columns + 0.2 * rows, np.float64)


@pytest.fixture
def start() -> Iterator[Start]:
    devices: list[PtyDevice] = []

    def make(firmware: SenxorFirmware | GymcuFirmware, *faults: dict[str, object], **options: object) -> PtyDevice:
        image = scene(firmware)
        device = PtyDevice(firmware, lambda: image, faults=FaultPlan.from_dicts(faults, seed=3), **options)  # type: ignore[arg-type]
        devices.append(device)
        return device

    yield make
    for device in devices:
        device.close()


def assert_scene(frame: ThermalFrame, firmware: SenxorFirmware | GymcuFirmware, within_c: float) -> None:
    np.testing.assert_allclose(frame.temp_c, scene(firmware), atol=within_c)
    assert frame.sensor_temp_c == 33.0


def test_senxor_corrections_that_somebody_left_set_are_cleared(start: Start) -> None:
    firmware = SenxorFirmware("MI0802")
    device = start(firmware)
    firmware.registers[0xCB], firmware.registers[0xCD] = 20, 255  # +2.0 K, and a percent less of 300 K
    sensor = SenxorSensor(parse(f"senxor:{device.path}"))
    try:
        assert_scene(sensor.read(TIMEOUT_S), firmware, 0.0501)
    finally:
        sensor.close()


@pytest.mark.parametrize("model", ["MI1602", "MI0802"])
def test_senxor_from_opening_to_frames(start: Start, model: str) -> None:
    firmware = SenxorFirmware(model, serial=bytes((0x19, 0x0E, 0x01, 0x00, 0x04, 0xD2)))
    device = start(firmware)
    before_ns = time.monotonic_ns()
    sensor = SenxorSensor(parse(f"senxor:{device.path}?fps=25&model={model}"))
    try:
        assert (sensor.info.model, sensor.info.serial) == (model, "190E010004D2")
        assert (sensor.info.height_px, sensor.info.width_px) == scene(firmware).shape
        assert firmware.registers[0xCA] == 100
        frames = [sensor.read(TIMEOUT_S) for _ in range(4)]
        for frame in frames:
            assert_scene(frame, firmware, 0.0501)
        assert [frame.seq for frame in frames] == [1, 2, 3, 4]
        stamps = [before_ns, *(frame.t_mono_ns for frame in frames), time.monotonic_ns()]
        assert stamps == sorted(stamps)
        assert sensor.faults == {}
        assert sensor.rate_hz == 25.0
    finally:
        sensor.close()
        sensor.close()
    deadline_s = time.monotonic() + TIMEOUT_S
    while firmware.streaming and time.monotonic() < deadline_s:
        time.sleep(0.005)
    assert not firmware.streaming
    with pytest.raises(DeviceError, match="after close"):
        sensor.read(0.1)


def test_senxor_left_streaming_in_other_units_is_taken_over(start: Start) -> None:
    firmware = SenxorFirmware("MI0802")
    device = start(firmware)
    firmware.on_bytes(b"   #000CWREG3101XXXX   #000CWREGB102XXXX")
    time.sleep(0.1)
    sensor = SenxorSensor(parse(f"senxor:{device.path}?fps=25"))
    assert_scene(sensor.read(TIMEOUT_S), firmware, 0.0501)
    assert "wrong_variant" not in sensor.faults
    sensor.close()


def test_senxor_whose_last_frame_is_thrown_away_half_read(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = SenxorFirmware("MI0802")
    firmware.on_bytes(b"   #000CWREGB102XXXX")
    torn = firmware.frame(scene(firmware))[:6000]
    firmware.on_bytes(b"   #000CWREGB100XXXX")
    answer = firmware.on_bytes

    def answers(data: bytes) -> bytes:
        """The first word to end the streaming meets a frame on its way, of which no more comes."""
        nonlocal torn
        said, torn = (answer(data) + torn, b"") if b"WREGB100" in data else (answer(data), torn)
        return said

    monkeypatch.setattr(firmware, "on_bytes", answers)
    sensor = SenxorSensor(parse(f"senxor:{start(firmware).path}?fps=25"))
    assert_scene(sensor.read(TIMEOUT_S), firmware, 0.0501)
    sensor.close()


@pytest.mark.parametrize(
    ("module_baud", "continuous", "query"),
    [
        (115200, False, "baud=460800&rate_hz=8"),
        (115200, True, "baud=460800"),
        (460800, True, "baud=460800&rate_hz=8"),
        (460800, False, "rate_hz=4"),
    ],
)
def test_gymcu_from_opening_to_frames(start: Start, module_baud: int, continuous: bool, query: str) -> None:
    firmware = GymcuFirmware(baud=module_baud, continuous=continuous)
    device = start(firmware)
    sensor = GymcuSensor(parse(f"gymcu:{device.path}?{query}"))
    assert (sensor.info.height_px, sensor.info.width_px) == (24, 32)
    for _ in range(2):
        assert_scene(sensor.read(TIMEOUT_S), firmware, 0.00501)
    assert firmware.emissivity_percent == 100
    assert firmware.baud == (460800 if "460800" in query else 115200)
    assert firmware.rate_hz == sensor.rate_hz
    sensor.close()


def test_a_gymcu_that_sends_on_right_behind_its_answers_is_read_without_a_fault(start: Start) -> None:
    class Eager(GymcuFirmware):
        def on_bytes(self, data: bytes) -> bytes:
            answers = super().on_bytes(data)
            return answers + self.frame(scene(self)) if answers else answers

    device = start(Eager(baud=460800, rate_hz=8.0, continuous=True))
    sensor = GymcuSensor(parse(f"gymcu:{device.path}?baud=460800"))
    sensor.read(TIMEOUT_S)
    assert sensor.faults == {}
    sensor.close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such device"):
        SenxorSensor(parse(f"senxor:{tmp_path}/absent"))
    with pytest.raises(DeviceError, match="no such device"):
        GymcuSensor(parse(f"gymcu:{tmp_path}/absent"))


def test_a_port_that_is_in_use_says_so(start: Start) -> None:
    device = start(SenxorFirmware("MI0802"))
    first = SenxorSensor(parse(f"senxor:{device.path}"))
    with pytest.raises(DeviceError, match="another program"):
        SenxorSensor(parse(f"senxor:{device.path}"))
    first.close()


class Mute:
    """Listens and says nothing, or says what it is told."""

    baud: int | None = None
    rate_hz = 50.0

    def __init__(self, says: bytes = b"") -> None:
        self.says = says

    def on_bytes(self, data: bytes) -> bytes:
        return self.says

    def frame(self, temp_c: np.ndarray) -> bytes:
        return b""

    def power_cycle(self) -> None: ...

    def halt(self) -> None: ...


@pytest.mark.parametrize("says", [b"", b"garbage \x5a\x5a   #"])
def test_nobody_answers(says: bytes) -> None:
    firmware: Firmware = Mute(says)
    with PtyDevice(firmware, lambda: None) as device:
        with pytest.raises(DeviceError, match="nobody answers like a SenXor"):
            SenxorSensor(parse(f"senxor:{device.path}"))
        serial.Serial(device.path, exclusive=True).close()  # the port was given back


def test_gymcu_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.thermal_gymcu._answer_deadline_s", lambda baud: time.monotonic() + 0.1)
    with (
        PtyDevice(Mute(), lambda: None) as device,
        pytest.raises(DeviceError, match="nobody answers like a GY-MCU90640"),
    ):
        GymcuSensor(parse(f"gymcu:{device.path}"))


def test_wrong_variant_by_its_register(start: Start) -> None:
    device = start(SenxorFirmware("MI0802"))
    with pytest.raises(DeviceError, match=r"wrong sensor variant.*MI0802.*MI1602"):
        SenxorSensor(parse(f"senxor:{device.path}?model=MI1602"))


def test_unknown_sensor_type(start: Start) -> None:
    device = start(SenxorFirmware("MI0802", reported_type=99))
    with pytest.raises(DeviceError, match="unknown sensor type 99"):
        SenxorSensor(parse(f"senxor:{device.path}"))


def test_wrong_variant_by_its_frames(start: Start) -> None:
    device = start(SenxorFirmware("MI0802", reported_type=6))
    sensor = SenxorSensor(parse(f"senxor:{device.path}?fps=25"))
    with pytest.raises(DeviceError, match="wrong sensor variant: it sends 80×62") as caught:
        sensor.read(0.3)
    assert not isinstance(caught.value, DeviceTimeout)
    assert sensor.faults["wrong_variant"] >= 1
    sensor.close()


@pytest.mark.parametrize(
    ("kind", "counted"),
    [
        ({"kind": "torn"}, "bad_checksum"),
        ({"kind": "flipped_bit"}, None),
        ({"kind": "lost_byte"}, None),
        ({"kind": "duplicated_byte"}, None),
        ({"kind": "noise_burst", "count": 3000}, "resync_bytes"),
        ({"kind": "bad_checksum"}, "bad_checksum"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("family", ["senxor", "gymcu"])
def test_damaged_bytes_are_counted_and_good_frames_go_on(
    start: Start, family: str, kind: dict[str, object], counted: str | None
) -> None:
    sensor, firmware, device = _open(start, family, {**kind, "probability": 0.5})
    within_c = 0.0501 if family == "senxor" else 0.00501
    for _ in range(6):
        assert_scene(sensor.read(TIMEOUT_S), firmware, within_c)
    deadline_s = time.monotonic() + TIMEOUT_S
    while not sensor.faults.get("resync_bytes") and time.monotonic() < deadline_s:
        sensor.read(TIMEOUT_S)
    assert sensor.faults["resync_bytes"] > 0
    assert device.frames_sent > 0
    if counted:
        assert sensor.faults[counted] > 0
    sensor.close()


def _open(
    start: Start, family: str, *faults: dict[str, object], **options: object
) -> tuple[SenxorSensor | GymcuSensor, SenxorFirmware | GymcuFirmware, PtyDevice]:
    """A fast sensor of the family, so that the tests are short."""
    if family == "senxor":
        firmware: SenxorFirmware | GymcuFirmware = SenxorFirmware("MI0802")
        device = start(firmware, *faults, **options)
        return SenxorSensor(parse(f"senxor:{device.path}?fps=25")), firmware, device
    firmware = GymcuFirmware(baud=460800)
    device = start(firmware, *faults, **{"rate_hz": 25.0, **options})
    return GymcuSensor(parse(f"gymcu:{device.path}?baud=460800&rate_hz=8")), firmware, device


@pytest.mark.parametrize("family", ["senxor", "gymcu"])
def test_unplugging_raises_and_replugging_works(start: Start, family: str, tmp_path: Path) -> None:
    sensor, firmware, device = _open(start, family, link_path=tmp_path / "thermal")
    address = parse(f"{family}:{tmp_path}/thermal?" + ("fps=25" if family == "senxor" else "baud=460800&rate_hz=8"))
    sensor.read(TIMEOUT_S)
    device.unplug()
    with pytest.raises(DeviceError, match="unplugged") as caught:
        for _ in range(PENDING_FRAMES + 2):
            sensor.read(TIMEOUT_S)
    assert not isinstance(caught.value, DeviceTimeout)
    sensor.close()
    with pytest.raises(DeviceError, match="no such device"):
        type(sensor)(address)
    device.replug()
    again = type(sensor)(address)
    assert_scene(again.read(TIMEOUT_S), firmware, 0.0501)
    again.close()


def test_replugging_under_another_name(start: Start, tmp_path: Path) -> None:
    other = tmp_path / "ttyACM1"
    fault = {"kind": "unplug", "at_s": 0.3, "for_s": 0.2, "replug_as": str(other)}
    sensor, firmware, _ = _open(start, "senxor", fault, link_path=tmp_path / "ttyACM0")
    with pytest.raises(DeviceError, match="unplugged"):
        for _ in range(100):
            sensor.read(TIMEOUT_S)
    sensor.close()
    deadline_s = time.monotonic() + TIMEOUT_S
    while not other.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not (tmp_path / "ttyACM0").is_symlink()
    again = SenxorSensor(parse(f"senxor:{other}?fps=25"))
    assert_scene(again.read(TIMEOUT_S), firmware, 0.0501)
    again.close()


def test_a_stall_times_out_and_passes(start: Start) -> None:
    sensor, firmware, _ = _open(start, "senxor", {"kind": "stall", "at_s": 0.3, "for_s": 0.6})
    with pytest.raises(DeviceTimeout, match="no thermal frame in time"):
        for _ in range(100):
            sensor.read(0.25)
    assert_scene(sensor.read(TIMEOUT_S), firmware, 0.0501)
    sensor.close()


@pytest.mark.parametrize("family", ["senxor", "gymcu"])
def test_a_sensor_that_forgot_to_stream_is_told_again(start: Start, family: str) -> None:
    sensor, firmware, _ = _open(start, family)
    sensor.read(TIMEOUT_S)
    firmware.halt()
    frames = [sensor.read(TIMEOUT_S) for _ in range(4)]
    assert_scene(frames[-1], firmware, 0.0501)
    assert sensor.faults["rearmed"] == 1
    sensor.close()


def test_a_stall_of_the_plan_can_make_it_forget(start: Start) -> None:
    sensor, _, _ = _open(start, "senxor", {"kind": "stall", "at_s": 0.3, "forget": True})
    deadline_s = time.monotonic() + TIMEOUT_S
    while "rearmed" not in sensor.faults and time.monotonic() < deadline_s:
        sensor.read(TIMEOUT_S)
    assert sensor.faults["rearmed"] == 1
    sensor.close()


def test_a_late_reader_gets_the_newest_frames(start: Start) -> None:
    sensor, _, _ = _open(start, "gymcu")
    sensor.read(TIMEOUT_S)
    port = sensor._port
    burst = GymcuFirmware(continuous=True).frame(scene(GymcuFirmware()))
    port._pending.clear()
    port._link.read = lambda timeout_s: (burst * 7, 1)  # type: ignore[method-assign]
    assert sensor.read(TIMEOUT_S).t_mono_ns == 1
    assert sensor.faults["overrun"] == 3
    assert len(port._pending) == PENDING_FRAMES - 1
    sensor.close()


def test_nobody_reading_costs_frames_not_memory(start: Start) -> None:
    firmware = SenxorFirmware("MI1602")
    device = start(firmware, rate_hz=100.0)
    firmware.on_bytes(b"   #000CWREGB102XXXX")
    deadline_s = time.monotonic() + TIMEOUT_S
    while device.frames_dropped < 5 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert device.frames_dropped >= 5
    assert device.frames_sent <= 4


def test_bytes_are_paced(start: Start) -> None:
    firmware = GymcuFirmware(baud=9600)
    device = start(firmware, rate_hz=50.0)
    with serial.Serial(device.path, 9600, timeout=0.5) as port:
        port.write(b"\xa5\x35\x02\xdc")
        began_s = time.monotonic()
        count = len(port.read(480))
        took_s = time.monotonic() - began_s
    assert count <= 480
    assert took_s > 0.4  # 480 bytes at 960 a second


def test_bytes_are_garbled_while_the_speeds_differ(start: Start) -> None:
    firmware = GymcuFirmware(baud=115200, continuous=True)
    device = start(firmware, rate_hz=25.0)
    with serial.Serial(device.path, 9600, timeout=0.3) as port:
        assert b"\x5a\x5a\x02\x06" not in port.read(1600)


def test_the_line_does_not_echo_and_survives_clients(start: Start) -> None:
    device = start(SenxorFirmware("MI0802"))
    for _ in range(3):
        with serial.Serial(device.path, timeout=0.15) as port:
            port.write(b"hello\r\n")
            assert port.read(10) == b""
            port.timeout = TIMEOUT_S
            port.write(b"   #000ARREGBAXXXX")
            assert port.read(18) == b"   #000ARREG050266"


def test_what_the_device_sends_before_anyone_listens_does_not_come_back() -> None:
    class Chatty(Mute):
        heard = b""

        def on_bytes(self, data: bytes) -> bytes:
            self.heard += data
            return b""

        def frame(self, temp_c: np.ndarray) -> bytes:
            return b"a line\n"

    firmware = Chatty()
    with PtyDevice(firmware, lambda: np.zeros((1, 1))) as device:
        deadline_s = time.monotonic() + TIMEOUT_S
        while device.frames_sent < 5 and time.monotonic() < deadline_s:
            time.sleep(0.005)
    assert device.frames_sent >= 5
    assert firmware.heard == b""


def test_a_link_never_replaces_a_file(tmp_path: Path) -> None:
    precious = tmp_path / "notes"
    precious.write_text("keep")
    with pytest.raises(FileExistsError, match="choose another name"):
        PtyDevice(SenxorFirmware("MI0802"), lambda: None, link_path=precious)
    assert precious.read_text() == "keep"


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    device = PtyDevice(SenxorFirmware("MI0802"), lambda: None, link_path=tmp_path / "thermal")
    sensor = SenxorSensor(parse(f"senxor:{device.path}"))
    sensor.close()
    device.close()
    device.close()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert not (tmp_path / "thermal").is_symlink()
