"""[B] USB devices that come back under another name: /dev/ttyACM0 was pulled out and is /dev/ttyACM1 now.

The kernel gives such names in the order of plugging. A device that was opened once is known by maker, product and serial number, or by its
socket where it has no number, and is found again by these. Names below by-id and by-path are left alone: udev keeps them right,
and a socket is sometimes just what is meant.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

_KERNEL_NAME = re.compile(r"/dev/((?:tty(?:ACM|USB)|video)\d+)")
_CLASSES = ("tty", "video4linux")
_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """What tells one device from another; `socket` counts where there is no serial number."""

    vendor: str
    product: str
    serial: str
    socket: str
    interface: str
    """Of a device that is several: a camera's pictures and its data about them."""


class UsbNames:
    """Remembers which device was behind a name. `root` stands for / in tests."""

    def __init__(self, root: Path = _ROOT) -> None:
        self._root = root
        self._known: dict[str, UsbDevice] = {}

    def current(self, path: str) -> str:
        """Returns the name that the device has now which was behind `path` when it was opened last; `path` itself if it is not known."""
        known = self._known.get(path)
        if known is None or known == self._device(path):
            return path
        for name in self._names():
            if self._device(name) == known:
                return name
        return path

    def opened(self, path: str, name: str) -> None:
        """Notes the device that has just been opened as `name`, for the settings' name `path`."""
        device = self._device(name)
        if device is not None and _KERNEL_NAME.fullmatch(path):
            self._known[path] = device

    def _names(self) -> list[str]:
        names = [entry.name for kind in _CLASSES for entry in (self._root / "sys/class" / kind).glob("*")]
        return sorted(f"/dev/{name}" for name in names if _KERNEL_NAME.fullmatch(f"/dev/{name}"))

    def _device(self, path: str) -> UsbDevice | None:
        match = _KERNEL_NAME.fullmatch(path)
        if match is None:
            return None
        for kind in _CLASSES:
            entry = self._root / "sys/class" / kind / match[1]
            if (entry / "device").exists():
                return _read(entry)
        return None


def _read(entry: Path) -> UsbDevice | None:
    """Returns the USB device above a tty's or camera's entry in /sys."""
    place = (entry / "device").resolve()
    interface = ""
    for folder in (place, *place.parents):
        interface = interface or _text(folder / "bInterfaceNumber")
        if vendor := _text(folder / "idVendor"):
            serial = _text(folder / "serial")
            within = f"{interface}.{_text(entry / 'index')}"
            return UsbDevice(vendor, _text(folder / "idProduct"), serial, "" if serial else folder.name, within)
    return None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return ""


NAMES = UsbNames()
"""Of this process: drivers are made anew with each attempt to open, names outlive them."""
