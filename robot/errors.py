"""Every error that this software raises on purpose, as one tree.

PatrolError
├── ConfigError        (also ValueError)   a setting is wrong: start-up stops, exit code 2
├── CalibrationError   (also ValueError)   a calibration file is refused
├── ModelError         (also RuntimeError) the detector's file is missing, wrong or cannot run
├── DeviceError        (also OSError)      a device failed: the owner reopens it with backoff
│   ├── DeviceTimeout  (also TimeoutError) nothing arrived in time: same treatment, counted apart
│   ├── DeviceRefused                      it works, but not for us: its power is never cut
│   └── EndOfStream                        a recording is over: not reopened, its reader ends
├── StoreError         (also OSError)      the event database cannot be used
│   └── StoreUnwritable                    its disk is full, read-only or fails: the robot goes on without
├── RecordingError     (also ValueError)   a recording cannot be played
└── ProtocolError      (also ValueError)   a client sent something that the protocol does not allow

Anything else that escapes a stage is a bug: the process ends and the service manager restarts it.
"""

from __future__ import annotations


class PatrolError(Exception):
    """Base of all errors raised on purpose; its text is written for the person who must act on it."""


class ConfigError(PatrolError, ValueError):
    """Settings are wrong; `problems` lists every one of them as `path: what is wrong (what to do)`."""

    def __init__(self, problems: list[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class CalibrationError(PatrolError, ValueError):
    """A calibration file cannot be used, and why."""


class ModelError(PatrolError, RuntimeError):
    """The face detector's file is missing, is not the expected one, or cannot be run."""


class DeviceError(PatrolError, OSError):
    """A device failed or is absent; the owner closes it and opens it again after a pause."""


class DeviceTimeout(DeviceError, TimeoutError):
    """A device is open but sent nothing within the time allowed."""


class DeviceRefused(DeviceError):
    """A device is there and works but cannot be used: another one than wanted, held by somebody else, no permission."""


class EndOfStream(DeviceError):
    """A finite source (a video, a folder of images) has given its last frame; opening it again would start it anew."""


class StoreError(PatrolError, OSError):
    """The event database cannot be opened, read or written."""


class StoreUnwritable(StoreError):
    """The disk takes nothing; `last_seq` is the highest event number that could be read from it."""

    def __init__(self, text: str, last_seq: int = 0) -> None:
        super().__init__(text)
        self.last_seq = last_seq


class RecordingError(PatrolError, ValueError):
    """A file is no recording, or cannot be played from its beginning."""


class ProtocolError(PatrolError, ValueError):
    """A client broke the stream's protocol; `code` is the websocket close code to use."""

    def __init__(self, message: str, code: int = 4400) -> None:
        super().__init__(message)
        self.code = code
