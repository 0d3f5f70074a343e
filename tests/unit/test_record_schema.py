"""What a recording says of its JSON messages can be read by Foxglove and Lichtblick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from robot.events import Event
from robot.live import LiveState
from robot.record_schema import readable_schema
from robot.tape import Message

LAYOUT = Path(__file__).parents[2] / "docs" / "foxglove-layout.json"


def readable(schema: dict[str, Any]) -> bool:
    """The rules of the readers' parseJsonSchema: an object lists its properties; fields are plain, objects, or arrays of these."""
    if schema["type"] != "object" or not isinstance(schema["properties"], dict):
        return False
    for field in schema["properties"].values():
        one = field["items"] if field["type"] == "array" else field
        if one["type"] == "object":
            if not readable(one):
                return False
        elif one["type"] not in ("boolean", "string", "number", "integer"):
            return False
    return True


@pytest.mark.parametrize("kind", [Event, LiveState, Message])
def test_every_message_is_described_in_the_words_that_are_known(kind: Any) -> None:
    said = readable_schema(kind, "patrol.Some")
    assert readable(said) and len(said["properties"]) > 5
    assert not {"$ref", "anyOf", "null"} & set(json.dumps(said).replace('"', " ").split())


def test_the_layouts_plots_lead_somewhere() -> None:
    layout = json.loads(LAYOUT.read_text("utf-8"))
    paths = [path["value"] for panel in layout["configById"].values() for path in panel.get("paths", ())]
    paths = [path for path in paths if path.startswith("/patrol/state.")]
    assert paths
    for path in paths:
        here = readable_schema(LiveState, "patrol.State")
        for step in path.split(".")[1:]:
            here = here["properties"][step.removesuffix("[:]")]
            here = here["items"] if step.endswith("[:]") else here
        assert here == {"type": "number"}


def test_a_union_has_the_fields_of_all_and_nothing_that_cannot_be_said() -> None:
    class A(msgspec.Struct, tag="a"):
        what: int | None
        either: dict[str, int]
        inner: dict[str, int]

    class B(msgspec.Struct, tag="b"):
        grid: list[list[int]]
        where: tuple[float, float]
        mixed: int | str
        either: list[int]

    assert readable_schema(A | B, "either") == {
        "title": "either",
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "what": {"type": "number"},
            "inner": {"type": "object", "properties": {}},
            "where": {"type": "array", "items": {"type": "number"}},
        },
    }
