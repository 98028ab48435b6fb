"""What an answer used and how it ended, read from the answer of any dialect.

Counts are the provider's own. Anthropic reports cached and newly cached input beside `input_tokens`; here they are inside
it, as everywhere else. A part that is reported larger than its whole is cut to it, so that no price counts a token twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from aos.kernel.dialects.values import Dialect, Tokens

_Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)] | None

FINISHED: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "max_output_tokens": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
}
"""Why an answer ended, in the words of chat/completions, which stand for themselves: stop, length, tool_calls, content_filter."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a whole answer tells: its tokens (None: not said), why it ended, its text, how many calls of tools it asks for.

    `stop_reason` is `stop`, `length`, `tool_calls`, `content_filter`, a provider's own word, or empty where none was given.
    """

    tokens: Tokens | None = None
    stop_reason: str = ""
    text: str = ""
    tool_calls: int = 0
    model: str = ""


class InputDetails(Struct):
    """Parts of the input, as OpenAI reports them."""

    cached_tokens: _Count = None
    cache_write_tokens: _Count = None


class OutputDetails(Struct):
    """Parts of the output, as either maker reports them."""

    reasoning_tokens: _Count = None
    thinking_tokens: _Count = None


class Usage(Struct):
    """Usage in the names of all dialects at once; those of one dialect are set."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    input_tokens: _Count = None
    output_tokens: _Count = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    cache_read_input_tokens: _Count = None
    cache_creation_input_tokens: _Count = None


class _Call(Struct):
    pass


class _ChatMessage(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    message: _ChatMessage | None = None
    finish_reason: str | None = None


class _ChatAnswer(Struct):
    choices: list[_Choice] = []
    usage: Usage | None = None
    model: str = ""


class _Block(Struct):
    type: str = ""
    text: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Incomplete(Struct):
    reason: str | None = None


class _ResponsesAnswer(Struct):
    output: list[_Block] = []
    status: str = ""
    incomplete_details: _Incomplete | None = None
    usage: Usage | None = None
    model: str = ""


class _MessagesAnswer(Struct):
    content: list[_Block] = []
    stop_reason: str | None = None
    usage: Usage | None = None
    model: str = ""
    input_tokens: _Count = None


class _EmbeddingsAnswer(Struct):
    usage: Usage | None = None
    model: str = ""


_CHAT: Final = msgspec.json.Decoder(_ChatAnswer)
_RESPONSES: Final = msgspec.json.Decoder(_ResponsesAnswer)
_MESSAGES: Final = msgspec.json.Decoder(_MessagesAnswer)
_EMBEDDINGS: Final = msgspec.json.Decoder(_EmbeddingsAnswer)
_BLOCKS: Final = msgspec.json.Decoder(list[_Block])


def read_answer(dialect: Dialect, body: bytes) -> Answered:
    """Return what a whole answer of status 200 tells.

    Raises:
        ValueError: it is not the JSON that the dialect answers with.
    """
    try:
        match dialect:
            case Dialect.CHAT:
                return _read_chat(_CHAT.decode(body))
            case Dialect.RESPONSES:
                return _read_responses(_RESPONSES.decode(body))
            case Dialect.MESSAGES | Dialect.COUNT_TOKENS:
                return _read_messages(_MESSAGES.decode(body))
            case Dialect.EMBEDDINGS:
                read = _EMBEDDINGS.decode(body)
                return Answered(tokens_of(dialect, read.usage), "stop", model=read.model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the answer is not of the form `{dialect}`: {error}") from error


def tokens_of(dialect: Dialect, usage: Usage | None) -> Tokens | None:
    """Return reported usage as tokens whose parts are inside their wholes; None where no input count was reported."""
    if usage is None:
        return None
    if dialect is Dialect.MESSAGES:
        if usage.input_tokens is None:
            return None
        cached, writes = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        entered, output = usage.input_tokens + cached + writes, usage.output_tokens or 0
        reasoned = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else None
    else:
        given = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
        if given is None:
            return None
        entered, output = given, usage.completion_tokens or usage.output_tokens or 0
        inside = usage.prompt_tokens_details or usage.input_tokens_details
        cached, writes = (inside.cached_tokens or 0, inside.cache_write_tokens or 0) if inside else (0, 0)
        outside = usage.completion_tokens_details or usage.output_tokens_details
        reasoned = outside.reasoning_tokens if outside else None
    cached = min(cached, entered)
    return Tokens(entered, cached, min(writes, entered - cached), output, min(reasoned or 0, output))


def plain_stop(reason: str | None) -> str:
    """Return why an answer ended in the words of chat/completions; a word nobody knows stays as it is."""
    return FINISHED.get(reason, reason) if reason else ""


def responses_stop(status: str, reason: str | None, *, calls: bool) -> str:
    """Return why an answer of responses ended, which is said by its status, its details and its items together."""
    if status == "incomplete":
        return plain_stop(reason) or "length"
    if status in ("failed", "cancelled"):
        return status
    return "tool_calls" if calls else "stop" if status == "completed" else ""


def _read_chat(read: _ChatAnswer) -> Answered:
    first = read.choices[0] if read.choices else _Choice()
    message = first.message or _ChatMessage()
    return Answered(
        tokens_of(Dialect.CHAT, read.usage),
        plain_stop(first.finish_reason),
        message.content or message.refusal or "",
        len(message.tool_calls or ()),
        read.model,
    )


def _read_responses(read: _ResponsesAnswer) -> Answered:
    texts = [
        part.text
        for item in read.output
        if item.type == "message" and bytes(item.content) != b"null"
        for part in _BLOCKS.decode(item.content)
        if part.text
    ]
    calls = sum(item.type in ("function_call", "custom_tool_call") for item in read.output)
    reason = read.incomplete_details.reason if read.incomplete_details else None
    stop = responses_stop(read.status, reason, calls=calls > 0)
    return Answered(tokens_of(Dialect.RESPONSES, read.usage), stop, "".join(texts), calls, read.model)


def _read_messages(read: _MessagesAnswer) -> Answered:
    tokens = tokens_of(Dialect.MESSAGES, read.usage)
    if tokens is None and read.input_tokens is not None:
        return Answered(Tokens(input=read.input_tokens), "stop", model=read.model)
    calls = sum(block.type == "tool_use" for block in read.content)
    text = "".join([block.text for block in read.content if block.type == "text" and block.text])
    return Answered(tokens, plain_stop(read.stop_reason), text, calls, read.model)
