"""What may stand behind the question mark of a websocket's address."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from robot.errors import ProtocolError
from robot.stream_session import BAD_REQUEST


def wants_pictures(query: str) -> bool:
    """Returns whether a live view's query string asks for pictures: yes, unless it says pictures=0. Raises ProtocolError (4400) for others."""
    values = _values(query, "pictures") or ["1"]
    if values not in (["0"], ["1"]):
        raise ProtocolError("pictures must be 0 or 1", BAD_REQUEST)
    return values == ["1"]


def _values(query: str, name: str) -> list[str] | None:
    """Returns what the one parameter that there is was given as, None if it was not.

    Raises ProtocolError (4400) for any other: a client that misspells `since` would get no history, and not know.
    """
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=8)
    except ValueError as error:
        raise ProtocolError("too many parameters", BAD_REQUEST) from error
    if unknown := sorted(values.keys() - {name}):
        raise ProtocolError(f"{unknown[0][:40]}: no such parameter (there is: {name})", BAD_REQUEST)
    return values.get(name)


def parse_since(query: str, head_seq: int) -> int | None:
    """Returns `since` of a query string, None if absent; raises ProtocolError (4400) for garbage and the future."""
    values = _values(query, "since")
    if values is None:
        return None
    if len(values) != 1 or not re.fullmatch("[0-9]{1,18}", values[0]):
        raise ProtocolError("since must be the number of an event, 0 or more", BAD_REQUEST)
    since = int(values[0])
    if since > head_seq:
        raise ProtocolError(f"since={since} is in the future: the last event is {head_seq}", BAD_REQUEST)
    return since
