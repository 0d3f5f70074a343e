"""What may stand behind the question mark of a websocket's address."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs

from robot.errors import ProtocolError
from robot.stream_session import BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Since:
    """The last event that a client has."""

    seq: int
    id: str = ""
    """Tells whether that number still means the same event; empty where the client does not say it."""

    def check(self, id_here: str | None) -> None:
        """Raises ProtocolError (4400) where the robot has another event under this number; `id_here` is None if it has none (any more)."""
        if self.id and id_here and self.id != id_here:
            raise ProtocolError(
                f"event {self.seq} is another one now: numbers have begun anew; resume with since=0", BAD_REQUEST
            )


def wants_pictures(query: str) -> bool:
    """Returns whether a live view's query string asks for pictures: yes, unless it says pictures=0. Raises ProtocolError (4400) for others."""
    values = _values(query, ("pictures",)).get("pictures", ["1"])
    if values not in (["0"], ["1"]):
        raise ProtocolError("pictures must be 0 or 1", BAD_REQUEST)
    return values == ["1"]


def _values(query: str, names: Collection[str]) -> dict[str, list[str]]:
    """Returns what the parameters that there are were given as.

    Raises ProtocolError (4400) for any other: a client that misspells `since` would get no history, and not know.
    """
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=8)
    except ValueError as error:
        raise ProtocolError("too many parameters", BAD_REQUEST) from error
    if unknown := sorted(values.keys() - set(names)):
        raise ProtocolError(f"{unknown[0][:40]}: no such parameter (there is: {', '.join(names)})", BAD_REQUEST)
    return values


def parse_since(query: str, head_seq: int) -> Since | None:
    """Returns `since` of a query string with its `id`, None if absent; raises ProtocolError (4400) for garbage and the future."""
    values = _values(query, ("since", "id"))
    numbers, ids = values.get("since"), values.get("id")
    if ids is not None and (numbers is None or len(ids) != 1 or not re.fullmatch("[0-9A-Za-z_-]{0,64}", ids[0])):
        raise ProtocolError("id must be that of the event that since is the number of", BAD_REQUEST)
    if numbers is None:
        return None
    if len(numbers) != 1 or not re.fullmatch("[0-9]{1,18}", numbers[0]):
        raise ProtocolError("since must be the number of an event, 0 or more", BAD_REQUEST)
    seq = int(numbers[0])
    if seq > head_seq:
        raise ProtocolError(
            f"since={seq} is in the future: the last event is {head_seq}; resume with since=0", BAD_REQUEST
        )
    return Since(seq, ids[0] if ids else "")
