"""What is read of a request, as the parts of each dialect that the gate must know; every other field is skipped unread.

A field stands here only if the gate decides, bounds or routes by it. `Raw` keeps a value's bytes where its size alone counts.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

NOTHING: Final = Raw(b"null")

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
OUTPUT_LIMIT_MAX: Final = 100_000_000
"""No model writes so much; what it would cost still fits the ledger."""
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=OUTPUT_LIMIT_MAX)]


class Part(Struct):
    """One part of a message's content, or one item of a responses input, by what it may hold of text, images and files."""

    type: str = ""
    text: str | None = None
    image_url: Raw = NOTHING
    source: Raw = NOTHING
    content: Raw = NOTHING


class Typed(Struct):
    """An object that says its sort."""

    type: str | None = None


class Message(Struct):
    """One message of a chat, in either maker's dialect."""

    role: str
    content: str | list[Part] | None = None


class Named(Struct):
    """What a tool is called."""

    name: str


class ChatTool(Struct):
    """A tool as chat/completions writes it."""

    type: str = "function"
    function: Named | None = None
    custom: Named | None = None

    @property
    def named(self) -> str:
        """Return its name; what a provider runs itself has none and goes by its sort."""
        said = self.function or self.custom
        return said.name if said is not None else self.type


class FlatTool(Struct):
    """A tool as responses and messages write it; a provider's own may have no name."""

    type: str | None = None
    name: str | None = None


class StreamOptions(Struct):
    """What a chat client wants of its stream."""

    include_usage: bool | None = None


class ChatBody(Struct):
    """POST /v1/chat/completions."""

    model: Name
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    tools: list[ChatTool] | None = None
    functions: list[Named] | None = None
    stream_options: StreamOptions | None = None
    response_format: Typed | None = None
    reasoning_effort: str | None = None
    web_search_options: Raw = NOTHING
    service_tier: str | None = None


class Effort(Struct):
    """How hard a responses client wants the model to think."""

    effort: str | None = None


class TextOptions(Struct):
    """The form of text that a responses client wants."""

    format: Typed | None = None


class Item(Struct):
    """One item of a responses input: a message, a call, its output, and more that is not looked into."""

    type: str = "message"
    role: str = ""
    content: str | list[Part] | None = None
    output: Raw = NOTHING


class ResponsesBody(Struct):
    """POST /v1/responses."""

    model: Name
    input: str | list[Item] | None = None
    stream: bool | None = None
    max_output_tokens: Limit | None = None
    tools: list[FlatTool] | None = None
    text: TextOptions | None = None
    reasoning: Effort | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Raw = NOTHING
    prompt: Raw = NOTHING
    service_tier: str | None = None


class MessagesBody(Struct):
    """POST /v1/messages and its count_tokens."""

    model: Name
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=OUTPUT_LIMIT_MAX)] | None = None
    tools: list[FlatTool] | None = None
    thinking: Typed | None = None
    output_config: TextOptions | None = None
    output_format: Typed | None = None
    container: Raw = NOTHING
    mcp_servers: Raw = NOTHING
    service_tier: str | None = None
    speed: str | None = None


class EmbeddingsBody(Struct):
    """POST /v1/embeddings: texts, or texts that are tokens already."""

    model: Name
    input: Annotated[str, Meta(min_length=1)] | list[str | int | list[int]]


def is_there(raw: Raw) -> bool:
    """Tell whether a value was given and is not null."""
    return bytes(raw) != b"null"


PARTS: Final = msgspec.json.Decoder(list[Part])
