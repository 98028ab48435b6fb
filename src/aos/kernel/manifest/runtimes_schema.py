"""The schema of `runtime:`: one field for each kind that there is, of which an agent has one."""

from __future__ import annotations

from aos.kernel.agents import RuntimeKind
from aos.kernel.json import Json
from aos.kernel.manifest.llm_schema import llm_schema
from aos.kernel.manifest.remote_schema import a2a_runtime_schema, http_runtime_schema
from aos.kernel.manifest.work_schema import work_schema


def runtime_schema() -> dict[str, Json]:
    """Return the schema of what follows `runtime:`."""
    return {
        "type": "object",
        "description": "How its tasks are run; an agent without one acts from outside, through the doors",
        "properties": {
            "python": {"$ref": "#/$defs/entry", "description": "The agent's function, `module:function`"},
            "llm": llm_schema(),
            "a2a": a2a_runtime_schema(),
            "http": http_runtime_schema(),
            "langgraph": {
                "$ref": "#/$defs/entry",
                "description": "A LangGraph, LangChain or DeepAgents graph, or its factory",
            },
            "work": work_schema(),
            "inline": {
                "type": "boolean",
                "default": False,
                "description": "Run in the worker itself: only for code that the operator vouches for",
            },
        },
        "additionalProperties": False,
        "oneOf": [{"required": [each]} for each in RuntimeKind],
    }
