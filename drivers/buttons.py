"""Push buttons: what counts as a press (pure), and the thread that looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from drivers.pins import Contact

STEADY_S = 0.04
"""Contacts bounce for some milliseconds and cables catch pulses; a finger stays for a tenth of a second."""
_LOOK_S = 0.02
_FAILED_LOOK_S = 1.0


class Debounced:
    """One button: down steadily after it was up steadily is one press, however long it is held.

    A button that is down from the start (a short circuit) was never pressed.
    """

    def __init__(self) -> None:
        self._down: bool | None = None
        self._since_s = 0.0
        self._armed = False

    def look(self, now_s: float, down: bool) -> bool:
        """Returns True once for every press."""
        if down is not self._down:
            self._down, self._since_s = down, now_s
            return False
        if now_s - self._since_s < STEADY_S:
            return False
        pressed = down and self._armed
        self._armed = not down
        return pressed


class Buttons:
    """Looks at contacts fifty times a second and calls `on_press` with the name of one that was pressed, in its own thread.

    `on_failure` hears the first of the failures (`errors`) of a contact in a row.
    """

    def __init__(
        self,
        contacts: Mapping[str, Contact],
        errors: tuple[type[Exception], ...],
        on_press: Callable[[str], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._contacts, self._errors = dict(contacts), errors
        self._on_press, self._on_failure = on_press, on_failure
        self._debounced = {name: Debounced() for name in contacts}
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="indicator-buttons", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; the contacts are their owner's to close. Idempotent."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_FAILED_LOOK_S if self._failing else _LOOK_S):
            try:
                for name, contact in self._contacts.items():
                    if self._debounced[name].look(time.monotonic(), contact.closed()):
                        self._on_press(name)
                self._failing = False
            except self._errors as error:
                if not self._failing:
                    self._failing = True
                    self._on_failure(error)
