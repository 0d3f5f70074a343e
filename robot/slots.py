"""Where readers leave frames for the pipeline: the newest ones that nobody has taken, under one lock for all devices."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, Protocol, TypeVar


class AnyFrame(Protocol):
    """What a reader needs to know of a frame."""

    @property
    def seq(self) -> int: ...
    @property
    def t_mono_ns(self) -> int: ...


FrameT = TypeVar("FrameT", bound=AnyFrame)


class Wakeup:
    """What readers and the pipeline share: one lock, one signal."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.Lock())


class Slot(Generic[FrameT]):
    """Keeps the newest `capacity` frames that nobody has taken; with 1 this is newest-wins."""

    def __init__(self, wakeup: Wakeup, capacity: int = 1) -> None:
        self._changed = wakeup.changed
        self._frames: deque[FrameT] = deque(maxlen=capacity)
        self._drops = 0

    @property
    def drops(self) -> int:
        """Frames pushed out by newer ones."""
        return self._drops

    def put(self, frame: FrameT) -> None:
        """Never blocks for longer than the others need to take their frames."""
        with self._changed:
            self._drops += len(self._frames) == self._frames.maxlen
            self._frames.append(frame)
            self._changed.notify_all()

    def take(self) -> list[FrameT]:
        """All waiting frames, oldest first."""
        with self._changed:
            return self.take_locked()

    @property
    def waiting_locked(self) -> bool:
        """True if there is anything to take; the caller holds the wakeup's lock."""
        return bool(self._frames)

    def take_locked(self) -> list[FrameT]:
        """All waiting frames, oldest first; the caller holds the wakeup's lock."""
        frames = list(self._frames)
        self._frames.clear()
        return frames
