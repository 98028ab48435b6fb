"""Tools as models see them: their names without dots, and the arguments that a caller gives."""

from __future__ import annotations

from aos.kernel.json import Json
from aos.kernel.tools import Tool


def shown_name(name: str) -> str:
    """Return a tool's name without dots; registration sees to it that no two tools share one."""
    return name.replace(".", "_")


def shown_schema(tool: Tool) -> Json:
    """Return the schema of what a caller gives: an object's, without the arguments that the operator has set."""
    schema = tool.schema if isinstance(tool.schema, dict) else {}
    shown: dict[str, Json] = {**schema, "type": "object"}
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict):
        shown["properties"] = {name: each for name, each in properties.items() if name not in tool.fixed}
    if isinstance(required, list):
        shown["required"] = [name for name in required if name not in tool.fixed]
    return shown
