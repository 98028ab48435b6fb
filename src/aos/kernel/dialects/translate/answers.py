"""Translating whole answers back: from the dialect of the model's server into the client's.

Text comes before calls, as chat has it. Thoughts go where the client's dialect knows them (messages, responses) and are left
out in chat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from aos.kernel.dialects.tokens import Usage, plain_stop, tokens_of
from aos.kernel.dialects.translate.fields import encode, encode_text, parse_arguments
from aos.kernel.dialects.translate.neutral import Answer, Block, Call, Redacted, Text, Thought
from aos.kernel.dialects.translate.shown import (
    chat_stop,
    chat_usage,
    item_of,
    messages_stop,
    messages_usage,
    response_id,
    response_of,
    response_status,
    responses_usage,
)
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.json import Json


def translate_answer(body: bytes, upstream: Dialect, client: Dialect, *, model: str, created: int = 0) -> bytes:
    """Return an answer of status 200 in the client's dialect, under the name `model`.

    `created` is the time in seconds that an answer bears where the upstream tells none.

    Raises:
        ValueError: the body is not an answer of the upstream's dialect, or cannot be told in the client's: a call whose
            arguments are no JSON object.
    """
    answer = read_upstream(body, upstream)
    created = answer.created or created
    match client:
        case Dialect.CHAT:
            return encode(_as_chat(answer, model, created))
        case Dialect.RESPONSES:
            return encode(_as_responses(answer, model, created))
        case Dialect.MESSAGES:
            return encode(_as_messages(answer, model))
        case _:
            raise ValueError(f"an answer of `{upstream}` cannot be told as `{client}`")


def read_upstream(body: bytes, upstream: Dialect) -> Answer:
    """Return an upstream's whole answer in neutral form; raise ValueError where it is none."""
    try:
        read = msgspec.json.decode(body, type=dict[str, object])
        usage = msgspec.convert(read.get("usage"), Usage | None)
        tokens = tokens_of(upstream, usage)
        if upstream is Dialect.CHAT:
            return _read_chat(read, tokens)  # type: ignore[arg-type]
        if upstream is Dialect.MESSAGES:
            return _read_messages(read, tokens)  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"the answer is not of the form `{upstream}`: {error}") from error
    raise ValueError(f"an answer of `{upstream}` is only passed on")


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _objects(value: Json) -> Sequence[Mapping[str, Json]]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return [_object(each) for each in value]


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    return value


def _read_chat(read: Mapping[str, Json], tokens: Tokens | None) -> Answer:
    choice = _objects(read["choices"])[0]
    message = _object(choice["message"])
    said = message.get("content") or message.get("refusal") or ""
    blocks: list[Block] = [Text(_text(said))] if said else []
    for index, each in enumerate(_objects(message.get("tool_calls"))):
        called = _object(each["function"])
        call_id, arguments = each.get("id") or f"call_{index}", called.get("arguments") or ""
        blocks.append(
            Call(_text(call_id), _text(called["name"]), _text(arguments) if _text(arguments).strip() else "{}")
        )
    created = read.get("created")
    return Answer(
        _text(read.get("id") or "unnamed"),
        tuple(blocks),
        plain_stop(_text(choice.get("finish_reason") or "")),
        tokens=tokens,
        created=created if isinstance(created, int) else 0,
    )


def _read_messages(read: Mapping[str, Json], tokens: Tokens | None) -> Answer:
    blocks: list[Block] = []
    for each in _objects(read["content"]):
        match each.get("type"):
            case "text":
                _add_text(blocks, _text(each["text"]))
            case "thinking":
                blocks.append(Thought(_text(each["thinking"]), _text(each.get("signature") or "")))
            case "redacted_thinking":
                blocks.append(Redacted(_text(each["data"])))
            case "tool_use":
                blocks.append(Call(_text(each["id"]), _text(each["name"]), encode_text(_object(each["input"]))))
            case _:
                pass  # a sort of content that was not asked for
    sequence = read.get("stop_sequence")
    return Answer(
        _text(read.get("id") or "unnamed"),
        tuple(blocks),
        plain_stop(_text(read.get("stop_reason") or "")),
        stop_sequence=sequence if isinstance(sequence, str) else None,
        tokens=tokens,
    )


def _add_text(blocks: list[Block], text: str) -> None:
    """Add a text; texts that stand side by side are one, as they are in a stream, and an empty one is none."""
    last = blocks[-1] if blocks else None
    if text and isinstance(last, Text):
        blocks[-1] = Text(last.text + text)
    elif text:
        blocks.append(Text(text))


def _as_chat(answer: Answer, model: str, created: int) -> dict[str, object]:
    text = "".join(block.text for block in answer.blocks if isinstance(block, Text))
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": block.arguments}}
        for block in answer.blocks
        if isinstance(block, Call)
    ]
    message: dict[str, object] = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    written: dict[str, object] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": chat_stop(answer.stop)}],
    }
    return {**written, "usage": chat_usage(answer.tokens)} if answer.tokens else written


def _as_responses(answer: Answer, model: str, created: int) -> dict[str, object]:
    response, status = response_id(answer.id), response_status(answer.stop)
    state = status.partition(":")[0]
    shown = answer.blocks
    return response_of(
        response=response,
        model=model,
        created=created,
        status=status,
        output=[
            item_of(block, response=response, index=place, status=state if place == len(shown) - 1 else "completed")
            for place, block in enumerate(shown)
        ],
        usage=responses_usage(answer.tokens) if answer.tokens else None,
    )


def _as_messages(answer: Answer, model: str) -> dict[str, object]:
    content: list[dict[str, object]] = []
    for block in answer.blocks:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, Call):
            given = parse_arguments(block.arguments)
            if given is not None:
                content.append({"type": "tool_use", "id": block.id, "name": block.name, "input": given})
            elif answer.stop != "length":
                raise ValueError(f"the model called `{block.name}` with arguments that are no JSON object")
            # A call that the output limit cut in two is no call.
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": messages_stop(answer.stop, answer.stop_sequence),
        "stop_sequence": answer.stop_sequence,
        "usage": messages_usage(answer.tokens or Tokens()),
    }
