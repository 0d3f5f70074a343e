"""Clients that nobody here wrote, against the simulated devices: the maker's pysenxor-lite, and irt-camera's frame parser."""

from __future__ import annotations

import numpy as np
import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from drivers.address import parse
from drivers.thermal_gymcu_codec import GymcuDecoder
from drivers.thermal_senxor import SenxorSensor
from simulators.firmware_gymcu import GymcuFirmware
from simulators.firmware_senxor import SenxorFirmware
from simulators.pty import PtyDevice

senxor = pytest.importorskip("senxor")
irtcamera = pytest.importorskip("irtcamera.mlx90640")


def port_description(path: str) -> ListPortInfo:
    """What the operating system would say of the USB device; a pseudo-terminal has no such description."""
    info = ListPortInfo(path)
    info.vid, info.pid = 0x0416, 0xB020
    return info


@pytest.mark.parametrize(("model", "shape"), [("MI1602", (120, 160)), ("MI0802", (62, 80))])
def test_the_makers_library_reads_the_same_frames_as_our_driver(model: str, shape: tuple[int, int]) -> None:
    from senxor.interface.serial_port import SerialPort
    from senxor.proc import parse_header

    image = np.random.default_rng(7).uniform(15, 42, shape)
    firmware = SenxorFirmware(model, serial=bytes((25, 14, 1, 0, 4, 210)))
    with PtyDevice(firmware, lambda: image) as device:
        client = senxor.connect(SerialPort(port_description(device.path)))
        try:
            assert client.get_shape() == shape
            assert client.get_sn() == "190E010004D2"
            assert client.get_fw_version() == "4.5.12"
            assert client.read_regs([0xBA, 0xCA]) == {0xBA: firmware.registers[0xBA], 0xCA: 95}
            client.fields.EMISSIVITY.set(100)
            client.fields.FRAME_RATE_DIVIDER.set(1)
            client.start_stream()
            header, theirs_c = client.read()
            client.set_dk_enabled(True)
            _, theirs_dk = client.read()
            client.stop_stream()
        finally:
            client.close()
        ours = SenxorSensor(parse(f"senxor:{device.path}?fps=25"))
        ours_c = ours.read(3.0).temp_c
        ours.close()
    assert firmware.registers[0xCA] == 100
    np.testing.assert_array_equal(np.rint((ours_c.astype(np.float64) + 273.15) * 10), theirs_dk)
    np.testing.assert_allclose(theirs_c, ours_c, atol=0.0501)  # it rounds to tenths of °C
    np.testing.assert_allclose(ours_c, image, atol=0.0501)
    described = parse_header(header)
    assert described.die_temp == pytest.approx(33.0, abs=0.006)
    assert described.vdd == pytest.approx(3.3)
    assert described.maxVal == pytest.approx(image.max(), abs=0.06)
    assert described.minVal == pytest.approx(image.min(), abs=0.06)


def test_irt_camera_reads_the_same_frame_as_our_driver() -> None:
    image = np.random.default_rng(8).uniform(15, 42, (24, 32))
    firmware = GymcuFirmware(baud=115200)
    firmware.on_bytes(b"\xa5\x45\x64\x4e")
    with (
        PtyDevice(firmware, lambda: image, rate_hz=10.0) as device,
        serial.Serial(device.path, 115200, timeout=2) as port,
    ):
        port.write(bytes((0xA5, 0x25, 0x01, 0xCB)))
        port.write(bytes((0xA5, 0x45, 0x64, 0x4E)))
        port.write(bytes((0xA5, 0x35, 0x02, 0xDC)))
        data = port.read(1544)
    client = irtcamera.ReThread(com="")
    ambient_c, _, hundredths, is_bad = client.getTempArray(data)
    assert not is_bad
    assert ambient_c == 33.0
    theirs_c = np.asarray(client.get_matrix(hundredths))
    [ours] = GymcuDecoder().feed(data)
    np.testing.assert_allclose(ours.temp_c, theirs_c, atol=1e-4)
    np.testing.assert_allclose(theirs_c, image, atol=0.00501)
