"""Checks of tools that need no code, when a manifest is read; and what such a tool has that says nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aos.kernel.email_tools import RECIPIENTS, email_problems, email_schema
from aos.kernel.errors import FieldError
from aos.kernel.http_tools import form_problems
from aos.kernel.json import Json
from aos.kernel.manifest.values import ToolSpec
from aos.kernel.schema import pointer
from aos.kernel.sql_tools import statement_problems
from aos.kernel.tools import ToolTransport

OPENAPI = "openapi"


def usual_args(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields of a tool as they are written, with the arguments and sinks that its form brings."""
    found = dict(fields)
    if ToolTransport.EMAIL in found:
        found.setdefault("args", email_schema())
        args = found["args"]
        properties = args.get("properties") if isinstance(args, dict) else None
        if isinstance(properties, dict):
            found.setdefault("sinks", [each for each in RECIPIENTS if each in properties])
    return found


def outside_problems(tool: ToolSpec, at: str) -> Iterator[FieldError]:
    """Yield what is wrong with what a tool that needs no code says of its server."""
    place = pointer(at, tool.transport)
    match tool.transport:
        case ToolTransport.HTTP:
            yield from form_problems(tool.options, tool.schema, tool.fixed, at=place)
        case ToolTransport.SQL:
            yield from statement_problems(tool.options, tool.schema, tool.fixed, effect=tool.effect, at=place)
        case ToolTransport.EMAIL:
            yield from email_problems(tool.options, tool.schema, tool.fixed, effect=tool.effect, at=place)
        case _:
            return


def told_options(tool: ToolSpec) -> str:
    """Return in a few words where a tool that needs no code goes, for whoever accepts it."""
    options = tool.options
    match tool.transport:
        case ToolTransport.HTTP:
            return f"{options.get('method')} {options.get('url')}"
        case ToolTransport.SQL:
            dsn = options.get("dsn")
            return f"reads the database of the secret `{dsn.get('secret') if isinstance(dsn, dict) else ''}`"
        case ToolTransport.EMAIL:
            return f"as {options.get('from')} at {options.get('server')}"
        case _:
            return tool.entry or str(options.get("tool", ""))
