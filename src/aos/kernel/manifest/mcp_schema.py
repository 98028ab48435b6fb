"""The JSON Schemas of MCP servers and of tools that they offer, as parts of the manifest's own."""

from __future__ import annotations

from typing import Final

from aos.kernel.json import Json
from aos.kernel.limits import CONCURRENCY_MAX, NAME_LENGTH_MAX

_SECRET: Final = "^[a-z0-9][a-z0-9_./-]*$"
_VARIABLE: Final = "^[A-Za-z_][A-Za-z0-9_]*$"
_HEADER: Final = "^[A-Za-z0-9-]+$"
_VALUE_MAX: Final = 4_000
_GIVEN_MAX: Final = 50

_JsonObject = dict[str, Json]


def mcp_server_schema() -> Json:
    """Return the schema of one MCP server: a command or an address."""
    return {
        "type": "object",
        "properties": {
            "command": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": _VALUE_MAX},
                "minItems": 1,
                "maxItems": 100,
                "description": "A program that AOS starts and speaks with over its standard input and output, and its "
                "arguments: no shell reads them. It must be one that the operator permits (AOS_MCP_COMMANDS)",
                "examples": [["mcp-server-time", "--local-timezone", "Europe/Berlin"]],
            },
            "env": _given(
                _VARIABLE, "The variables that the program is given, beside a bare `PATH`, `HOME` and `LANG`"
            ),
            "folder": {
                "type": "string",
                "pattern": "^/",
                "maxLength": _VALUE_MAX,
                "description": "Where the program works; a folder of its own that is removed at its end, unless it says so",
            },
            "url": {
                "type": "string",
                "pattern": "^https?://[^/?#@ ]+(/[^?# ]*)?$",
                "maxLength": NAME_LENGTH_MAX,
                "description": "Where the server is, over streamable HTTP; its host must be one of `organization.hosts`",
                "examples": ["https://mcp.larkspur.example/mcp"],
            },
            "headers": _given(_HEADER, "Headers of every request to it"),
            "concurrency": {
                "type": "integer",
                "minimum": 1,
                "maximum": CONCURRENCY_MAX,
                "description": "How many calls each process of AOS has under way at it",
            },
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["command"]}, {"required": ["url"]}],
    }


def mcp_tool_schema() -> Json:
    """Return the schema of what says which tool of which server one of AOS's tools is."""
    return {
        "type": "object",
        "properties": {
            "server": {"$ref": "#/$defs/name", "description": "One of `mcp_servers`"},
            "tool": {
                "type": "string",
                "minLength": 1,
                "maxLength": NAME_LENGTH_MAX,
                "description": "Its name there",
            },
            "digest": {
                "type": "string",
                "pattern": "^sha256:[0-9a-f]{64}$",
                "description": "What was accepted of what the server offers, as `aos mcp-servers discover` writes it. "
                "Without one, calls are held until somebody accepts it",
            },
        },
        "required": ["server", "tool"],
        "additionalProperties": False,
        "description": "A tool of a registered MCP server",
    }


def _given(names: str, description: str) -> Json:
    secret: _JsonObject = {
        "type": "object",
        "properties": {
            "secret": {
                "type": "string",
                "pattern": _SECRET,
                "maxLength": NAME_LENGTH_MAX,
                "description": "The name of a secret of the organization",
            }
        },
        "required": ["secret"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "description": f"{description}: texts, or secrets by name",
        "propertyNames": {"type": "string", "pattern": names, "maxLength": NAME_LENGTH_MAX},
        "additionalProperties": {"anyOf": [{"type": "string", "maxLength": _VALUE_MAX}, secret]},
        "maxProperties": _GIVEN_MAX,
    }
