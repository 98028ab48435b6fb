"""Reading a model request: what it asks for, without changing it and without building what the gate does not need.

This is on the path of every call. What is of the wrong type is refused here, with its pointer, before anything is held or
sent; what the gate has no opinion on is the provider's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from aos.kernel.dialects import shapes
from aos.kernel.dialects.members import find_members, not_json
from aos.kernel.dialects.values import Asked, Dialect, Span
from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.limits import MODEL_BODY_VALUES_MAX

IMAGE_TOKENS_ANTHROPIC: Final = 4_784
"""Most tokens of one image: 2,576 pixels on its long edge, in patches of 28 pixels (Anthropic, vision guide)."""
IMAGE_TOKENS_OPENAI: Final = 48_169
"""Most tokens of one image: 2,833 and eight tiles of 5,667 each (OpenAI, images guide, the dearest model by tokens)."""
OVERHEAD_TOKENS: Final = 64
"""What a provider adds to any request, beyond the names and brackets of its JSON, which count as tokens here."""
SYSTEM_TOKENS: Final = 1_000
"""What a provider adds where tools, a schema or reasoning are asked for (Anthropic: up to about 750 for tools)."""

_T = TypeVar("_T")
_CHAT: Final = msgspec.json.Decoder(shapes.ChatBody)
_RESPONSES: Final = msgspec.json.Decoder(shapes.ResponsesBody)
_MESSAGES: Final = msgspec.json.Decoder(shapes.MessagesBody)
_EMBEDDINGS: Final = msgspec.json.Decoder(shapes.EmbeddingsBody)
_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_TEXTS: Final = frozenset({
    "", "text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal", "thinking", "redacted_thinking",
    "tool_use", "input_audio",
})  # fmt: skip
"""Parts that bring nothing but what stands in them; any other may stand for a file, a page or a film."""
_OWN_TOOLS: Final = frozenset({None, "", "function", "custom"})
_READ: Final = frozenset({
    "background", "container", "conversation", "functions", "input", "max_completion_tokens", "max_output_tokens", "max_tokens",
    "mcp_servers", "messages", "model", "n", "output_config", "output_format", "previous_response_id", "prompt", "reasoning",
    "reasoning_effort", "response_format", "service_tier", "speed", "stream", "stream_options", "text", "thinking", "tools", "web_search_options",
})  # fmt: skip
"""What the gate decides, bounds or routes by. Servers that read names whatever their case must not find another under one."""
_DEARER: Final = frozenset({"priority", "fast"})
_OVERRULING: Final = frozenset({"best_of", "fallbacks", "max_new_tokens", "models", "n_predict", "num_predict"})
"""By which some servers let a request ask another model, or for more answers or longer ones, than the names above say."""


def read_ask(dialect: Dialect, body: bytes) -> Asked:
    """Return what a request asks for.

    Raises:
        InvalidRequest: the body is no JSON object, lacks its model or its messages, or has a field of the wrong type or out of
            its range; `errors` points at it.
    """
    _check_values(body)
    match dialect:
        case Dialect.CHAT:
            return _read_chat(body)
        case Dialect.RESPONSES:
            return _read_responses(body)
        case Dialect.MESSAGES | Dialect.COUNT_TOKENS:
            return _read_messages(dialect, body)
        case Dialect.EMBEDDINGS:
            read = _decode(_EMBEDDINGS, body)
            bound = len(body) + OVERHEAD_TOKENS
            return Asked(dialect, read.model, bound, text_tokens_max=bound, members=_members(body))


def _check_values(body: bytes) -> None:
    """Raise InvalidRequest for a body of too many values, before they are made; what stands in its texts counts as well."""
    if len(body) <= MODEL_BODY_VALUES_MAX:
        return
    values = body.count(b"{") + body.count(b"[") + body.count(b'":')
    if values > MODEL_BODY_VALUES_MAX:
        raise InvalidRequest(
            f"the body has {values} objects, lists and members, more than {MODEL_BODY_VALUES_MAX}: send it in parts"
        )


def bound_input(asked: Asked, upstream: Dialect) -> int:
    """Return how many input tokens a request has at most where `upstream` is spoken; `beyond_body` is not in it."""
    image = IMAGE_TOKENS_ANTHROPIC if upstream is Dialect.MESSAGES else IMAGE_TOKENS_OPENAI
    return asked.text_tokens_max + asked.images * image


def refuse_field(pointer: str, detail: str) -> InvalidRequest:
    """Return the refusal of one field of a request."""
    return InvalidRequest(f"`{pointer}`: {detail}", errors=[FieldError(pointer, detail)])


@dataclass(slots=True)
class _Seen:
    """What was found in the parts of messages so far."""

    images: int = 0
    inline_bytes: int = 0
    files: bool = False

    def look(self, parts: Iterable[shapes.Part]) -> None:
        """Count the images and notice the files of some parts, those within a tool's result too."""
        for part in parts:
            sort = part.type
            if sort in _IMAGES:
                self.images += 1
                self._measure(bytes(part.source if sort == "image" else part.image_url))
            elif sort == "tool_result":
                self.look_raw(part.content)
            elif sort not in _TEXTS:
                self.files = True

    def look_content(self, content: str | list[shapes.Part] | None, role: str) -> str:
        """Look at one message's content and return its text where a person wrote it, else nothing."""
        if isinstance(content, list):
            self.look(content)
            return " ".join([part.text for part in content if part.text]) if role == "user" else ""
        return content if content is not None and role == "user" else ""

    def look_raw(self, raw: msgspec.Raw) -> None:
        """Do the same for parts that are not read yet; what is no list of parts holds no image."""
        text = bytes(raw)
        if text.startswith(b"["):
            try:
                self.look(shapes.PARTS.decode(text))
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.files = True
        elif text.startswith(b"{"):
            self.images += 1  # what a computer tool shows

    def _measure(self, source: bytes) -> None:
        # A data URL stands at the beginning or as `url`; base64 in a source of its own. Anything else is an address.
        if b"data:" in source[:64] or b'"base64"' in source[:64] or b'"base64"' in source[-64:]:
            self.inline_bytes += len(source)


def _asked(
    dialect: Dialect,
    body: bytes,
    *,
    model: str,
    seen: _Seen,
    tools: tuple[str, ...],
    json_schema: bool,
    reasoning: bool,
    words: int,
    stream: bool | None,
    output_limit: int | None,
    beyond: bool,
    choices: int = 1,
    includes_usage: bool = False,
) -> Asked:
    text = len(body) - seen.inline_bytes + OVERHEAD_TOKENS
    if tools or json_schema or reasoning:
        text += SYSTEM_TOKENS
    return Asked(
        dialect,
        model,
        text + seen.images * IMAGE_TOKENS_OPENAI,
        stream=bool(stream),
        output_limit=output_limit,
        choices=choices,
        includes_usage=includes_usage,
        tools=tools,
        images=seen.images,
        json_schema=json_schema,
        reasoning=reasoning,
        words=words,
        text_tokens_max=text,
        beyond_body=beyond or seen.files,
        members=_members(body),
    )


def _members(body: bytes) -> dict[str, Span]:
    """Return where the members stand; raise InvalidRequest for one that could be read in place of what the gate has read."""
    members = find_members(body)
    for name in members:
        if name in _READ:
            continue
        folded = name.casefold()
        if folded in _READ:
            raise refuse_field(f"/{name}", f"write it `{folded}`: some servers would read it as that")
        if folded in _OVERRULING and body[slice(*members[name][1:])] != b"null":
            raise refuse_field(f"/{name}", "it would overrule what is decided here: leave it out")
    return members


def _read_chat(body: bytes) -> Asked:
    read = _decode(_CHAT, body)
    _check_price("service_tier", read.service_tier)
    seen, words = _look(read.messages)
    named = [*[tool.named for tool in read.tools or ()], *[each.name for each in read.functions or ()]]
    limits = [limit for limit in (read.max_completion_tokens, read.max_tokens) if limit is not None]
    return _asked(
        Dialect.CHAT,
        body,
        model=read.model,
        seen=seen,
        tools=tuple(named),
        json_schema=_is_schema(read.response_format),
        reasoning=read.reasoning_effort not in (None, "none"),
        words=words,
        stream=read.stream,
        output_limit=max(limits) if limits else None,
        beyond=shapes.is_there(read.web_search_options) or _has_own_tools(read.tools),
        choices=read.n or 1,
        includes_usage=bool(read.stream_options and read.stream_options.include_usage),
    )


def _read_responses(body: bytes) -> Asked:
    read = _decode(_RESPONSES, body)
    _check_price("service_tier", read.service_tier)
    if read.background:
        detail = "an answer in the background cannot be metered: leave it out and wait for the answer"
        raise refuse_field("/background", detail)
    seen, refers, last = _Seen(), False, read.input if isinstance(read.input, str) else ""
    for item in read.input if isinstance(read.input, list) else ():
        last = seen.look_content(item.content, item.role) or last
        seen.look_raw(item.output)
        refers = refers or item.type == "item_reference"
    former = read.previous_response_id is not None or shapes.is_there(read.conversation) or shapes.is_there(read.prompt)
    return _asked(
        Dialect.RESPONSES,
        body,
        model=read.model,
        seen=seen,
        words=_count_words(last),
        tools=_names(read.tools),
        json_schema=read.text is not None and _is_schema(read.text.format),
        reasoning=read.reasoning is not None and read.reasoning.effort not in (None, "none"),
        stream=read.stream,
        output_limit=read.max_output_tokens,
        beyond=former or refers or _has_own_tools(read.tools),
    )


def _read_messages(dialect: Dialect, body: bytes) -> Asked:
    read = _decode(_MESSAGES, body)
    _check_price("service_tier", read.service_tier)
    _check_price("speed", read.speed)
    seen, words = _look(read.messages)
    schema = read.output_config.format if read.output_config else None
    servers = shapes.is_there(read.mcp_servers)
    thinks = read.thinking.type if read.thinking else None
    return _asked(
        dialect,
        body,
        model=read.model,
        seen=seen,
        tools=(*_names(read.tools), *(("mcp_servers",) if servers else ())),
        json_schema=_is_schema(schema) or _is_schema(read.output_format),
        reasoning=thinks not in (None, "disabled"),
        words=words,
        stream=read.stream and dialect is Dialect.MESSAGES,
        output_limit=read.max_tokens,
        beyond=shapes.is_there(read.container) or servers or _has_own_tools(read.tools),
    )


def _check_price(name: str, value: str | None) -> None:
    """Raise InvalidRequest for what makes a provider ask more for the same tokens than the model's registered price."""
    if value is not None and value.casefold() in _DEARER:
        raise refuse_field(
            f"/{name}", f"`{value}` costs more than the model's price, which is what is held and charged"
        )


def _look(messages: list[shapes.Message]) -> tuple[_Seen, int]:
    """Return what the messages hold, and how many words the person's last one has."""
    seen, last = _Seen(), ""
    for message in messages:
        last = seen.look_content(message.content, message.role) or last
    return seen, _count_words(last)


def _count_words(text: str) -> int:
    """Return about how many words a text has, by its spaces and lines: it is a sign for the router, and texts are long."""
    return text.count(" ") + text.count("\n") + 1 if text else 0


def _has_own_tools(tools: Sequence[shapes.ChatTool | shapes.FlatTool] | None) -> bool:
    """Tell whether a tool is the provider's own, whose use brings input that the body does not show."""
    return any(tool.type not in _OWN_TOOLS for tool in tools or ())


def _names(tools: list[shapes.FlatTool] | None) -> tuple[str, ...]:
    return tuple([tool.name or tool.type or "" for tool in tools or ()])


def _is_schema(form: shapes.Typed | None) -> bool:
    return form is not None and form.type == "json_schema"


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from error


def _misfit(text: str) -> InvalidRequest:
    """Return msgspec's complaint in our words: a JSON pointer instead of its path, a missing field at its own place."""
    found = _PLACE.match(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    pointer = "".join(f"/{(name or index).replace('~', '~0')}" for name, index in _STEP.findall(path))
    if missing := _MISSING.search(what):
        return refuse_field(f"{pointer}/{missing[1]}", "it is required")
    if not pointer:
        return InvalidRequest(f"the body is not the JSON object that is wanted here: {what[:1].lower()}{what[1:]}")
    return refuse_field(pointer, f"{what[:1].lower()}{what[1:]}")
