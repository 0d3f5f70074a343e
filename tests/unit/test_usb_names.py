"""A USB device is found again under another name, by its serial number or its socket; links of udev's are left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import serial

from drivers import serial_link
from drivers.serial_link import SerialLink
from drivers.usb_names import UsbNames
from robot.errors import DeviceError


class Bus:
    """The kernel's /sys with devices that come and go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/class/tty").mkdir(parents=True)
        (root / "sys/class/video4linux").mkdir(parents=True)

    def plug(self, name: str, socket: str, serial: str = "", product: str = "0001", index: str = "0") -> None:
        device = self.root / "sys/devices/usb1" / socket
        interface = device / f"{socket}:1.0"
        interface.mkdir(parents=True, exist_ok=True)
        (device / "idVendor").write_text("1a86\n")
        (device / "idProduct").write_text(f"{product}\n")
        if serial:
            (device / "serial").write_text(f"{serial}\n")
        (interface / "bInterfaceNumber").write_text("00\n")
        kind = "video4linux" if name.startswith("video") else "tty"
        entry = self.root / "sys/class" / kind / name
        entry.mkdir()
        (entry / "device").symlink_to(interface)
        (entry / "index").write_text(f"{index}\n")

    def unplug(self, name: str, socket: str) -> None:
        kind = "video4linux" if name.startswith("video") else "tty"
        shutil.rmtree(self.root / "sys/class" / kind / name)
        shutil.rmtree(self.root / "sys/devices/usb1" / socket, ignore_errors=True)


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return Bus(tmp_path)


def known(bus: Bus, path: str) -> UsbNames:
    names = UsbNames(bus.root)
    assert names.current(path) == path
    names.opened(path, path)
    return names


def test_by_serial_number_in_another_socket(bus: Bus) -> None:
    bus.plug("ttyACM0", "1-1", "SN1")
    names = known(bus, "/dev/ttyACM0")
    bus.unplug("ttyACM0", "1-1")
    assert names.current("/dev/ttyACM0") == "/dev/ttyACM0", "gone: the settings' name is in the error"
    bus.plug("ttyACM3", "1-4", "SN1")
    assert names.current("/dev/ttyACM0") == "/dev/ttyACM3"


def test_by_socket_without_a_serial_number(bus: Bus) -> None:
    bus.plug("ttyUSB0", "1-2")
    names = known(bus, "/dev/ttyUSB0")
    bus.unplug("ttyUSB0", "1-2")
    bus.plug("ttyUSB1", "1-3")
    assert names.current("/dev/ttyUSB0") == "/dev/ttyUSB0", "the like in another socket is another"
    bus.plug("ttyUSB2", "1-2")
    assert names.current("/dev/ttyUSB0") == "/dev/ttyUSB2"


def test_two_that_have_changed_their_names(bus: Bus) -> None:
    bus.plug("ttyUSB0", "1-1", "A")
    bus.plug("ttyUSB1", "1-2", "B")
    names = known(bus, "/dev/ttyUSB0")
    names.opened("/dev/ttyUSB1", "/dev/ttyUSB1")
    bus.unplug("ttyUSB0", "1-1")
    bus.unplug("ttyUSB1", "1-2")
    bus.plug("ttyUSB0", "1-2", "B")
    bus.plug("ttyUSB1", "1-1", "A")
    assert names.current("/dev/ttyUSB0") == "/dev/ttyUSB1"
    assert names.current("/dev/ttyUSB1") == "/dev/ttyUSB0"


def test_a_cameras_pictures_and_not_its_data_about_them(bus: Bus) -> None:
    bus.plug("video0", "1-1", "CAM", index="0")
    names = known(bus, "/dev/video0")
    bus.unplug("video0", "1-1")
    bus.plug("video1", "1-1", "CAM", index="1")
    bus.plug("video2", "1-1", "CAM", index="0")
    assert names.current("/dev/video0") == "/dev/video2"


@pytest.mark.parametrize("path", ["/dev/serial/by-id/usb-x", "/dev/v4l/by-path/y", "/dev/pts/3", "/tmp/thermal"])
def test_other_names_are_left_alone(bus: Bus, path: str) -> None:
    bus.plug("ttyACM0", "1-1", "SN1")
    names = UsbNames(bus.root)
    names.opened(path, path)
    assert names.current(path) == path


def test_the_serial_driver_asks(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    class Port:
        def __init__(self, path: str, *_: object, **__: object) -> None:
            opened.append(path)
            if not (bus.root / "sys/class/tty" / path.removeprefix("/dev/")).exists():
                raise FileNotFoundError(2, "no such file", path)

        def close(self) -> None: ...

    monkeypatch.setattr(serial, "Serial", Port)
    monkeypatch.setattr(serial_link, "NAMES", UsbNames(bus.root))
    bus.plug("ttyACM0", "1-1", "SN1")
    SerialLink("/dev/ttyACM0", 9600).close()
    bus.unplug("ttyACM0", "1-1")
    with pytest.raises(DeviceError, match=r"/dev/ttyACM0: cannot open.*no such device"):
        SerialLink("/dev/ttyACM0", 9600)
    bus.plug("ttyACM1", "1-1", "SN1")
    SerialLink("/dev/ttyACM0", 9600).close()
    assert opened == ["/dev/ttyACM0", "/dev/ttyACM0", "/dev/ttyACM1"]
