"""From what an MCP server answered to the outcome of a call: its value, its failure, or that nobody can tell.

- Structured content is the value; else a single text is that text; anything else is `{"content": [...]}`, each block as the
  server gave it, with the structured content beside them where there are both.
- What the server says in an error is its words: it is quoted, cut to what a person reads.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, InputRequiredResult

from aos.drivers.mcp_client.values import MARK
from aos.kernel.json import Json, canonical_json, depth
from aos.kernel.limits import MCP_MESSAGE_BYTES_MAX
from aos.kernel.ports import ToolOutcome

ERROR_LENGTH_MAX: Final = 4_000
RESULT_DEPTH_MAX: Final = 64


def outcome_of(result: CallToolResult | InputRequiredResult) -> ToolOutcome:
    """Return the outcome that a result states."""
    if isinstance(result, InputRequiredResult):
        asked = ", ".join(sorted(str(each.method) for each in (result.input_requests or {}).values())) or "more"
        detail = f"the server asks its caller for something (`{asked}`), and AOS gives MCP servers nothing: not done"
        return ToolOutcome(ok=False, error=detail)
    value = _value(result)
    try:
        msgspec.json.encode(value)  # refuses texts that are no UTF-8
        size = len(canonical_json(value))  # refuses numbers that are none
    except (ValueError, TypeError, RecursionError):
        return ToolOutcome(
            ok=False, error="the server's result is no JSON that can be kept", unknown=not result.is_error
        )
    if size > MCP_MESSAGE_BYTES_MAX or depth(value, at_most=RESULT_DEPTH_MAX) > RESULT_DEPTH_MAX:
        detail = f"the server's result is over {MCP_MESSAGE_BYTES_MAX} bytes or {RESULT_DEPTH_MAX} levels"
        return ToolOutcome(ok=False, error=detail, unknown=not result.is_error)
    if result.is_error:
        return ToolOutcome(ok=False, error=_told(result, value))
    return ToolOutcome(ok=True, value=value)


def failure_of(error: MCPError, *, written: bool) -> ToolOutcome:
    """Return the outcome of a call that ended in an error of the protocol or of the connection."""
    kind = error.error.data.get(MARK) if isinstance(error.error.data, dict) else None
    detail = error.error.message[:ERROR_LENGTH_MAX]
    if kind == "unsent" or (error.error.code == CONNECTION_CLOSED and not written):
        return unsent(detail)
    if kind == "lost" or error.error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT):
        return ToolOutcome(ok=False, error=detail, unknown=True)
    return ToolOutcome(ok=False, error=detail or "the server refused the call without a word")


def is_session_gone(error: MCPError) -> bool:
    """Say whether the server no longer knows the session: it has worked on nothing."""
    return isinstance(error.error.data, dict) and error.error.data.get(MARK) == "session"


def unsent(detail: str, code: str = "") -> ToolOutcome:
    """Return the outcome of a call that reached nobody; `code` is the slug of the error, where that is another than a tool's."""
    return ToolOutcome(ok=False, error=detail, sent=False, frees_key=True, code=code)


def _value(result: CallToolResult) -> Json:
    blocks: list[Any] = [each.model_dump(by_alias=True, mode="json", exclude_none=True) for each in result.content]
    structured: Json = result.structured_content
    if all(block.get("type") == "text" and not block.get("annotations") for block in blocks):
        if structured is not None:
            return structured
        if len(blocks) == 1:
            return str(blocks[0]["text"])
    if structured is None:
        return {"content": blocks}
    return {"content": blocks, "structured": structured}


def _told(result: CallToolResult, value: Json) -> str:
    """Return what a person or a model reads of a failure: the texts, else the value."""
    said = "\n".join(block.text for block in result.content if block.type == "text")
    if not said and value != {"content": []}:
        said = msgspec.json.encode(value).decode()
    return said[:ERROR_LENGTH_MAX] or "the server's tool failed without a word"
