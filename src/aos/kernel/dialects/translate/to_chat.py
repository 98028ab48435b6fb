"""Writing a request for a model that speaks chat/completions.

Left out by rule: thoughts (chat has no place for them) and the mark that a tool's result is an error (its text says so).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aos.kernel.dialects.translate.fields import cannot_carry, encode
from aos.kernel.dialects.translate.neutral import Ask, Call, Function, Image, Result, Role, Schema, Text, Turn, Use

STOPS_MAX: Final = 4
"""How many stop sequences chat/completions takes."""


def write_chat(
    ask: Ask, *, model: str, output_limit: int | None, include_usage: bool, limit_field: str = "max_completion_tokens"
) -> bytes:
    """Return the body of a chat/completions request; raise InvalidRequest with the pointer of what it cannot say."""
    body: dict[str, object] = {"model": model, "messages": [each for turn in ask.turns for each in _messages(turn)]}
    if output_limit is not None:
        body[limit_field] = output_limit
    if ask.functions:
        body["tools"] = [_function(each) for each in ask.functions]
        if ask.use is not None:
            body["tool_choice"] = _use(ask)
        if ask.parallel is not None:
            body["parallel_tool_calls"] = ask.parallel
    numbers = {"temperature": ask.temperature, "top_p": ask.top_p}
    body.update({name: value for name, value in numbers.items() if value is not None})
    if len(ask.stop) > STOPS_MAX:
        raise cannot_carry(ask.stop_pointer, f"more than {STOPS_MAX} stop sequences are not known there")
    if ask.stop:
        body["stop"] = list(ask.stop)
    if ask.schema:
        body["response_format"] = _schema(ask.schema)
    texts = {"reasoning_effort": ask.effort, "verbosity": ask.verbosity, "user": ask.user}
    body.update({name: text for name, text in texts.items() if text})
    if ask.stream:
        body["stream"] = True
        if include_usage:
            body["stream_options"] = {"include_usage": True}
    return encode(body)


def _messages(turn: Turn) -> Iterator[dict[str, object]]:
    """Yield a turn as chat's messages: each result of a tool is one of its own, in the order in which they stand."""
    match turn.role:
        case Role.SYSTEM:
            yield {
                "role": "system",
                "content": "\n".join(block.text for block in turn.blocks if isinstance(block, Text)),
            }
        case Role.ASSISTANT:
            yield from _said(turn)
        case Role.USER:
            parts: list[Text | Image] = []
            for block in turn.blocks:
                if isinstance(block, Result):
                    if parts:
                        yield {"role": "user", "content": _parts(parts)}
                        parts = []
                    yield _result(block)
                elif isinstance(block, Text | Image):
                    parts.append(block)
            if parts or not turn.blocks:
                yield {"role": "user", "content": _parts(parts)}


def _said(turn: Turn) -> Iterator[dict[str, object]]:
    text = "".join(block.text for block in turn.blocks if isinstance(block, Text))
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": block.arguments}}
        for block in turn.blocks
        if isinstance(block, Call)
    ]
    if calls:
        yield {"role": "assistant", "content": text or None, "tool_calls": calls}
    elif text:
        yield {"role": "assistant", "content": text}


def _result(result: Result) -> dict[str, object]:
    if any(isinstance(part, Image) for part in result.parts):
        raise cannot_carry(result.pointer, "a picture in the result of a tool is not known there")
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _parts(parts: list[Text | Image]) -> object:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, Text)
        else {"type": "image_url", "image_url": {"url": part.url or f"data:{part.media_type};base64,{part.data}"}}
        for part in parts
    ]


def _function(function: Function) -> dict[str, object]:
    written: dict[str, object] = {"name": function.name}
    if function.description:
        written["description"] = function.description
    written["parameters"] = function.schema
    if function.strict is not None:
        written["strict"] = function.strict
    return {"type": "function", "function": written}


def _use(ask: Ask) -> object:
    match ask.use:
        case Use.ONE:
            return {"type": "function", "function": {"name": ask.use_name}}
        case Use.ANY:
            return "required"
        case Use.NONE:
            return "none"
        case _:
            return "auto"


def _schema(schema: Schema) -> dict[str, object]:
    if schema.schema is None:
        return {"type": "json_object"}
    written: dict[str, object] = {"name": schema.name, "schema": schema.schema}
    if schema.description:
        written["description"] = schema.description
    if schema.strict is not None:
        written["strict"] = schema.strict
    return {"type": "json_schema", "json_schema": written}
