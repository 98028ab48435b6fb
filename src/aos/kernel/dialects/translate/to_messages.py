"""Writing a request for a model that speaks messages.

Rules where the dialects differ: system messages stand together before the talk, wherever they stood; turns of one speaker
are joined, results of tools first, for the answers to all calls must stand in the very next turn; empty texts, which
are refused there, are left out; unsigned thoughts too. An effort asks for adaptive thinking, but not where a tool is forced,
which does not go with thinking.
"""

from __future__ import annotations

from typing import Final

from aos.kernel.dialects.read import refuse_field
from aos.kernel.dialects.translate.fields import cannot_carry, encode, parse_arguments
from aos.kernel.dialects.translate.neutral import (
    Ask,
    Block,
    Call,
    Function,
    Image,
    Redacted,
    Result,
    Role,
    Text,
    Thought,
    Use,
)

_EFFORTS: Final = {"minimal": "low"}


def write_messages(ask: Ask, *, model: str, output_limit: int) -> bytes:
    """Return the body of a messages request; raise InvalidRequest with the pointer of what it cannot say."""
    body: dict[str, object] = {"model": model, "max_tokens": output_limit}
    if system := [block for turn in ask.turns if turn.role is Role.SYSTEM for block in turn.blocks]:
        body["system"] = "\n".join(block.text for block in system if isinstance(block, Text))
    body["messages"] = _turns(ask)
    if ask.functions:
        body["tools"] = [_function(each) for each in ask.functions]
        if ask.use is not None or ask.parallel is False:
            body["tool_choice"] = _use(ask)
    if ask.temperature is not None:
        if ask.temperature > 1:
            raise cannot_carry("/temperature", "more than 1 is not known there")
        body["temperature"] = ask.temperature
    if ask.top_p is not None:
        body["top_p"] = ask.top_p
    if ask.stop:
        body["stop_sequences"] = list(ask.stop)
    if ask.verbosity not in ("", "medium"):
        raise cannot_carry(ask.verbosity_pointer)
    _set_thinking(ask, body)
    if ask.user:
        body["metadata"] = {"user_id": ask.user}
    if ask.stream:
        body["stream"] = True
    return encode(body)


def _set_thinking(ask: Ask, body: dict[str, object]) -> None:
    config: dict[str, object] = {}
    if ask.effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif ask.effort or ask.adaptive:
        if ask.use not in (Use.ANY, Use.ONE):
            body["thinking"] = {"type": "adaptive"}
        if ask.effort:
            config["effort"] = _EFFORTS.get(ask.effort, ask.effort)
    if ask.schema is not None:
        if ask.schema.schema is None:
            raise cannot_carry(ask.schema.pointer, "JSON without a schema cannot be asked for there, give a schema")
        config["format"] = {"type": "json_schema", "schema": ask.schema.schema}
    if config:
        body["output_config"] = config


def _turns(ask: Ask) -> list[dict[str, object]]:
    joined: list[tuple[Role, list[Block]]] = []
    for turn in ask.turns:
        if turn.role is Role.SYSTEM:
            continue
        if joined and joined[-1][0] is turn.role:
            joined[-1][1].extend(turn.blocks)
        else:
            joined.append((turn.role, list(turn.blocks)))
    if not joined:
        raise refuse_field(ask.turns_pointer, "at least one message that is not the system's is wanted")
    written: list[dict[str, object]] = []
    for role, blocks in joined:
        # Sorting is stable: within the results and within the rest the order stays.
        blocks.sort(key=lambda block: not isinstance(block, Result))
        content = [each for each in map(_block, blocks) if each is not None]
        if content or role is Role.USER:
            texts = [block for block in blocks if isinstance(block, Text)]
            plain = len(blocks) == len(texts) == 1
            written.append({"role": role.value, "content": texts[0].text if plain else content})
    return written


def _block(block: Block) -> dict[str, object] | None:
    match block:
        case Text(text):
            return {"type": "text", "text": text} if text else None
        case Image():
            return _image(block)
        case Thought(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature} if signature else None
        case Redacted(data):
            return {"type": "redacted_thinking", "data": data}
        case Call(call_id, name, arguments):
            return {"type": "tool_use", "id": call_id, "name": name, "input": parse_arguments(arguments)}
        case Result(call_id, parts, is_error):
            written: dict[str, object] = {"type": "tool_result", "tool_use_id": call_id}
            if len(parts) == 1 and isinstance(parts[0], Text):
                written["content"] = parts[0].text
            elif parts:
                written["content"] = [each for each in map(_block, parts) if each is not None]
            return {**written, "is_error": True} if is_error else written


def _image(image: Image) -> dict[str, object]:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}


def _function(function: Function) -> dict[str, object]:
    written: dict[str, object] = {"name": function.name}
    if function.description:
        written["description"] = function.description
    written["input_schema"] = function.schema
    if function.strict:
        written["strict"] = True
    return written


def _use(ask: Ask) -> dict[str, object]:
    match ask.use:
        case Use.ONE:
            chosen: dict[str, object] = {"type": "tool", "name": ask.use_name}
        case Use.ANY:
            chosen = {"type": "any"}
        case Use.NONE:
            return {"type": "none"}
        case _:
            chosen = {"type": "auto"}
    return {**chosen, "disable_parallel_tool_use": True} if ask.parallel is False else chosen
