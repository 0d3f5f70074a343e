"""A serial port whose device goes, on real pseudo-terminals, whatever was being done with it."""

from __future__ import annotations

import os
import pty
import re
import termios
from collections.abc import Callable

import pytest

from drivers.serial_link import SerialLink
from robot.errors import DeviceError


@pytest.mark.parametrize(
    "ask",
    [
        SerialLink.discard_input,
        lambda link: link.set_baud(9600),
        lambda link: link.write(b"x"),
        lambda link: link.read(0.1),
    ],
    ids=["discard", "speed", "write", "read"],
)
def test_whatever_the_port_was_doing_a_device_that_goes_is_told_as_one_that_is_gone(
    ask: Callable[[SerialLink], object],
) -> None:
    master, slave = pty.openpty()
    link = SerialLink(os.ttyname(slave), 115_200)
    os.close(master)
    os.close(slave)
    with pytest.raises(DeviceError, match=re.escape(link.path)):
        ask(link)
    link.close()


def test_a_device_that_goes_while_it_is_opened_is_one_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise termios.error(5, "Input/output error")

    master, slave = pty.openpty()
    monkeypatch.setattr("serial.serialposix.termios.tcsetattr", gone)
    with pytest.raises(DeviceError, match="cannot open the serial port"):
        SerialLink(os.ttyname(slave), 115_200)
    os.close(master)
    os.close(slave)
