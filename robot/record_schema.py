"""What a recording says of its JSON messages, in the few words of JSON Schema that Foxglove and Lichtblick read.

Their reader wants every object to list its properties, and knows neither references nor alternatives nor null; a channel that it cannot read is
left out with all its messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_PLAIN = ("boolean", "string", "number", "integer")


def readable_schema(kind: Any, title: str) -> dict[str, Any]:
    """Returns the JSON schema of a msgspec type, or of a union of structs, as one object of the name `title` with the fields of all of them.

    What may be null is described as what it is otherwise; objects whose names are not known beforehand have no properties; what cannot be
    said (arrays of arrays, now this and now that) is left out: it is shown all the same, but paths do not lead into it.
    """
    (top,), parts = msgspec.json.schema_components([kind])
    return {"title": title} | _object(top, parts)


def _object(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, list[Mapping[str, Any]]] = {}
    for one in _alternatives(schema, parts):
        for name, field in one.get("properties", {}).items():
            fields.setdefault(name, []).append(field)
    said = {name: _field({"anyOf": several}, parts) for name, several in fields.items()}
    return {"type": "object", "properties": {name: field for name, field in said.items() if field is not None}}


def _field(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any] | None:
    options = _alternatives(schema, parts)
    kinds = {_kind(one) for one in options}
    if kinds == {"object"}:
        return _object(schema, parts)
    if kinds == {"array"}:
        items = [items for one in options for items in _items(one)]
        said = _field({"anyOf": items}, parts) if items else None
        return None if said is None or said["type"] == "array" else {"type": "array", "items": said}
    if kinds <= {"number", "integer"} and kinds:
        return {"type": "number"}
    return {"type": kinds.pop()} if len(kinds) == 1 and kinds <= set(_PLAIN) else None


def _alternatives(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in schema:
        return _alternatives(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return [found for one in schema["anyOf"] for found in _alternatives(one, parts)]
    return [] if schema.get("type") == "null" or schema.get("enum") == [None] else [schema]


def _kind(schema: Mapping[str, Any]) -> str:
    """Literals have an enumeration in place of a type."""
    values = [value for value in schema.get("enum", ()) if value is not None]
    if values:
        return "string" if isinstance(values[0], str) else "number"
    return str(schema.get("type", ""))


def _items(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """An array's, or each of a tuple's."""
    items = schema.get("items")
    return list(schema.get("prefixItems", ())) or ([items] if isinstance(items, Mapping) else [])
